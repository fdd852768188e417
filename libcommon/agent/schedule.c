#include "config.h"

#include <string.h>

#include "agent/agent.h"
#include "agent/commands.h"
#include "agent/schedule.h"
#include "base/units.h"
#include "segment/ack.h"

#define HEADS_MAX_S 60 /* longest wait between two looks at what is stored */
#define HEADS_LIMIT_S 60

static int64_t interval(const struct agent *a)
{
	return (int64_t)a->conf->interval_s * NS_PER_S;
}

void schedule_begin(struct agent *a)
{
	int64_t since = time_now_ns() - a->state->bookmark_ns;

	/* A service that is started again keeps its rhythm. */
	a->group_next = mono_now_ns();
	if (!a->once && since >= 0 && since < interval(a))
		a->group_next += interval(a) - since;
}

/* ---- pause ---- */

static void obey(struct agent *a)
{
	unsigned i;

	for (i = 0; i < a->ndisks; i++) {
		struct disk *d = &a->disks[i];
		bool paused = agent_paused(a, d->conf->name);

		/* It was waited for. */
		if (d->mark == NULL && d->missed &&
		    control_accepts(&a->control, d->conf->name))
			backoff_clear(&d->wait);
		if (paused && d->phase == DISK_READY)
			disk_release(d);
		else if (paused && d->mark != NULL)
			disk_interrupt(d, 0);
		if (paused == (d->st->word == WORD_PAUSED))
			continue;
		if (!paused)
			d->st->word =
			    d->st->complete ? WORD_CONTINUOUS : WORD_INITIATING;
		else if (d->mark == NULL)
			d->st->word = WORD_PAUSED;
		a->changed = true;
	}
}

/* ---- bookmarks ---- */

/* May it begin now? */
static bool free_now(const struct agent *a, const struct disk *d, int64_t now)
{
	return d->mark == NULL && d->wait.next <= now &&
	       !agent_paused(a, d->conf->name);
}

/* Does it belong into the bookmarks of all disks? */
static bool joins(const struct disk *d)
{
	return d->st->complete && !d->st->alone;
}

static bool group_busy(const struct agent *a)
{
	const struct mark *m;

	for (m = a->marks; m != NULL; m = m->next)
		if (m->group)
			return true;
	return false;
}

/*
 * A pass of the last one is still under way: wait for it, so that the bookmark
 * is whole. A new configuration comes when nothing is under way.
 */
static bool waits(const struct agent *a)
{
	return group_busy(a) || a->wants_reload;
}

static void begin_alone(struct agent *a, int64_t now)
{
	unsigned i;

	for (i = 0; i < a->ndisks; i++) {
		struct disk *d = &a->disks[i];
		struct mark *m;

		if (joins(d) || !free_now(a, d, now) || (a->once && d->tried))
			continue;
		m = mark_new(a, false);
		if (m == NULL)
			return;
		d->tried = true;
		disk_begin(d, m);
	}
}

/* Is there a disk that missed the last bookmark and may try again? */
static bool retry_due(const struct agent *a, int64_t now)
{
	unsigned i;

	for (i = 0; i < a->ndisks; i++)
		if (a->disks[i].missed && joins(&a->disks[i]) &&
		    free_now(a, &a->disks[i], now))
			return true;
	return false;
}

static void begin_group(struct agent *a, int64_t now)
{
	bool due = now >= a->group_next;
	struct mark *m = NULL;
	unsigned i;

	if (!due && !retry_due(a, now))
		return;
	/* One slow disk must not hold up the others for long. */
	if (waits(a) && now < a->group_next + interval(a))
		return;
	for (i = 0; i < a->ndisks; i++) {
		struct disk *d = &a->disks[i];

		if (!joins(d) || !free_now(a, d, now) || (a->once && d->tried))
			continue;
		if (m == NULL)
			m = mark_new(a, true);
		if (m == NULL)
			return;
		m->retry = !due;
		d->tried = true;
		disk_begin(d, m);
	}
	if (!due)
		return;
	a->group_next += interval(a);
	if (a->group_next <= now)
		a->group_next = now + interval(a);
}

/* ---- what is stored ---- */

static void heads_line(void *ctx, const char *line)
{
	struct agent *a = ctx;
	struct disk_state *d;
	struct ack ack;

	if (ack_parse(&ack, line, NULL) < 0 || ack.level != ACK_STORED ||
	    strcmp(ack.machine, a->conf->machine) != 0)
		return;
	d = state_disk(a->state, ack.disk);
	if (d != NULL && d->stored_seq != ack.seq) {
		d->stored_seq = ack.seq;
		a->changed = true;
	}
}

static void heads_done(void *ctx, const struct task_result *r)
{
	struct agent *a = ctx;

	(void)r;
	backoff_fail(&a->heads_wait, 0, HEADS_MAX_S);
}

static bool heads_wanted(const struct agent *a)
{
	unsigned i;

	for (i = 0; i < a->state->ndisks; i++)
		if (a->state->disks[i].acked_seq >
		    a->state->disks[i].stored_seq)
			return true;
	return false;
}

static void ask_heads(struct agent *a)
{
	struct task *t = &a->heads;

	command_heads(a, &t->plan);
	t->limit_s = HEADS_LIMIT_S;
	t->line = heads_line;
	t->done = heads_done;
	t->ctx = a;
	task_start(&a->loop, t);
}

/* ---- the clock ---- */

static int64_t earliest(const struct agent *a, int64_t now)
{
	int64_t at = a->group_next, t;
	unsigned i;

	if (waits(a) && at <= now)
		at = a->group_next + interval(a);
	for (i = 0; i < a->ndisks; i++) {
		const struct disk *d = &a->disks[i];

		t = d->wait.next;
		if (d->mark == NULL && (d->missed || !d->st->complete) &&
		    t > now && t < at)
			at = t;
	}
	return at;
}

/* For status: when a disk that waits gets its turn. */
static void plan_next(struct agent *a)
{
	unsigned i;

	for (i = 0; i < a->ndisks; i++) {
		struct disk *d = &a->disks[i];

		if (d->mark != NULL || d->st->next_ns != 0 ||
		    d->st->word == WORD_PAUSED || a->once)
			continue;
		d->st->next_ns = wall_of(a->group_next);
		a->changed = true;
	}
}

int64_t schedule_step(struct agent *a)
{
	int64_t now = mono_now_ns(), until = INT64_MAX, where;

	if (a->stopping)
		return until;
	obey(a);
	where = where_step(a, now);
	if (!where_ready(a))
		return where;
	if (now >= a->server.next) {
		if (!a->wants_reload)
			begin_alone(a, now);
		begin_group(a, now);
		until = earliest(a, now);
	} else {
		until = a->server.next;
	}
	if (a->once)
		return INT64_MAX;
	plan_next(a);
	if (!a->heads.running && now >= a->server.next && heads_wanted(a)) {
		if (now >= a->heads_wait.next)
			ask_heads(a);
		else if (a->heads_wait.next < until)
			until = a->heads_wait.next;
	}
	return where < until ? where : until;
}

bool schedule_once_over(struct agent *a)
{
	if (a->asked || a->code != 0 || !heads_wanted(a))
		return true;
	a->asked = true;
	ask_heads(a);
	return false;
}
