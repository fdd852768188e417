/*
 * What ps-plan profile measures: every write (diskstats), changed blocks on
 * this machine (the kernel's trace of writes), changed blocks that agents sent
 * to this process server (tallies of the cache, ps-health's record of them).
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/tool.h"
#include "base/units.h"
#include "cache/report.h"
#include "fleet/churn.h"
#include "health/disks.h"
#include "ps-plan-measure.h"
#include "trace/tracer.h"

#define DRAIN_NS                                                               \
	(NS_PER_S / 5) /* how often the kernel's buffers are emptied           \
			*/
#define DAY_S 86400
#define GAP_MIN 10 /* minutes between samples, as ps-health has it */

static volatile sig_atomic_t asked_to_end;

static void on_signal(int sig)
{
	(void)sig;
	asked_to_end = 1;
}

static void heed_signals(void)
{
	const struct sigaction end = {.sa_handler = on_signal};

	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGINT, &end, NULL);
}

/* One way to measure; `sample` with NULL only begins. */
struct way {
	int (*sample)(struct way *w, FILE *out, struct err *e);
	void (*wait)(struct way *w); /* now and then between samples, or NULL */
	void *ctx;
};

/* false: asked to end. */
static bool sleep_until(struct way *w, int64_t mono_ns)
{
	int64_t now = mono_now_ns();

	while (!asked_to_end && now < mono_ns) {
		int64_t next = w->wait != NULL && mono_ns - now > DRAIN_NS
				   ? now + DRAIN_NS
				   : mono_ns;
		const struct timespec until = {next / NS_PER_S,
					       next % NS_PER_S};

		(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until,
				      NULL);
		if (w->wait != NULL)
			w->wait(w);
		now = mono_now_ns();
	}
	return !asked_to_end;
}

static int sample_until(struct way *w, const struct measure *m, FILE *out,
			struct err *e)
{
	int64_t begun = mono_now_ns(), next = begun;
	int rc = w->sample(w, NULL, e);

	if (rc == 0 && m->header)
		profile_header(out);
	if (rc == 0 && fflush(out) != 0)
		rc = err_sys(e, 0, "writing samples");
	while (rc == 0) {
		next += (int64_t)m->interval * NS_PER_S;
		if (!sleep_until(w, next))
			break;
		rc = w->sample(w, out, e);
		if (rc == 0 && fflush(out) != 0)
			rc = err_sys(e, 0, "writing samples");
		if (m->run_for > 0 &&
		    mono_now_ns() - begun >= (int64_t)m->run_for * NS_PER_S)
			break;
	}
	return rc;
}

/* ---- this machine ---- */

struct here {
	struct profile *profile;
	struct tracer *tracers; /* one for each disk; NULL: not traced */
	char paths[PROFILE_DISKS][NAME_SIZE + 8];
	unsigned cuts;
};

static int sample_here(struct way *w, FILE *out, struct err *e)
{
	struct here *h = w->ctx;

	h->cuts++;
	return profile_sample(h->profile, out, e);
}

static void drain_here(struct way *w)
{
	struct here *h = w->ctx;

	for (unsigned i = 0; i < h->profile->n; i++)
		tracer_drain(&h->tracers[i]);
}

/* Bytes of the chunks that were written since the sample before; -1: unknown */
static int64_t changed_here(void *ctx, unsigned disk)
{
	struct here *h = ctx;
	struct tracer *t = &h->tracers[disk];
	struct ranges r = {0};
	char to[16], base[16];
	struct err e = {0};
	const char *why = "";
	int64_t bytes;
	int rc;

	snprintf(to, sizeof(to), "%u", h->cuts);
	snprintf(base, sizeof(base), "%u", h->cuts - 1);
	/* By its name the tracer knows its own reads. */
	prctl(PR_SET_NAME, t->comm);
	rc = tracer_cut(t, to, h->cuts > 1 ? base : "", &r, &why, &e);
	ranges_tidy(&r);
	bytes = (int64_t)ranges_bytes(&r);
	ranges_free(&r);
	if (rc == 0)
		return bytes;
	if (h->cuts > 1)
		tool_warn("%s: changed blocks of this interval are not known: "
			  "%s",
			  h->paths[disk], rc < 0 ? e.msg : why);
	return -1;
}

