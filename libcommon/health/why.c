/* What there is to judge by: cache, counters, samples. */
#include "config.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/units.h"
#include "cache/counters.h"
#include "cache/folder.h"
#include "cache/report.h"
#include "health/why.h"

/* Rates are of an interval of this length, from the samples. */
#define RATE_MIN_S 30
#define RATE_MAX_S 900

struct looking {
	const struct why_input *in;
	struct why *w;
};

static int look_at(void *ctx, const struct cache_disk_view *v, struct err *e)
{
	struct looking *l = ctx;
	struct why *w = l->w;
	struct why_disk *d;
	int64_t oldest = v->oldest / NS_PER_S;
	char path[PATH_MAX];

	if ((l->in->machine != NULL &&
	     strcmp(l->in->machine, v->machine) != 0) ||
	    (l->in->disk != NULL && strcmp(l->in->disk, v->disk) != 0))
		return 0;
	d = realloc(w->disks, (w->n + 1) * sizeof(*d));
	if (d == NULL)
		return err_sys(e, PS_TEMPFAIL, "disks");
	w->disks = d;
	d = &w->disks[w->n++];
	*d = (struct why_disk){.accepted = v->accepted,
			       .stored = v->stored,
			       .backlog = v->bytes,
			       .silent = -1,
			       .held = v->held,
			       .seated = v->seated,
			       .initial = v->initial};
	snprintf(d->machine, sizeof(d->machine), "%s", v->machine);
	snprintf(d->disk, sizeof(d->disk), "%s", v->disk);
	snprintf(d->reason, sizeof(d->reason), "%s", v->held ? v->reason : "");
	if (oldest != 0 && oldest < w->now)
		d->lag = w->now - oldest;
	snprintf(path, sizeof(path), "%s/%s/%s/map.want", l->in->gather->cache,
		 v->machine, v->disk);
	d->asks_map = access(path, F_OK) == 0;
	return 0;
}

/* What the samples know of a disk. */
static int remember(void *ctx, const struct disk_record *r, struct err *e)
{
	struct why *w = ctx;
	size_t i;

	(void)e;
	for (i = 0; i < w->n; i++) {
		struct why_disk *d = &w->disks[i];

		if (strcmp(d->machine, r->machine) != 0 ||
		    strcmp(d->disk, r->disk) != 0)
			continue;
		d->silent =
		    r->accepted == d->accepted ? w->now - r->accepted_at : 0;
		d->stored_at = r->stored == d->stored ? r->stored_at : w->now;
	}
	return 0;
}

/* From the oldest sample that is near enough to now; no sample: not known. */
static void rates(const struct why_input *in, struct cache *c, struct why *w)
{
	struct sample s;
	int64_t m, took;

	w->intake = w->drain = -1;
	if (in->ring == NULL)
		return;
	for (m = (w->now - RATE_MAX_S) / 60; m <= w->now / 60; m++) {
		uint64_t accepted, stored;

		if (ring_get(in->ring, m, &s, NULL) != 1 ||
		    s.values[METRIC_RAW_ACCEPTED] == METRIC_UNKNOWN)
			continue;
		took = w->now - s.time;
		accepted = counter_get(c, COUNTER_ACCEPTED_BYTES) -
			   (uint64_t)s.values[METRIC_RAW_ACCEPTED];
		stored = counter_get(c, COUNTER_STORED_BYTES) -
			 (uint64_t)s.values[METRIC_RAW_STORED];
		/* A power loss may have set the counters back. */
		if (took < RATE_MIN_S || took > RATE_MAX_S ||
		    accepted > INT64_MAX || stored > INT64_MAX)
			continue;
		w->intake = (double)accepted / (double)took;
		w->drain = (double)stored / (double)took;
		return;
	}
}

static void room(const struct why_input *in, const struct cache *c,
		 struct why *w)
{
	struct statvfs v;

	w->free_percent = -1;
	w->keep_free = c->limits.keep_free;
	if (statvfs(in->gather->cache, &v) < 0 || v.f_blocks == 0)
		return;
	w->cache_bytes = (uint64_t)v.f_blocks * v.f_frsize;
	w->free_percent = (int64_t)((uint64_t)v.f_bavail * 100 /
				    (v.f_blocks - v.f_bfree + v.f_bavail));
}

static int look(const struct why_input *in, struct why *w, struct err *e)
{
	struct looking l = {in, w};
	struct cache *c;
	int rc = cache_look(&c, in->gather->cache, e);

	if (rc < 0)
		return rc;
	w->cache_failed = c->failed;
	room(in, c, w);
	rates(in, c, w);
	rc = cache_views(c, look_at, &l, e);
	cache_close(c);
	if (rc == 0 && w->n == 0 && in->machine != NULL)
		rc = err_set(e, PS_NOINPUT, "%s%s%s: not in this cache",
			     in->machine, in->disk != NULL ? "/" : "",
			     in->disk != NULL ? in->disk : "");
	return rc;
}

static void server(const struct why_input *in, struct why *w)
{
	struct sample s;

	sample_clear(&s);
	w->receiver = gather_service(in->gather, SERVICE_RECEIVE);
	gather_services(in->gather, w->now, &s);
	w->cert_days = s.values[METRIC_CERT_DAYS];
}

int why_find(const struct why_input *in, int64_t now, struct why *ret,
	     struct err *e)
{
	int rc;

	*ret = (struct why){.now = now, .next = ""};
	rc = look(in, ret, e);
	if (rc == 0 && in->disks != NULL)
		rc = disks_each(in->disks, now - DISK_GONE_S, remember, ret, e);
	if (rc < 0) {
		why_free(ret);
		return rc;
	}
	server(in, ret);
	why_read_followers(in->gather->cache, ret);
	why_judge(ret, in->silent_s);
	return 0;
}

void why_free(struct why *w)
{
	free(w->disks);
	w->disks = NULL;
	w->n = 0;
}
