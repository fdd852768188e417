#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/commands.h"
#include "base/text.h"
#include "base/units.h"
#include "segment/ack.h"

#define ASK_LIMIT_S 600 /* of what is short by nature; the rest has none */
#define SHRINKS_MAX 5
#define SHRINK_ENOUGH (16 * 1024 * 1024) /* bytes: a moment's work */

static void note(struct disk *d, const char *fmt, va_list ap)
{
	vsnprintf(d->st->error, sizeof(d->st->error), fmt, ap);
	text_tame(d->st->error);
	d->st->error_ns = time_now_ns();
	d->agent->changed = true;
}

void disk_note_error(struct disk *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(d, fmt, ap);
	va_end(ap);
}

void disk_error(struct disk *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(d, fmt, ap);
	va_end(ap);
	agent_complain(d->agent, d->conf->name, "%s", d->st->error);
}

void disk_set_word(struct disk *d, enum disk_word word)
{
	if (d->st->word != word)
		d->agent->changed = true;
	d->st->word = word;
}

bool disk_sends(const struct disk *d)
{
	return d->phase >= DISK_CHANGES && d->phase <= DISK_LAST;
}

bool disk_passes(const struct disk *d)
{
	return d->phase == DISK_SHRINK || d->phase == DISK_WINDOW ||
	       d->phase == DISK_LAST;
}

bool disk_has_provider(const struct disk *d)
{
	return strcmp(d->conf->provider, "none") != 0;
}

/* ---- the end of a round ---- */

void disk_end(struct disk *d)
{
	int64_t next = d->wait.next;

	d->phase = DISK_IDLE;
	d->begun = false;
	d->mark = NULL;
	d->snapshot[0] = '\0';
	free(d->source);
	d->source = NULL;
	disk_unlock(d);
	d->st->under_way_ns = 0;
	d->st->pending.bookmark[0] = '\0';
	if (d->agent->server.next > next)
		next = d->agent->server.next;
	d->st->next_ns = d->failed ? wall_of(next) : 0;
	d->agent->changed = true;
}

/* ---- tasks ---- */

static void on_line(void *ctx, const char *line)
{
	struct disk *d = ctx;
	size_t n = strlen(line);
	struct ack ack;

	switch (d->phase) {
	case DISK_TRAITS:
	case DISK_LIST:
	case DISK_CREATE:
		disk_provider_line(d, line);
		break;
	case DISK_IDENTIFY:
	case DISK_LOOK:
		if (d->ntext + n + 2 > sizeof(d->text))
			break;
		memcpy(d->text + d->ntext, line, n);
		d->ntext += n;
		d->text[d->ntext++] = '\n';
		d->text[d->ntext] = '\0';
		break;
	default:
		if (ack_parse(&ack, line, NULL) < 0 ||
		    ack.level == ACK_REFUSED ||
		    strcmp(ack.disk, d->conf->name) != 0)
			break;
		if (ack.seq > d->seq)
			d->seq = ack.seq;
		if (ack.head && ack.level == ACK_DURABLE)
			d->st->acked_seq = ack.seq;
		if (ack.level == ACK_STORED)
			d->st->stored_seq = ack.seq;
	}
}

static void done(void *ctx, const struct task_result *r);

/* Begins the task whose plan was made. */
void disk_run(struct disk *d, enum disk_phase phase, uint64_t limit_s)
{
	bool lists = phase == DISK_CHANGES || phase == DISK_CONVERGE;
	struct task *t = &d->task;

	d->phase = phase;
	t->who = d->conf->name;
	t->limit_s = limit_s;
	t->line = on_line;
	t->done = done;
	t->ctx = d;
	t->env = d->env;
	t->in_path = phase == DISK_ADOPT ? d->digests : NULL;
	t->out_path = lists ? d->changes : NULL;
	t->prepare = lists ? limits_apply_list : limits_apply;
	t->prepare_ctx = &d->agent->limits;
	t->gauge = disk_passes(d) ? &d->gauge : NULL;
	task_start(&d->agent->loop, t);
}

/* The report of the one before must not be taken for that of this one. */
static void ask(struct disk *d, enum disk_phase phase, uint64_t limit_s)
{
	(void)unlink(d->report);
	d->seq = 0;
	disk_run(d, phase, limit_s);
}

/* ---- the disk itself ---- */

