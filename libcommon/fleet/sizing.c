#include "config.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/balance.h"
#include "fleet/sizing.h"

#define MIB (1024.0 * 1024)
#define KIB 1024.0
#define TIB (1024 * (double)GIB)
#define DAY_MIN 1440
#define DAY_S 86400.0

#define THROTTLE_FREE 0.2 /* sources are throttled below this part of free */
#define ACHIEVED 0.999	  /* rates are found so exactly */

/* ---- machines ---- */

/* The limits of a class, with writes of this size, from row `i` on. */
static unsigned class_row(const struct tables *t, unsigned i, double write_size)
{
	unsigned row = i;

	for (;
	     i < t->ndisks && strcmp(t->disks[i].name, t->disks[row].name) == 0;
	     i++)
		if (write_size >= t->disks[i].write_size)
			row = i;
	return row;
}

static bool takes(const struct disk_limit *l, const struct disk_sizing *d)
{
	return (l->rate <= 0 || d->rate <= l->rate) && d->day <= l->day &&
	       d->writes <= l->writes;
}

static void find_class(struct disk_sizing *d, const struct tables *t)
{
	for (unsigned i = 0; d->class == NULL && i < t->ndisks;) {
		const char *name = t->disks[i].name;

		d->limit = t->disks[class_row(t, i, d->write_size)];
		if (t->by_write)
			d->limit.day *= d->write_size / CHURN_WRITE;
		if (takes(&d->limit, d))
			d->class = name;
		while (i < t->ndisks && strcmp(t->disks[i].name, name) == 0)
			i++;
	}
}

/*
 * The most bytes of 24 hours in a row. What was measured for less than that
 * goes on like it was.
 */
static double most_in_a_day(const struct disk_churn *c)
{
	double measured = (double)(c->to - c->from) / 1e9, sum;

	if (measured >= DAY_S)
		return series_most(&c->hours, 24);
	(void)series_count(&c->hours, &sum);
	return sum * DAY_S / measured;
}

static void size_disk(struct disk_sizing *d, const struct disk_churn *c,
		      const struct sizing_opts *o)
{
	double more = 1 + o->growth;

	d->rate = spread_percentile(&c->rate, o->percentile) * more;
	d->writes = spread_percentile(&c->writes, o->percentile) * more;
	d->day = most_in_a_day(c) * more;
	/* When nobody counted, the size that the tables assume. */
	d->write_size = c->nwrites > 0 ? c->written / c->nwrites : CHURN_WRITE;
	find_class(d, o->tables);
}

/* The limit that a disk breaks, in words. */
static bool judge_disk(char why[WHY_SIZE], const struct disk_sizing *d,
		       const struct disk_churn *c, const struct tables *t)
{
	const struct disk_limit *l = &d->limit;

	if (t->disk_size > 0 && c->size > t->disk_size)
		snprintf(why, WHY_SIZE, "disk %s: %.0f GiB, %.0f at most",
			 c->name, (double)c->size / (double)GIB,
			 (double)t->disk_size / (double)GIB);
	else if (d->class != NULL)
		return false;
	else if (d->writes > l->writes)
		snprintf(why, WHY_SIZE,
			 "disk %s: %.0f writes a second, %.0f at most", c->name,
			 d->writes, l->writes);
	else if (l->rate > 0 && d->rate > l->rate)
		snprintf(why, WHY_SIZE,
			 "disk %s: %.1f MiB/s, %.0f at most with writes of "
			 "%.0f KiB",
			 c->name, d->rate / MIB, l->rate / MIB,
			 d->write_size / KIB);
	else
		snprintf(why, WHY_SIZE,
			 "disk %s: %.0f GiB in a day, %.0f at most with writes "
			 "of %.0f KiB",
			 c->name, d->day / (double)GIB, l->day / (double)GIB,
			 d->write_size / KIB);
	return true;
}

/* The first limit that a machine breaks, in words. */
static void judge(struct machine_sizing *m, const struct machine_churn *c,
		  const struct tables *t)
{
	for (size_t i = 0; i < c->ndisks; i++)
		if (judge_disk(m->why, &m->disks[i], &c->disks[i], t))
			return;
	if (c->ndisks > t->machine_disks)
		snprintf(m->why, WHY_SIZE, "%zu disks, %u at most", c->ndisks,
			 t->machine_disks);
	else if (t->machine_rate > 0 && m->rate > t->machine_rate)
		snprintf(m->why, WHY_SIZE,
			 "all disks together %.1f MiB/s, %.0f at most",
			 m->rate / MIB, t->machine_rate / MIB);
	else if (m->writes > t->machine_writes)
		snprintf(m->why, WHY_SIZE, "%.0f writes a second, %.0f at most",
			 m->writes, t->machine_writes);
	else if (m->day > t->machine_day)
		snprintf(m->why, WHY_SIZE,
			 "%.1f TiB in a day, %.0f at most (one server)",
			 m->day / TIB, t->machine_day / TIB);
}

bool sizing_by(const struct machine_churn *m, enum churn_by *ret)
{
	unsigned ways = 0;

	for (int i = 0; i < CHURN_BYS; i++) {
		if (m->rows[i] == 0)
			continue;
		ways++;
		*ret = i;
	}
	return ways == 1;
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
		m->unsized += c->disks[i].size == 0;
	}
	judge(m, c, o->tables);
	return 0;
}