static int trace_here(struct here *h, struct err *e)
{
	char name[INSTANCE_NAME];
	int rc = 0;

	h->tracers = calloc(h->profile->n, sizeof(*h->tracers));
	if (h->tracers == NULL)
		return err_sys(e, PS_TEMPFAIL, "tracing");
	for (unsigned i = 0; i < h->profile->n; i++)
		h->tracers[i].instance =
		    (struct instance){.folder = -1, .dir = -1};
	for (unsigned i = 0; rc == 0 && i < h->profile->n; i++) {
		snprintf(h->paths[i], sizeof(h->paths[i]), "/dev/%s",
			 h->profile->disks[i].name);
		/* What a killed one left of this name is removed. */
		snprintf(name, sizeof(name), "ps-plan-%.32s",
			 h->profile->disks[i].name);
		rc = tracer_open(&h->tracers[i], h->paths[i], name,
				 TRACER_BUFFER, e);
	}
	if (rc < 0)
		err_hint(e, "without --changed every write is counted");
	return rc;
}

int measure_here(struct profile *p, const struct measure *m, FILE *out,
		 struct err *e)
{
	struct here h = {.profile = p};
	struct way w = {.sample = sample_here, .ctx = &h};
	int rc = 0;

	heed_signals(); /* before there is something to be left behind */
	if (m->changed) {
		rc = trace_here(&h, e);
		p->changed = changed_here;
		p->ctx = &h;
		w.wait = drain_here;
	}
	if (rc == 0)
		rc = sample_until(&w, m, out, e);
	for (unsigned i = 0; h.tracers != NULL && i < p->n; i++)
		tracer_close(&h.tracers[i]);
	free(h.tracers);
	return rc;
}

/* ---- what agents sent ---- */

struct sent {
	char machine[NAME_SIZE], disk[NAME_SIZE];
	uint64_t changed, size;
	int64_t since;	  /* seconds; of its last pass, else when first seen */
	bool seen, begun; /* begun: by a pass, what comes next is whole */
};

struct passes {
	const char *cache;
	struct sent *disks;
	size_t n, at; /* they come in the same order each time */
	int64_t now;
	FILE *out;
};

/* One disk, up to `now`; `size` 0: not known. */
struct agent_row {
	const char *machine, *disk;
	uint64_t size, bytes;
	int64_t now, seconds;
};

static void put_row(FILE *out, const struct agent_row *r)
{
	char time[TIME_TEXT], size[24] = "";

	format_time(r->now * NS_PER_S, time);
	if (r->size > 0)
		snprintf(size, sizeof(size), "%" PRIu64, r->size);
	fprintf(out, "%s,%s,%s,%s,%" PRId64 ",,,%" PRIu64 ",%s\n", time,
		r->machine, r->disk, size,
		r->seconds < 1	     ? 1
		: r->seconds > DAY_S ? DAY_S
				     : r->seconds,
		r->bytes, churn_by_name(CHURN_AGENTS));
}

static struct sent *find_sent(struct passes *p, const char *machine,
			      const char *disk, struct err *e)
{
	struct sent *d;

	for (size_t i = 0; i < p->n; i++) {
		d = &p->disks[(p->at + i) % p->n];
		if (strcmp(d->disk, disk) == 0 &&
		    strcmp(d->machine, machine) == 0) {
			p->at = (p->at + i + 1) % p->n;
			return d;
		}
	}
	d = realloc(p->disks, (p->n + 1) * sizeof(*d));
	if (d == NULL) {
		err_sys(e, PS_TEMPFAIL, "disks of the cache");
		return NULL;
	}
	p->disks = d;
	d += p->n++;
	*d = (struct sent){.since = p->now};
	snprintf(d->machine, NAME_SIZE, "%s", machine);
	snprintf(d->disk, NAME_SIZE, "%s", disk);
	return d;
}

/* What came since the last time; false: nothing is to be noted. */
static bool compare(const struct passes *p, struct sent *d, uint64_t changed)
{
	struct agent_row row = {.machine = d->machine,
				.disk = d->disk,
				.size = d->size,
				.now = p->now,
				.seconds = p->now - d->since};

	if (!d->seen || changed < d->changed) {
		d->seen = true; /* or it was set back: begin anew */
		d->begun = false;
	} else if (changed > d->changed) {
		/* The begin of the first pass is not known. */
		row.bytes = changed - d->changed;
		if (d->begun)
			put_row(p->out, &row);
		d->begun = true;
	} else if (row.seconds >= DAY_S) {
		put_row(p->out, &row);
	} else {
		return false;
	}
	return true;
}