static void identify(struct disk *d)
{
	d->ntext = 0;
	d->text[0] = '\0';
	command_identify(d, &d->task.plan);
	disk_run(d, DISK_IDENTIFY, ASK_LIMIT_S);
}

static void identified(struct disk *d, const struct task_result *r)
{
	struct task_result held = {.stage = 1};
	struct err e = {0};

	/* Of a provider's source only the provider knows what it is. */
	if (r->code != 0 && !(r->code == PS_NOINPUT && disk_has_provider(d))) {
		disk_fail(d, r);
		return;
	}
	if (disk_lock(d, d->text, &e) < 0) {
		held.code = e.code;
		snprintf(held.words, sizeof(held.words), "%.300s%s%.90s", e.msg,
			 e.hint[0] != '\0' ? "; " : "", e.hint);
		disk_fail(d, &held);
		return;
	}
	if (!disk_same(d))
		return;
	if (disk_has_provider(d) && (!d->traits_known || !d->swept))
		disk_traits(d);
	else
		disk_settle(d);
}

/* ---- settled with the server ---- */

void disk_settle(struct disk *d)
{
	command_settle(d, &d->task.plan);
	ask(d, DISK_SETTLE, ASK_LIMIT_S);
}

static void looked(struct disk *d, const struct task_result *r);

static void look(struct disk *d)
{
	d->ntext = 0;
	d->text[0] = '\0';
	d->scan = (struct scan_status){0};
	if (access(d->map, F_OK) < 0 && errno == ENOENT) {
		/* No map yet: nothing was ever sent. */
		struct task_result none = {.code = PS_NOINPUT};

		looked(d, &none);
		return;
	}
	command_look(d, &d->task.plan);
	disk_run(d, DISK_LOOK, ASK_LIMIT_S);
}

static void settled(struct disk *d, const struct task_result *r)
{
	if (r->code == PS_DATA && r->stage == 1 && !disk_is_ours(d))
		return;
	/* 65 of ps-scan: this map cannot be brought to the server's head. */
	if (r->code == PS_DATA && r->stage == 1 && !d->resynced) {
		d->resync = d->resynced = true;
		disk_error(d,
			   "resync: the map does not fit the server's head, "
			   "its digest map is asked for (%.200s)",
			   r->words);
		disk_set_word(d, WORD_RESYNC);
		command_fetch_map(d, &d->task.plan);
		ask(d, DISK_MAP, ASK_LIMIT_S);
		return;
	}
	if (r->code != 0) {
		disk_fail(d, r);
		return;
	}
	backoff_clear(&d->agent->server);
	/* That is over; what comes now may take hours. */
	if (strcmp(d->st->cause, "unreachable") == 0)
		d->st->cause[0] = d->st->error[0] = '\0';
	look(d);
}

static void map_fetched(struct disk *d, const struct task_result *r)
{
	if (r->code == 0) {
		command_adopt(d, &d->task.plan);
		disk_run(d, DISK_ADOPT, ASK_LIMIT_S);
	} else if (r->code == PS_NO) {
		disk_error(d, "resync: the server makes no digest map: a new "
			      "base is begun, everything is sent again");
		command_restart(d, &d->task.plan);
		ask(d, DISK_RESTART, ASK_LIMIT_S);
	} else {
		disk_fail(d, r);
	}
}

/* A server that died, or lost its cache, had acknowledged more than is there.
 */
static void forget_lost(struct disk *d, uint64_t from)
{
	const struct agent_lost *l = &d->st->lost;

	if (state_points_lose(d->st, from, time_now_ns()) == 0)
		return;
	d->agent->changed = true;
	agent_complain(d->agent, d->conf->name,
		       "%u points that the process server had acknowledged are "
		       "lost, %s to %s: their blocks are sent again",
		       l->n, l->first.bookmark, l->last.bookmark);
}

/*
 * A pass may have ended well and its agent been killed before it wrote that
 * down: nothing is left to read, and the server has what was sent.
 */
static void recall_pending(struct disk *d)
{
	struct agent_point *p = &d->st->pending;

	if (p->bookmark[0] == '\0')
		return;
	disk_distrust_base(d);
	p->seq = d->scan.seq;
	if (d->scan.point && !d->scan.new_base && d->scan.dirty_bytes == 0 &&
	    (d->st->npoints == 0 ||
	     d->st->points[d->st->npoints - 1].seq < p->seq))
		state_point_add(d->st, p);
	p->bookmark[0] = '\0';
	d->agent->changed = true;
}

