/* After a failure: what is no longer trusted, and what is done. */
#include "config.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "base/units.h"

/*
 * A pass whose end we did not see may have come to its end all the same: the
 * acknowledgement of its last part is found when the disk settles, and then
 * the dirty list forgets what that pass had read. A list of changes since the
 * snapshot before it would leave out a block that the pass had sent and that
 * has changed back since. So there is no base any more: all is read.
 */
void disk_distrust_base(struct disk *d)
{
	if (d->st->base[0] == '\0')
		return;
	if (d->keeps)
		disk_doom(d, d->st->base);
	d->st->base[0] = '\0';
	d->agent->changed = true;
}

/* Then it is the disk, not the map; ps-scan has just opened it. */
static bool shrunk(const struct disk *d, const struct task_result *r)
{
	return r->code == PS_DATA && r->stage == 0 && disk_has_shrunk(d);
}

/*
 * ps-scan says that data are damaged. A change list may be: without a base
 * there is none the next time. Else it is the map, in a place that settling
 * does not read; without it the disk is compared with the server's.
 */
void disk_distrust_map(struct disk *d, const struct task_result *r)
{
	bool scans = d->phase == DISK_SHRINK || d->phase == DISK_WINDOW ||
		     d->phase == DISK_LAST;
	char aside[PATH_MAX];

	if (r->code != PS_DATA || r->interrupted || d->listed ||
	    (scans && shrunk(d, r)) ||
	    !(d->phase == DISK_LOOK ||
	      (scans && (r->stage == 0 || r->stage + 1 == d->task.plan.n))))
		return;
	snprintf(aside, sizeof(aside), "%s.damaged", d->map);
	/* It was made again, and that did not help. */
	if (access(aside, F_OK) == 0)
		return;
	if (rename(d->map, aside) == 0)
		agent_say(d->agent, d->conf->name,
			  "the map is damaged: it is now %s, and made again",
			  aside);
}

/* A pass went through with the map that is there now. */
void disk_trust_map(const struct disk *d)
{
	char aside[PATH_MAX];

	snprintf(aside, sizeof(aside), "%s.damaged", d->map);
	(void)unlink(aside);
}

/* ---- what is done ---- */

/* A hold is told as an answer: cxpsclient is content, ps-scan says 1. */
static bool refused(const struct disk *d, const struct task_result *r)
{
	return r->code == PS_NO && (d->phase == DISK_SETTLE || disk_passes(d));
}

/* What is done about a failure, by the server's word or the exit code. */
static void judge(struct disk *d, const struct task_result *r,
		  const struct report *rep)
{
	struct disk_state *st = d->st;
	struct agent *a = d->agent;
	uint64_t max = a->conf->max_wait_s;

	snprintf(st->cause, sizeof(st->cause), "%.31s", rep->cause);
	if (r->code == PS_UNAVAILABLE ||
	    strcmp(rep->cause, "unreachable") == 0) {
		where_doubt(a);
		snprintf(st->cause, sizeof(st->cause), "unreachable");
		disk_set_word(d, WORD_DISCONNECTED);
		/* All disks wait as one; each would ask for the same. */
		if (mono_now_ns() >= a->server.next)
			backoff_fail(&a->server, rep->retry_after, max);
		d->wait.next = 0;
		return;
	}
	/* Its machine goes, or has gone, to another one. */
	if (strcmp(rep->cause, "moving") == 0 ||
	    strcmp(rep->cause, "moved") == 0)
		where_doubt(a);
	if (refused(d, r) && st->cause[0] == '\0')
		snprintf(st->cause, sizeof(st->cause), "held");
	if (strcmp(st->cause, "held") == 0 || strcmp(st->cause, "refused") == 0)
		disk_set_word(d, WORD_HELD);
	else if (d->resync)
		disk_set_word(d, WORD_RESYNC);
	else if (strcmp(rep->cause, "unseated") == 0)
		disk_set_word(d, WORD_INITIATING);
	else if (rep->cause[0] != '\0' && r->code == PS_TEMPFAIL)
		disk_set_word(d, WORD_THROTTLED);
	else
		disk_set_word(d, WORD_STALLED);
	/* The server knows when there will be room: it need not be guessed. */
	if (d->st->word == WORD_THROTTLED && rep->retry_after > 0)
		backoff_clear(&d->wait);
	/* What somebody has to mend is tried again, but seldom. */
	if (r->code == PS_CONFIG || r->code == PS_NOPERM || r->code == PS_USAGE)
		d->wait.wait_s = max;
	backoff_fail(&d->wait, rep->retry_after, max);
}

/*
 * Which program of a chain is seen to end first is chance: ps-scan says 75
 * because it was told nothing, cxpsclient says why.
 */
static void name_cause(struct task_result *r, const struct report *rep)
{
	if (r->code != PS_TEMPFAIL || strcmp(rep->cause, "unreachable") != 0)
		return;
	r->code = PS_UNAVAILABLE;
	if (rep->error[0] != '\0')
		snprintf(r->words, sizeof(r->words), "%s", rep->error);
}

/* What its program has said already is not said again for one word more. */
static void tell_failure(struct disk *d, const struct task_result *r,
			 const char *cause)
{
	const char *colon = cause[0] != '\0' ? ": " : "";

	if (disk_passes(d) && shrunk(d, r))
		disk_error(d, "%s%s%s; if that is meant: ps-agent accept",
			   r->words, colon, cause);
	else if (task_said(&d->task, r->words))
		disk_note_error(d, "%s%s%s", r->words, colon, cause);
	else
		disk_error(d, "%s%s%s", r->words, colon, cause);
}

void disk_fail(struct disk *d, const struct task_result *result)
{
	struct task_result own = *result, *r = &own;
	bool asked = d->phase == DISK_SETTLE || d->phase == DISK_MAP ||
		     d->phase == DISK_RESTART || disk_passes(d);
	struct report rep = {0};

	if (asked)
		(void)report_read(AT_FDCWD, d->report, &rep);
	name_cause(r, &rep);
	disk_distrust_map(d, r);
	if (d->begun)
		disk_distrust_base(d);
	d->failed = true;
	d->missed = true;
	agent_count(d->agent, r->code);
	if (r->interrupted || d->agent->stopping) {
		/* That was us. */
		backoff_clear(&d->wait);
		disk_cleanup(d);
		return;
	}
	judge(d, r, &rep);
	if ((disk_passes(d) || d->phase == DISK_IDENTIFY) && r->stage == 0 &&
	    (r->code == PS_IOERR || r->code == PS_NOINPUT))
		d->st->alone = true;
	tell_failure(d, r, rep.cause);
	disk_cleanup(d);
}
