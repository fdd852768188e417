/* Do data go to the vault now, and is the line wide enough for them? */
#include "config.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"
#include "cache/counters.h"
#include "cache/report.h"
#include "doctor/steps.h"
#include "health/ring.h"
#include "vault/probe.h"
#include "vault/settings.h"

#define LOOK_S 8
/* What waits has to be stored within this: the published threshold. */
#define DRAIN_S (30 * 60)
#define CHURN_MINUTES 60
/* A line should have some room above the mean churn. */
#define ROOM 1.3
#define PROBE_BYTES (16u << 20)

/* ---- what ps-upload has read ---- */

struct readers {
	uint64_t bytes; /* rchar of /proc/PID/io */
	uint64_t who;	/* changes when one begins or ends */
};

/* Of all that run; nothing where it cannot be read. */
static struct readers readers_now(void)
{
	struct readers r = {0};
	char path[64], *text;
	unsigned long long n;
	struct dirent *it;
	DIR *dir = opendir("/proc");

	while (dir != NULL && (it = readdir(dir)) != NULL) {
		if (!isdigit((unsigned char)it->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/comm", it->d_name);
		text = doctor_read(path, 64, NULL);
		if (text != NULL && strcmp(text, "ps-upload\n") == 0) {
			free(text);
			snprintf(path, sizeof(path), "/proc/%.20s/io",
				 it->d_name);
			text = doctor_read(path, 4096, NULL);
			if (text != NULL &&
			    sscanf(text, "rchar: %llu", &n) == 1) {
				r.bytes += n;
				r.who =
				    r.who * 31 + strtoul(it->d_name, NULL, 10);
			}
		}
		free(text);
	}
	if (dir != NULL)
		closedir(dir);
	return r;
}

/* ---- now ---- */

struct now {
	uint64_t pending, segments, stored; /* bytes, segments, bytes */
	uint64_t held;			    /* of disks on hold */
	uint64_t acked;			    /* sum of sequences */
};

static int add_disk(void *ctx, const struct cache_disk_view *v, struct err *e)
{
	struct now *n = ctx;

	(void)e;
	n->acked += v->stored;
	if (v->held) {
		n->held += v->bytes;
		return 0;
	}
	n->pending += v->bytes;
	n->segments += v->segments;
	return 0;
}

static int look(const struct doctor *d, struct now *ret, struct err *e)
{
	struct cache *c;
	int rc = cache_look(&c, d->cache, e);

	*ret = (struct now){0};
	if (rc < 0)
		return rc;
	ret->stored = counter_get(c, COUNTER_STORED_BYTES);
	rc = cache_views(c, add_disk, ret, e);
	cache_close(c);
	return rc;
}

/* What the uploaders of all vaults say. */
struct uploads {
	struct upload of[VAULTS_MAX];
	unsigned n;
};

static void read_uploads(const struct doctor *d, struct uploads *ret)
{
	struct doctor one;

	for (ret->n = 0; ret->n < vault_count(d); ret->n++) {
		vault_at(d, ret->n, &one);
		upload_read(&one, &ret->of[ret->n]);
	}
}

static bool sends(const struct upload *was, const struct upload *is)
{
	/* Requests that fail have bytes, too. */
	return is->told && was->told &&
	       (is->segments > was->segments ||
		(is->error[0] == '\0' && is->bytes > was->bytes));
}

static bool one_sends(const struct uploads *was, const struct uploads *is)
{
	unsigned i;

	for (i = 0; i < is->n; i++)
		if (sends(&was->of[i], &is->of[i]))
			return true;
	return false;
}

/* Looks again until something moves: 1, 0 when nothing does, -CODE. */
static int watch(const struct doctor *d, const struct now *before,
		 struct now *after, struct uploads *was, struct uploads *is,
		 struct err *e)
{
	const struct timespec nap = {.tv_nsec = 250 * 1000 * 1000};
	int64_t until = mono_now_ns() + LOOK_S * NS_PER_S;
	struct readers begun = readers_now(), r;
	int rc;

	read_uploads(d, was);
	do {
		nanosleep(&nap, NULL);
		rc = look(d, after, e);
		read_uploads(d, is);
		r = readers_now();
		/* What one reads when it begins is not the stream. */
		if (r.who != begun.who)
			begun = r;
		if (rc < 0 || after->stored > before->stored ||
		    after->acked > before->acked || after->pending == 0 ||
		    one_sends(was, is) ||
		    (r.who == begun.who && r.bytes > begun.bytes))
			return rc < 0 ? rc : 1;
	} while (mono_now_ns() < until);
	return 0;
}

/* "far: " before what is said of one of several. */
static const char *prefix(const struct doctor *d, unsigned i, char out[80])
{
	snprintf(out, 80, "%s%s", d->vaults.n > 1 ? d->vaults.list[i].name : "",
		 d->vaults.n > 1 ? ": " : "");
	return out;
}

static void show_uploads(const struct doctor *d, const struct uploads *is,
			 struct finding *f)
{
	char whose[80];
	unsigned i;

	for (i = 0; i < is->n; i++) {
		const struct upload *u = &is->of[i];

		if (u->told)
			find_shows(f, "%sps-upload is %s%s%s%s%s",
				   prefix(d, i, whose), u->state,
				   u->cause[0] != '\0' ? ", held by " : "",
				   u->cause, u->error[0] != '\0' ? ": " : "",
				   u->error);
	}
}

/* Of several vaults one that takes nothing, while others do; NULL: none. */
static const char *left_behind(const struct doctor *d,
			       const struct uploads *was,
			       const struct uploads *is)
{
	unsigned i;

	for (i = 0; d->vaults.n > 1 && i < is->n; i++)
		if (is->of[i].told && is->of[i].error[0] != '\0' &&
		    !sends(&was->of[i], &is->of[i]))
			return d->vaults.list[i].name;
	return NULL;
}

static void tell_pushing(const struct doctor *d, const struct now *after,
			 const struct uploads *was, const struct uploads *is,
			 bool moves, struct finding *f)
{
	const char *behind = left_behind(d, was, is);
	char pending[32];

	format_size(after->pending, pending, sizeof(pending));
	find_shows(f, "%llu segments wait, %s",
		   (unsigned long long)after->segments, pending);
	if (moves && behind == NULL) {
		find_passed(f, "data go to the vault, %s wait", pending);
		return;
	}
	show_uploads(d, is, f);
	if (moves)
		find_failed(f, DOCTOR_SIGN, "data go on, but not to %s",
			    behind);
	else
		find_failed(f, DOCTOR_SIGN,
			    "%s wait, and nothing was stored for %d s", pending,
			    LOOK_S);
	find_next(f, "the steps below look at the store, the way to it, and "
		     "the line");
}

void step_pushing(const struct doctor *d, struct finding *f)
{
	const struct finding *services = finding_of(d, "services");
	struct uploads was, is;
	struct now before, after;
	struct err e = {0};
	int rc;

	if (d->cache == NULL) {
		find_skipped(f, "no cache in ps.yaml");
		return;
	}
	if (services != NULL && (services->down & (1u << SERVICE_PIPELINE))) {
		find_skipped(f, "ps-pipeline does not run");
		return;
	}
	rc = look(d, &before, &e);
	if (rc == 0 && before.pending == 0) {
		find_passed(f, "all that came is stored, nothing waits");
		return;
	}
	if (rc == 0)
		rc = watch(d, &before, &after, &was, &is, &e);
	if (rc < 0) {
		if (!find_denied(f, &e))
			find_error(f, DOCTOR_SIGN, &e);
		return;
	}
	tell_pushing(d, &after, &was, &is, rc > 0, f);
}

/* ---- the line against the need ---- */

/* Mean of what came in each second of the last hour; false: not known. */
static bool churn(const struct doctor *d, double *ret)
{
	int dirfd = open(d->health, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct sample *samples = calloc(CHURN_MINUTES, sizeof(*samples));
	int64_t minute = time_now_ns() / NS_PER_S / 60;
	struct ring ring = {.fd = -1};
	double sum = 0;
	int n = 0, i, known = 0;

	if (dirfd >= 0 && samples != NULL &&
	    ring_open(&ring, dirfd, false, NULL, 0, NULL) == 0) {
		n = ring_window(&ring, minute - CHURN_MINUTES + 1, minute,
				samples, NULL);
		ring_close(&ring);
	}
	for (i = 0; i < n; i++) {
		int64_t v = samples[i].values[METRIC_INGEST_RATE];

		if (v == METRIC_UNKNOWN)
			continue;
		sum += (double)v;
		known++;
	}
	free(samples);
	if (dirfd >= 0)
		close(dirfd);
	*ret = known > 0 ? sum / known : 0;
	return known > 0;
}

struct line {
	double need, churn;
	double limit;	 /* 0: none */
	double measured; /* 0: not */
};

static void per_second(double v, char *out, size_t size)
{
	char text[32];

	format_size((uint64_t)v, text, sizeof(text));
	snprintf(out, size, "%s/s (%.*f Mbit/s)", text, v < 1e7 / 8 ? 2 : 0,
		 v * 8 / 1e6);
}

static void ignore_step(void *ctx, const char *step, bool ok, const char *words)
{
	double *rate = ctx, mbit;

	if (ok && strcmp(step, "write") == 0 &&
	    sscanf(words, "%lf Mbit/s", &mbit) == 1)
		*rate = mbit * 1e6 / 8;
}

/* The small object of the step before says enough when it is fast enough. */
static void measure(const struct doctor *d, struct line *l)
{
	double rate = 0;

	if (vault_failed(d, "store"))
		return;
	l->measured = vault_rate(d, "store");
	if (l->measured > l->need * 4 && l->measured > 0)
		return;
	store_settings.retry_for = 8;
	if (probe_run(d->vault, PROBE_BYTES, ignore_step, &rate, NULL) == 0 &&
	    rate > l->measured)
		l->measured = rate;
}

static void tell_line(const struct line *l, struct finding *f)
{
	char need[64], limit[64], speed[64];

	per_second(l->need, need, sizeof(need));
	per_second(l->limit, limit, sizeof(limit));
	per_second(l->measured, speed, sizeof(speed));
	if (l->limit > 0)
		find_shows(f, "limit of the upload: %s", limit);
	if (l->measured > 0)
		find_shows(f, "measured to the store: %s", speed);
	if (l->limit > 0 && l->limit < l->need) {
		find_failed(f, DOCTOR_CAUSE,
			    "the upload is limited to %s, needed are %s", limit,
			    need);
		find_next(f, "raise upload.limit-rate in ps.yaml (or the "
			     "--limit-rate that the uploader was started "
			     "with), then restart ps-pipeline");
	} else if (l->measured > 0 && l->measured < l->need) {
		find_failed(f, DOCTOR_CAUSE,
			    "the line to the store has %s, needed are %s",
			    speed, need);
		find_next(f, "a faster line, fewer machines here, or a store "
			     "that is nearer");
	} else if ((l->limit > 0 && l->limit < l->churn * ROOM) ||
		   (l->measured > 0 && l->measured < l->churn * ROOM)) {
		find_warned(f, "little room: needed are %s", need);
		find_next(f, "plan for a third more than the mean churn");
	} else if (l->measured > 0) {
		find_passed(f, "%s, needed are %s", speed, need);
	} else {
		find_skipped(f, "the speed to the store could not be measured");
	}
}

static void limit_of(const struct doctor *d, struct line *l)
{
	struct upload u;

	upload_read(d, &u);
	l->limit =
	    u.told && u.limit > 0 ? (double)u.limit : (double)d->limit_rate;
}

static void bandwidth_of_source(const struct doctor *d, struct finding *f)
{
	const struct finding *test = finding_of(d, "selftest");
	char speed[64];

	if (test == NULL || test->rate <= 0) {
		find_skipped(f, "measured by the step selftest, which did not "
				"run");
		return;
	}
	per_second(test->rate, speed, sizeof(speed));
	find_passed(f, "%s to the process server", speed);
	find_shows(f, "compare with the churn of this machine's disks: "
		      "ps-agent status, column BACKLOG");
}

static void look_at_line(const struct doctor *d, struct finding *f)
{
	struct line l = {0};
	struct err e = {0};
	struct now now = {0};
	char text[64];
	bool known;

	known = churn(d, &l.churn);
	if (look(d, &now, &e) < 0) {
		if (!find_denied(f, &e))
			find_error(f, DOCTOR_SIGN, &e);
		return;
	}
	l.need = l.churn + (double)now.pending / DRAIN_S;
	per_second(l.churn, text, sizeof(text));
	find_shows(f, "churn: %s",
		   known ? text
			 : "not known (no samples of "
			   "ps-health)");
	format_size(now.pending, text, sizeof(text));
	find_shows(f, "waiting: %s, to be stored within 30 minutes", text);
	limit_of(d, &l);
	measure(d, &l);
	tell_line(&l, f);
}

void step_bandwidth(const struct doctor *d, struct finding *f)
{
	if (d->source)
		bandwidth_of_source(d, f);
	else if (d->vault == NULL || d->cache == NULL)
		find_skipped(f, "no vault or no cache in ps.yaml");
	else
		vault_each(d, f, look_at_line);
}
