#include "config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/control.h"
#include "agent/lock.h"
#include "agent/view.h"
#include "base/rate.h"
#include "base/units.h"
#include "disk/status.h"

#define IN_DISK (NAME_SIZE + 32)
/* What comes so near to its limit is held to it. */
#define BUSY 0.5 /* a server that is so for us is what we wait for */
#define NEAR(rate, limit) ((rate) >= (limit) / 10 * 7)

/* ---- the pass under way ---- */

/* Bytes that a process has read so far, of whatever; 0: not known. */
static uint64_t read_so_far(pid_t pid)
{
	char path[64];
	uint64_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/io", (int)pid);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	if (fscanf(f, "rchar: %" SCNu64, &n) != 1)
		n = 0;
	fclose(f);
	return n;
}

/* What the pass reads, less what its scan has read; holes count as read. */
static void measure(const struct view *v, struct disk_view *d)
{
	int64_t took = v->now / NS_PER_S - d->chain.since;
	struct map_status map;
	char path[4096];
	uint64_t done;

	snprintf(path, sizeof(path), "%s/disks/%s/map", v->conf->state,
		 d->st->name);
	if (d->chain.n == 0 || map_status(path, &map, NULL) < 0)
		return;
	done = read_so_far(d->chain.stages[0].pid);
	d->backlog = map.dirty_bytes > done ? map.dirty_bytes - done : 0;
	if (took <= 0)
		return;
	d->rate = done / (uint64_t)took;
	/* Both ends of the time are cut to whole seconds. */
	d->rate_most = took > 1 ? done / (uint64_t)(took - 1) : done;
}

/* All disks that send share one limit. */
static bool line_is_limited(const struct view *v)
{
	uint64_t limit, sum = 0;
	struct report r;
	unsigned i;

	if (v->conf->send_rate == NULL ||
	    !parse_rate(v->conf->send_rate, &limit))
		return false;
	for (i = 0; i < v->state->ndisks; i++) {
		char path[IN_DISK];

		snprintf(path, sizeof(path), "disks/%s/report.json",
			 v->state->disks[i].name);
		if (v->state->disks[i].under_way_ns != 0 &&
		    report_read(v->dirfd, path, &r))
			sum += r.rate;
	}
	return NEAR(sum, limit);
}

static bool read_is_limited(const struct view *v, const struct disk_view *d)
{
	uint64_t limit;

	return v->conf->read_rate != NULL &&
	       parse_rate(v->conf->read_rate, &limit) &&
	       NEAR(d->rate_most, limit);
}

/* The chain: ps-scan, ps-compress, perhaps ps-encrypt, cxpsclient, ps-scan. */
static enum why_cause limit_of(const struct view *v, const struct disk_view *d)
{
	const struct why_stage *s = d->stage;

	if (s == NULL)
		return WHY_NOTHING;
	if (s == &d->chain.stages[0])
		return read_is_limited(v, d) ? WHY_READ_LIMIT : WHY_SOURCE_READ;
	if (strcmp(s->name, "ps-compress") == 0)
		return WHY_COMPRESS;
	if (strcmp(s->name, "ps-encrypt") == 0)
		return WHY_ENCRYPT;
	if (line_is_limited(v))
		return WHY_SEND_LIMIT;
	return d->report.server >= BUSY ? WHY_SERVER_SLOW : WHY_NETWORK_IN;
}

static void look_at_pass(const struct view *v, struct disk_view *d)
{
	char path[IN_DISK];

	snprintf(path, sizeof(path), "disks/%s/report.json", d->st->name);
	d->sending = report_read(v->dirfd, path, &d->report);
	snprintf(path, sizeof(path), "disks/%s/.stages", d->st->name);
	why_read_stages(v->dirfd, path, "ps-agent", v->now / NS_PER_S,
			&d->chain);
	snprintf(d->chain.name, sizeof(d->chain.name), "%s", d->st->name);
	measure(v, d);
	if (strcmp(d->report.state, "waiting") == 0) {
		snprintf(d->cause, sizeof(d->cause), "%s", d->report.cause);
		d->word =
		    strcmp(d->cause, "held") == 0 ? WORD_HELD : WORD_THROTTLED;
		return; /* the pipes would blame the line */
	}
	d->stage = why_narrowest(&d->chain);
	d->limit = limit_of(v, d);
}

