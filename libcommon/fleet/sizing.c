#include "config.h"

#include <math.h>
#include <stdlib.h>

#include "fleet/balance.h"
#include "fleet/sizing.h"

#define MIB (1024.0 * 1024)
#define KIB 1024.0
#define DAY_MIN 1440

/* Published limits; see sizing.h and ps-plan(1). */
#define DISK_WRITES 7500.0     /* a second, of a disk */
#define STANDARD_WRITES 840.0  /* the same, of a standard disk */
#define MACHINE_WRITES 80000.0 /* a second, of a machine */
#define MACHINE_RATE (54 * MIB)
#define MACHINE_DISKS 31
#define MACHINE_DAY (2048.0 * (double)GIB)
#define ACCOUNT_REQUESTS 20000.0
#define RETENTION_DISK_REQUESTS 500.0
#define THROTTLE_FREE 0.2 /* sources are throttled below this part of free */
#define UNKNOWN_WRITE (8 * KIB) /* when nobody counted: the safe side */
#define ACHIEVED 0.999		/* rates are found so exactly */

const char *disk_class_name(enum disk_class c)
{
	static const char *const names[] = {"standard", "P10", "P20", "none"};

	return names[c];
}

static double class_limit(enum disk_class c, double write_size)
{
	if (c == DISK_STANDARD)
		return 2 * MIB;
	if (c == DISK_P10)
		return (write_size >= 32 * KIB	 ? 8
			: write_size >= 16 * KIB ? 4
						 : 2) *
		       MIB;
	return (write_size >= 16 * KIB ? 20 : 5) * MIB;
}

static bool class_takes(enum disk_class c, const struct disk_sizing *d)
{
	double writes = c == DISK_STANDARD ? STANDARD_WRITES : DISK_WRITES;

	return d->rate <= class_limit(c, d->write_size) && d->writes <= writes;
}

static void size_disk(struct disk_sizing *d, const struct disk_churn *c,
		      const struct sizing_opts *o)
{
	int class = DISK_STANDARD;

	d->rate = spread_percentile(&c->rate, o->percentile) * (1 + o->growth);
	d->writes =
	    spread_percentile(&c->writes, o->percentile) * (1 + o->growth);
	d->write_size =
	    c->writes.sum > 0 ? c->rate.sum / c->writes.sum : UNKNOWN_WRITE;
	while (class < DISK_NONE && !class_takes(class, d))
		class ++;
	d->class = class;
	d->limit =
	    class_limit(class == DISK_NONE ? DISK_P20 : class, d->write_size);
}

/* The first limit that a machine breaks, in words. */
static void judge(struct machine_sizing *m, const struct machine_churn *c)
{
	for (size_t i = 0; i < c->ndisks && m->why[0] == '\0'; i++) {
		const struct disk_sizing *d = &m->disks[i];

		if (d->class != DISK_NONE)
			continue;
		if (d->writes > DISK_WRITES)
			snprintf(m->why, WHY_SIZE,
				 "disk %s: %.0f writes a second, %.0f at most",
				 c->disks[i].name, d->writes, DISK_WRITES);
		else
			snprintf(m->why, WHY_SIZE,
				 "disk %s: %.1f MiB/s, %.0f at most with "
				 "writes of %.0f KiB",
				 c->disks[i].name, d->rate / MIB,
				 d->limit / MIB, d->write_size / KIB);
	}
	if (m->why[0] != '\0')
		return;
	if (c->ndisks > MACHINE_DISKS)
		snprintf(m->why, WHY_SIZE, "%zu disks, %d at most", c->ndisks,
			 MACHINE_DISKS);
	else if (m->rate > MACHINE_RATE)
		snprintf(m->why, WHY_SIZE,
			 "all disks together %.1f MiB/s, %.0f at most",
			 m->rate / MIB, MACHINE_RATE / MIB);
	else if (m->writes > MACHINE_WRITES)
		snprintf(m->why, WHY_SIZE, "%.0f writes a second, %.0f at most",
			 m->writes, MACHINE_WRITES);
	else if (m->day > MACHINE_DAY)
		snprintf(m->why, WHY_SIZE,
			 "%.1f TiB in a day, %.0f at most (one server)",
			 m->day / (1024 * (double)GIB),
			 MACHINE_DAY / (1024 * (double)GIB));
}