static void ready(struct disk *d)
{
	d->phase = DISK_READY;
}

void disk_shrink(struct disk *d)
{
	if (!disk_same(d))
		return;
	command_pass(d, PASS_SHRINK, &d->task.plan);
	ask(d, DISK_SHRINK, 0);
}

static void shrink(struct disk *d)
{
	d->shrinks++;
	if (d->converges)
		disk_converge(d);
	else
		disk_shrink(d);
}

/* Is what is left to send in the window small, or as small as it gets? */
static void shrunk(struct disk *d, const struct task_result *r)
{
	struct report rep;
	bool again;

	if (r->code != 0) {
		disk_fail(d, r);
		return;
	}
	(void)report_read(AT_FDCWD, d->report, &rep);
	/* To read all takes long: much may have been written meanwhile. */
	again = d->step[0] != '\0' && !d->listed && d->shrinks == 1;
	disk_base_moves(d);
	if (d->shrinks < SHRINKS_MAX &&
	    (again ||
	     (rep.bytes > SHRINK_ENOUGH &&
	      (d->shrinks == 1 || rep.bytes < d->last_shrink / 4 * 3)))) {
		d->last_shrink = rep.bytes;
		shrink(d);
	} else {
		ready(d);
	}
}

static void last_pass(struct disk *d);

static void looked(struct disk *d, const struct task_result *r)
{
	struct disk_state *st = d->st;

	if (r->code == 0 && !scan_status_parse(d->text, &d->scan)) {
		struct task_result bad = {.code = PS_DATA};

		snprintf(bad.words, sizeof(bad.words),
			 "ps-scan --status: not understood");
		disk_fail(d, &bad);
		return;
	}
	if (r->code != 0 && r->code != PS_NOINPUT) {
		disk_fail(d, r);
		return;
	}
	if (r->code == 0) {
		st->missed = d->scan.scrub_found;
		forget_lost(d, d->scan.seq + 1);
	}
	if (d->source != NULL) { /* between window and last part */
		last_pass(d);
		return;
	}
	recall_pending(d);
	st->size = d->scan.size;
	st->backlog = d->scan.dirty_bytes;
	st->complete = d->scan.point && !d->scan.new_base;
	d->full =
	    control_wants_rescan(&d->agent->control, d->conf->name, &d->asked);
	if (d->resync || (d->scan.seq > 0 && d->scan.new_base))
		disk_set_word(d, WORD_RESYNC);
	else if (!st->complete)
		disk_set_word(d, WORD_INITIAL_SYNC);
	else if (d->full)
		disk_set_word(d, WORD_RESCAN);
	else if (st->word != WORD_STALLED) /* until a pass went through */
		disk_set_word(d, WORD_CONTINUOUS);
	if (!st->complete && d->mark->group) {
		/* Not with the others: it begins alone. */
		d->tried = false;
		disk_cleanup(d);
		return;
	}
	/* These read all once more, and lists begin anew. */
	if (d->converges &&
	    (d->full || d->resync || d->scan.new_base || r->code == PS_NOINPUT))
		st->base[0] = '\0';
	if (d->window_s > 0)
		shrink(d);
	else
		ready(d);
}

/* ---- the pass ---- */

/*
 * Everything was read while writers were held and `check` has said so: the
 * last part reads nothing, it only says that the point is there.
 */
static void last_pass(struct disk *d)
{
	FILE *f = fopen(d->changes, "we");

	if (f != NULL) {
		fprintf(f, "0 %llu clean\n", (unsigned long long)d->scan.size);
		d->listed = fclose(f) == 0;
	}
	/* Something has to be read after the check: nobody vouches for it. */
	if (d->scan.dirty_bytes > 0 || d->scan.new_base || !d->listed)
		d->reached = CONS_NONE;
	d->st->pending.consistency = d->reached;
	command_pass(d, PASS_POINT, &d->task.plan);
	ask(d, DISK_LAST, 0);
}

static void pass(struct disk *d)
{
	if (!disk_same(d))
		return;
	d->begun = true;
	if (d->window_s > 0) {
		command_pass(d, PASS_WINDOW, &d->task.plan);
		ask(d, DISK_WINDOW, 0);
	} else {
		command_pass(d, PASS_POINT, &d->task.plan);
		ask(d, DISK_LAST, 0);
	}
}