static int look_at_disk(void *ctx, const struct cache_disk_view *v,
			struct err *e)
{
	struct passes *p = ctx;
	struct sent *d;

	if (!v->tallied)
		return 0;
	d = find_sent(p, v->machine, v->disk, e);
	if (d == NULL)
		return -PS_TEMPFAIL;
	d->size = v->tally.size;
	if (compare(p, d, v->tally.changed)) {
		d->changed = v->tally.changed;
		d->since = p->now;
	}
	return 0;
}

static int sample_cache(struct way *w, FILE *out, struct err *e)
{
	struct passes *p = w->ctx;
	struct cache *c;
	int rc = cache_look(&c, p->cache, e);

	if (rc < 0)
		return rc;
	p->now = time_now_ns() / NS_PER_S;
	p->out = out;
	rc = cache_views(c, look_at_disk, p, e);
	cache_close(c);
	return rc;
}

int measure_cache(const char *cache, const struct measure *m, FILE *out,
		  struct err *e)
{
	struct passes p = {.cache = cache};
	struct way w = {.sample = sample_cache, .ctx = &p};
	int rc;

	heed_signals();
	rc = sample_until(&w, m, out, e);
	free(p.disks);
	return rc;
}

/*
 * The record has for each minute what was accepted in it: a pass brings at
 * once what changed since the one before. The first one's begin is not known.
 */
static int history_of(void *ctx, const struct disk_record *r, struct err *e)
{
	int64_t last = r->seen / 60, before = -1, first = -1, newest = -1;
	struct agent_row row = {
	    .machine = r->machine, .disk = r->disk, .size = r->size};
	struct disk_minute m;
	FILE *out = ctx;

	(void)e;
	for (int64_t i = last - DISK_MINUTES + 1; i <= last; i++) {
		if (!disk_minute(r, i, &m))
			continue;
		/* What came while nobody looked is not in the record. */
		if (newest >= 0 && i - newest > GAP_MIN)
			before = -1;
		first = first < 0 ? i : first;
		newest = i;
		if (m.changed == 0)
			continue;
		row.now = (i + 1) * 60;
		row.seconds = (i - before) * 60;
		row.bytes = m.changed;
		if (before >= 0)
			put_row(out, &row);
		before = i;
	}
	/* Nothing came: it did not change, or its agent is silent. */
	row.now = (newest + 1) * 60;
	row.seconds = (newest - first + 1) * 60;
	row.bytes = 0;
	if (before < 0 && newest > first)
		put_row(out, &row);
	return 0;
}

/* All rows, or none when there are no two passes of any disk. */
static int put_history(const char *state, const struct disks *d, bool header,
		       FILE *out, struct err *e)
{
	int64_t since = time_now_ns() / NS_PER_S - DISK_MINUTES * 60;
	char *rows = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&rows, &n);
	int rc;

	if (f == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s", state);
	rc = disks_each(d, since, history_of, f, e);
	if (fclose(f) != 0 && rc == 0)
		rc = err_sys(e, PS_TEMPFAIL, "%s", state);
	if (rc == 0 && n == 0) {
		rc = err_set(e, PS_DATA,
			     "%s: no two passes of a disk in the last four "
			     "hours",
			     state);
		err_hint(e, "does ps-health sample run each minute, and do "
			    "agents send?");
	}
	if (rc == 0 && header)
		profile_header(out);
	if (rc == 0 && fwrite(rows, 1, n, out) != n)
		rc = err_sys(e, 0, "writing samples");
	free(rows);
	return rc;
}

int measure_history(const char *state, bool header, FILE *out, struct err *e)
{
	int fd = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;
	struct disks d;
	char aside[64];

	if (fd < 0) {
		rc = err_sys(e, 0, "%s", state);
		err_hint(e, "ps-health sample, each minute, keeps the history");
		return rc;
	}
	rc = disks_open(&d, fd, false, aside, sizeof(aside), e);
	if (rc < 0) {
		err_prefix(e, "%s", state);
		err_hint(e, "ps-health sample, each minute, keeps the history");
	} else {
		rc = put_history(state, &d, header, out, e);
		disks_close(&d);
	}
	close(fd);
	return rc;
}