static int size_machine(struct machine_sizing *m, const struct machine_churn *c,
			const struct sizing_opts *o, struct err *e)
{
	double more = 1 + o->growth, rate, writes;

	m->disks = calloc(c->ndisks + 1, sizeof(*m->disks));
	rate = series_percentile(&c->bytes, o->percentile);
	writes = series_percentile(&c->writes, o->percentile);
	m->peak = series_percentile(&c->bytes, 100) / 60 * more;
	if (m->disks == NULL || rate < 0 || writes < 0 || m->peak < 0)
		return err_sys(e, PS_TEMPFAIL, "sizing");
	m->rate = rate / 60 * more;
	m->writes = writes / 60 * more;
	m->day = series_most(&c->bytes, DAY_MIN) * more;
	for (size_t i = 0; i < c->ndisks; i++) {
		size_disk(&m->disks[i], &c->disks[i], o);
		m->size += c->disks[i].size;
	}
	judge(m, c);
	return 0;
}

/* ---- bandwidth and RPO ---- */

/*
 * What is pending when `rate` bytes a second are sent, as RPO by the minute:
 * the time to send it. -1: out of memory.
 */
static double rpo_at(const struct series *bytes, double more, double rate,
		     double percent, bool *grows)
{
	struct series s = {.first = 0, .n = bytes->n};
	double pending = 0, half = 0, rpo;
	size_t i;

	s.v = malloc((bytes->n + 1) * sizeof(*s.v));
	if (s.v == NULL)
		return -1;
	for (i = 0; i < bytes->n; i++) {
		double in = isnan(bytes->v[i]) ? 0 : (double)bytes->v[i];

		pending += in * more - rate * 60;
		pending = pending < 0 ? 0 : pending;
		s.v[i] = (float)(pending / rate);
		if (i == bytes->n / 2)
			half = pending;
	}
	*grows = pending > rate * 3600 && pending > 1.5 * half;
	rpo = series_percentile(&s, percent);
	free(s.v);
	return rpo;
}

/* The least rate at which the RPO holds for `percent` of the minutes. */
static double rate_for(const struct series *bytes, double more, double rpo,
		       double percent, double most)
{
	double low = 0, high = most > 1 ? most : 1, mid, got;
	bool grows;

	while (low < high * ACHIEVED) {
		mid = (low + high) / 2;
		got = rpo_at(bytes, more, mid, percent, &grows);
		if (got < 0)
			return -1;
		if (got <= rpo)
			high = mid;
		else
			low = mid;
	}
	return high;
}

static int size_line(struct sizing *s, const struct churn *c,
		     const struct sizing_opts *o, struct err *e)
{
	double more = (1 + o->growth) * o->ratio, rate = o->bandwidth / 8;
	double stored = (double)s->size * o->ratio;
	bool grows = false;

	s->need_all = 8 * rate_for(&c->bytes, more, o->rpo, 100, s->peak);
	s->need_90 = 8 * rate_for(&c->bytes, more, o->rpo, 90, s->peak);
	s->initial_bits =
	    8 * (stored / o->initial + s->mean * o->ratio); /* beside deltas */
	if (rate > 0) {
		s->rpo_90 = rpo_at(&c->bytes, more, rate, 90, &grows);
		s->rpo_95 = rpo_at(&c->bytes, more, rate, 95, &grows);
		s->rpo_all = rpo_at(&c->bytes, more, rate, 100, &grows);
		s->initial_seconds = rate > s->mean * o->ratio
					 ? stored / (rate - s->mean * o->ratio)
					 : -1;
	}
	if (s->need_all < 0 || s->need_90 < 0 || s->rpo_90 < 0)
		return err_sys(e, PS_TEMPFAIL, "sizing");
	if (grows)
		s->rpo_all = s->rpo_95 = s->rpo_90 = -1;
	return 0;
}