void disk_send(struct disk *d)
{
	d->listed = false;
	if (d->has_changes && d->st->base[0] != '\0' &&
	    (!d->full || d->converges)) {
		command_list(d, "changes", &d->task.plan);
		disk_run(d, DISK_CHANGES, ASK_LIMIT_S);
		return;
	}
	pass(d);
}

static void changes_made(struct disk *d, const struct task_result *r)
{
	d->listed = r->code == 0;
	if (r->interrupted) {
		disk_fail(d, r);
		return;
	}
	if (r->code > PS_NO)
		agent_say(d->agent, d->conf->name,
			  "no change list (%s): the whole disk is read",
			  r->words);
	pass(d);
}

/* The last part is durable: the point counts, the base moves on. */
static void passed(struct disk *d)
{
	struct disk_state *st = d->st;
	char old[SNAPSHOT_SIZE];

	d->begun = false;
	st->pending.seq = d->seq;
	forget_lost(d, d->seq); /* of a map that was made anew */
	state_point_add(st, &st->pending);
	st->pending.bookmark[0] = '\0';
	st->acked_seq = d->seq;
	disk_own_point(d);
	st->complete = true;
	st->alone = st->anew = false;
	st->backlog = 0;
	if (d->mark->app_failed || d->reached >= CONS_CRASH ||
	    !disk_has_provider(d))
		st->cause[0] = '\0';
	if (!d->mark->app_failed && !d->lost)
		st->error[0] = '\0';
	disk_set_word(d, WORD_CONTINUOUS);
	if (d->full)
		(void)control_rescan_done(&d->agent->control, d->conf->name,
					  &d->asked, NULL);
	disk_trust_map(d);
	d->resync = false;
	d->missed = false;
	backoff_clear(&d->wait);
	backoff_clear(&d->agent->heads_wait);
	snprintf(old, sizeof(old), "%s", d->keeps ? st->base : "");
	/* The provider may know changes since a snapshot that is gone. */
	snprintf(st->base, sizeof(st->base), "%s",
		 d->keeps || d->has_changes ? d->snapshot : "");
	if (d->keeps)
		d->snapshot[0] = '\0';
	agent_save(d->agent); /* before the old base goes */
	if (old[0] != '\0')
		disk_doom(d, old);
	disk_cleanup(d);
}

static void done(void *ctx, const struct task_result *r)
{
	struct disk *d = ctx;

	switch (d->phase) {
	case DISK_IDENTIFY:
		identified(d, r);
		break;
	case DISK_SETTLE:
		settled(d, r);
		break;
	case DISK_MAP:
		map_fetched(d, r);
		break;
	case DISK_ADOPT:
	case DISK_RESTART:
		(void)unlink(d->digests);
		if (r->code == 0)
			disk_settle(d);
		else
			disk_fail(d, r);
		break;
	case DISK_LOOK:
		looked(d, r);
		break;
	case DISK_SHRINK:
		shrunk(d, r);
		break;
	case DISK_CHANGES:
		changes_made(d, r);
		break;
	case DISK_LAST:
		if (r->code == 0)
			passed(d);
		else
			disk_fail(d, r);
		break;
	case DISK_WINDOW:
		if (r->code != 0) {
			disk_fail(d, r);
			break;
		}
		command_provider(d, "check", &d->task.plan);
		disk_run(d, DISK_CHECK, d->agent->conf->provider_timeout_s);
		break;
	case DISK_CHECK:
		d->lost = r->code != 0;
		if (d->lost) {
			d->reached = CONS_NONE;
			disk_error(d, "the window was not kept: writers were "
				      "let go before everything was read");
		}
		look(d);
		break;
	default:
		disk_provider_done(d, r);
	}
}

/* ---- from outside ---- */

void disk_begin(struct disk *d, struct mark *m)
{
	d->mark = m;
	d->failed = d->resynced = d->listed = d->lost = false;
	d->sweeping = false;
	d->shrinks = 0;
	d->step[0] = '\0';
	d->st->under_way_ns = time_now_ns();
	d->st->next_ns = 0;
	d->agent->changed = true;
	identify(d);
}

void disk_release(struct disk *d)
{
	disk_cleanup(d);
}

void disk_interrupt(struct disk *d, uint64_t drain_s)
{
	if (!d->task.running || d->phase == DISK_DELETE ||
	    d->phase == DISK_CREATE)
		return; /* these end soon by themselves */
	if (drain_s > 0 && disk_sends(d) && d->phase != DISK_CHANGES)
		task_drain(&d->task, drain_s);
	else
		task_stop(&d->task);
}