/* ---- bandwidth and RPO ---- */

/*
 * What is pending when `rate` bytes a second are sent, as RPO by the minute:
 * the time to send it. -1: out of memory.
 */
static int follow(struct series *ret, const struct series *bytes, double more,
		  double rate, bool *grows)
{
	double pending = 0, half = 0;

	*ret = (struct series){.first = bytes->first, .n = bytes->n};
	ret->v = malloc((bytes->n + 1) * sizeof(*ret->v));
	if (ret->v == NULL)
		return -1;
	for (size_t i = 0; i < bytes->n; i++) {
		double in = isnan(bytes->v[i]) ? 0 : (double)bytes->v[i];

		pending += in * more - rate * 60;
		pending = pending < 0 ? 0 : pending;
		ret->v[i] = (float)(pending / rate);
		if (i == bytes->n / 2)
			half = pending;
	}
	*grows = pending > rate * 3600 && pending > 1.5 * half;
	return 0;
}

/* Its percentile; -1: out of memory. */
static double rpo_at(const struct series *bytes, double more, double rate,
		     double percent, bool *grows)
{
	struct series s;
	double rpo;

	if (follow(&s, bytes, more, rate, grows) < 0)
		return -1;
	rpo = series_percentile(&s, percent);
	series_free(&s);
	return rpo;
}

int sizing_rpo(struct series *ret, const struct churn *c,
	       const struct sizing_opts *o, double bits)
{
	bool grows;

	return follow(ret, &c->bytes, (1 + o->growth) * o->ratio, bits / 8,
		      &grows);
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
		/* Above all limits is all the same. */
		f.machines[i].churn = (uint64_t)fmin(s->machines[i].day, 1e18);
		f.machines[i].server = NO_SERVER;
	}
	f.nmachines = c->nmachines;
	rc = balance_wanted_of(o->tables->process, &f, &b, &size, &n, e);
	if (rc == 0 && n > 0)
		s->servers[size] = n;
	fleet_free(&f);
	return rc;
}

static unsigned at_least_one(double n)
{
	return n <= 1 ? 1 : n >= UINT_MAX ? UINT_MAX : (unsigned)ceil(n);
}

static void size_config(struct sizing *s, const struct churn *c,
			const struct sizing_opts *o)
{
	const struct server_size *table = o->tables->config;
	double day = 0;

	s->config = -1;
	for (size_t i = 0; i < c->nmachines; i++)
		day += s->machines[i].day;
	for (int i = SIZES; table != NULL && i-- > 0;) {
		if (c->nmachines <= table[i].machines &&
		    day <= (double)table[i].churn * (1 - o->headroom))
			s->config = i;
	}
	s->configs = at_least_one((double)c->nmachines /
				  o->tables->config_alone.machines);
}

/* Of all disks, bytes. */
static double mean_write(const struct churn *c)
{
	double bytes = 0, writes = 0;

	for (size_t i = 0; i < c->nmachines; i++) {
		for (size_t k = 0; k < c->machines[i].ndisks; k++) {
			bytes += c->machines[i].disks[k].written;
			writes += c->machines[i].disks[k].nwrites;
		}
	}
	return writes > 0 ? bytes / writes : CHURN_WRITE;
}

static void size_rooms(struct sizing *s, const struct churn *c,
		       const struct sizing_opts *o)
{
	double more = 1 + o->growth;
	size_t outage = (size_t)ceil(o->outage / 60);
	size_t kept = (size_t)ceil(o->retention / 60);
	const struct tables *t = o->tables;
	double disks = s->writes / t->retention_writes, by_bytes;

	s->cache = series_most(&c->bytes, outage) * more / (1 - THROTTLE_FREE);
	s->retention = series_most(&c->bytes, kept) * more;
	s->vault = ((double)s->size + s->retention) * o->ratio;
	s->accounts = at_least_one(s->writes * t->requests_per_write /
				   t->account_requests);
	by_bytes = s->day / (t->retention_day * mean_write(c) / CHURN_WRITE);
	s->retention_disks = at_least_one(disks > by_bytes ? disks : by_bytes);
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
		s.unsized += s.machines[i].unsized;
		s.guessed += c->machines[i].guessed > 0;
		for (size_t k = 0; k < c->machines[i].ndisks; k++)
			s.overlap += churn_overlaps(&c->machines[i].disks[k]);
		s.fit += s.machines[i].why[0] == '\0';
		for (int k = 0; k < CHURN_BYS; k++)
			s.by[k] += c->machines[i].rows[k] > 0;
	}
	s.seconds = (double)n * 60;
	s.mean = sum / s.seconds * more;
	s.rate = series_percentile(&c->bytes, o->percentile) / 60 * more;
	s.peak = series_percentile(&c->bytes, 100) / 60 * more;
	s.day = series_most(&c->bytes, DAY_MIN) * more;
	s.writes = series_percentile(&c->writes, o->percentile) / 60 * more;
	if (rc == 0)
		rc = size_line(&s, c, o, e);
	if (rc == 0)
		rc = size_servers(&s, c, o, e);
	size_rooms(&s, c, o);
	size_config(&s, c, o);
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