/* ---- servers and rooms ---- */

/*
 * Servers of the largest size, and one of the size that holds the rest. Asks
 * the planner, as machines cannot be divided.
 */
static int size_servers(struct sizing *s, const struct churn *c,
			const struct sizing_opts *o, struct err *e)
{
	const struct balance_opts b = {o->headroom, 0.05};
	struct fleet f = {0};
	unsigned n = 0;
	int size = 0, rc;

	f.machines = calloc(c->nmachines + 1, sizeof(*f.machines));
	if (f.machines == NULL)
		return err_sys(e, PS_TEMPFAIL, "sizing");
	for (size_t i = 0; i < c->nmachines; i++) {
		f.machines[i].churn = (uint64_t)s->machines[i].day;
		f.machines[i].server = NO_SERVER;
	}
	f.nmachines = c->nmachines;
	rc = balance_wanted(&f, &b, &size, &n, e);
	if (rc == 0 && n > 0)
		s->servers[size] = n;
	fleet_free(&f);
	return rc;
}

static unsigned at_least_one(double n)
{
	return n <= 1 ? 1 : (unsigned)ceil(n);
}

static void size_rooms(struct sizing *s, const struct churn *c,
		       const struct sizing_opts *o)
{
	double more = 1 + o->growth;
	size_t outage = (size_t)ceil(o->outage / 60);
	size_t kept = (size_t)ceil(o->retention / 60);
	double writes = c->writes * more;

	s->cache = series_most(&c->bytes, outage) * more / (1 - THROTTLE_FREE);
	s->retention = series_most(&c->bytes, kept) * more;
	s->vault = ((double)s->size + s->retention) * o->ratio;
	s->accounts = at_least_one(writes / ACCOUNT_REQUESTS);
	s->retention_disks = at_least_one(writes / RETENTION_DISK_REQUESTS);
}

int sizing_make(struct sizing *ret, const struct churn *c,
		const struct sizing_opts *o, struct err *e)
{
	struct sizing s = {0};
	double sum, more = 1 + o->growth;
	size_t n = series_count(&c->bytes, &sum);
	int rc = 0;

	if (n == 0)
		return err_set(e, PS_DATA, "there are no samples");
	s.machines = calloc(c->nmachines + 1, sizeof(*s.machines));
	if (s.machines == NULL)
		return err_sys(e, PS_TEMPFAIL, "sizing");
	for (size_t i = 0; rc == 0 && i < c->nmachines; i++) {
		rc = size_machine(&s.machines[i], &c->machines[i], o, e);
		s.size += s.machines[i].size;
		s.fit += s.machines[i].why[0] == '\0';
	}
	s.seconds = (double)n * 60;
	s.mean = sum / s.seconds * more;
	s.rate = series_percentile(&c->bytes, o->percentile) / 60 * more;
	s.peak = series_percentile(&c->bytes, 100) / 60 * more;
	s.day = series_most(&c->bytes, DAY_MIN) * more;
	if (rc == 0)
		rc = size_line(&s, c, o, e);
	if (rc == 0)
		rc = size_servers(&s, c, o, e);
	size_rooms(&s, c, o);
	if (rc < 0) {
		sizing_free(&s, c);
		return rc;
	}
	*ret = s;
	return 0;
}

void sizing_free(struct sizing *s, const struct churn *c)
{
	for (size_t i = 0; s->machines != NULL && i < c->nmachines; i++)
		free(s->machines[i].disks);
	free(s->machines);
	*s = (struct sizing){0};
}