/* ---- one disk ---- */

int64_t view_age_ns(const struct view *v, const struct agent_point *p)
{
	return v->now > p->time_ns ? v->now - p->time_ns : 0;
}

/* A pass takes longer than the interval, or the last point is old. */
static bool is_behind(const struct view *v, const struct disk_view *d)
{
	int64_t interval = (int64_t)v->conf->interval_s * NS_PER_S;

	if (v->running && d->st->under_way_ns != 0 &&
	    v->now - d->st->under_way_ns > interval)
		return true;
	return d->acked == NULL || v->now - d->acked->time_ns > 2 * interval;
}

void view_disk(const struct view *v, unsigned i, struct disk_view *d)
{
	struct disk_state *st = &v->state->disks[i];

	*d = (struct disk_view){
	    .st = st, .word = st->word, .backlog = st->backlog};
	d->acked = st->npoints > 0 ? &st->points[st->npoints - 1] : NULL;
	d->stored = state_point_at(st, st->stored_seq);
	snprintf(d->cause, sizeof(d->cause), "%s", st->cause);
	d->behind = is_behind(v, d);
	if (v->running && st->under_way_ns != 0)
		look_at_pass(v, d);
	if (d->word == WORD_CONTINUOUS && d->behind)
		d->word = WORD_BACKLOG;
}

/* ---- all of them ---- */

/*
 * What was saved last is all that is known, and nothing can go on: a pass
 * needs the same folder.
 */
static void doubt(struct view *v)
{
	struct stat st;
	char since[TIME_TEXT];
	unsigned i;

	if (fstatat(v->dirfd, STATE_FILE, &st, 0) == 0)
		v->saved_ns = (int64_t)st.st_mtim.tv_sec * NS_PER_S;
	format_time(v->saved_ns, since);
	for (i = 0; i < v->state->ndisks; i++) {
		struct disk_state *d = &v->state->disks[i];

		if (d->word != WORD_PAUSED)
			d->word = WORD_STALLED;
		d->under_way_ns = d->next_ns = 0;
		snprintf(d->error, sizeof(d->error),
			 "%s: the state cannot be saved since %s: %s",
			 v->conf->state, since, strerror(v->trouble));
		d->error_ns = v->saved_ns;
	}
}

/* Disks of the configuration in its order, others are not shown. */
static int load(struct view *v, struct err *e)
{
	struct agent_state *old = calloc(1, sizeof(*old));
	struct control control = {-1, -1};
	unsigned i;
	int rc;

	v->state = calloc(1, sizeof(*v->state));
	if (old == NULL || v->state == NULL) {
		free(old);
		return err_set(e, PS_TEMPFAIL, "out of memory");
	}
	rc = state_read(old, v->dirfd, e);
	if (rc == 0)
		rc = control_open(&control, v->dirfd, e);
	memcpy(v->state->limits, old->limits, sizeof(old->limits));
	v->state->place = old->place;
	memcpy(v->state->place_error, old->place_error,
	       sizeof(old->place_error));
	for (i = 0; rc == 0 && i < v->conf->ndisks; i++) {
		struct disk_state *st = &v->state->disks[v->state->ndisks++];
		const char *name = v->conf->disks[i].name;
		const struct disk_state *was = state_disk(old, name);

		if (was != NULL)
			*st = *was;
		snprintf(st->name, sizeof(st->name), "%s", name);
		if (control_paused(&control, name))
			st->word = WORD_PAUSED;
		else if (st->word == WORD_PAUSED)
			st->word = WORD_INITIATING;
	}
	control_close(&control);
	free(old);
	return rc;
}

int view_open(struct view *v, const struct agent_conf *c, struct err *e)
{
	int rc;

	*v = (struct view){.conf = c, .now = time_now_ns()};
	v->dirfd = open(c->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (v->dirfd < 0) {
		rc = err_sys(e, 0, "%s", c->state);
		err_hint(e, "no agent has run here yet: ps-agent once");
		return rc;
	}
	v->running = lock_look(v->dirfd, &v->trouble);
	rc = load(v, e);
	if (rc < 0)
		view_close(v);
	else if (v->trouble != 0)
		doubt(v);
	return rc;
}

void view_close(struct view *v)
{
	free(v->state);
	v->state = NULL;
	close(v->dirfd);
	v->dirfd = -1;
}
