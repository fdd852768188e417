#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/view.h"
#include "agent/why.h"
#include "base/units.h"

/* What to do, at a source; in the order in which they are looked for. */
static const struct {
	enum why_cause cause;
	const char *next;
} causes[] = {
    {WHY_AGENT_DOWN, "start it: systemctl start ps-agent; or ps-agent once "
		     "from cron"},
    {WHY_SERVER_UNREACHABLE, "try it step by step: cxpsclient -i SERVER -P "
			     "KEY"},
    {WHY_HELD, "on the process server: ps-cache stat"},
    {WHY_PASS_FAILED, "see ps-agent status; then mend what its error says"},
    {WHY_THROTTLE, "on the process server: ps-health why"},
    {WHY_UNSEATED, "on the process server: ps-health why"},
    {WHY_READ_LIMIT, "raise limits.read-rate in agent.yaml, or wait"},
    {WHY_SEND_LIMIT, "raise limits.send-rate in agent.yaml, or wait"},
    {WHY_SERVER_SLOW, "on the process server: the disk of its cache (iostat "
		      "-x 1), its processor; ps-health why"},
    {WHY_NETWORK_IN, "measure the line: cxpsclient -i SERVER -P KEY; on the "
		     "process server: ps-health why"},
    {WHY_ENCRYPT, "give this machine more processor, or seal on the process "
		  "server"},
    {WHY_COMPRESS, "give ps-agent more processor (limits.cpu, limits.nice), "
		   "or a lower compress.level"},
    {WHY_SOURCE_READ, "a provider with change lists reads less; see what else "
		      "uses the disk: iostat -x 1"},
    {WHY_PAUSED, "ps-agent resume"},
};
#define CAUSES (sizeof(causes) / sizeof(*causes))

static size_t rank_of(enum why_cause c)
{
	size_t i = 0;

	while (i < CAUSES && causes[i].cause != c)
		i++;
	return i;
}

/* ---- one disk ---- */

static enum why_state state_of(enum disk_word w)
{
	static const enum why_state states[] = {
	    [WORD_INITIATING] = STATE_INITIATING,
	    [WORD_INITIAL_SYNC] = STATE_INITIAL_SYNC,
	    [WORD_CONTINUOUS] = STATE_CONTINUOUS,
	    [WORD_BACKLOG] = STATE_BACKLOG,
	    [WORD_RESCAN] = STATE_RESCAN,
	    [WORD_RESYNC] = STATE_RESYNC,
	    [WORD_PAUSED] = STATE_PAUSED,
	    [WORD_STALLED] = STATE_STALLED,
	    [WORD_DISCONNECTED] = STATE_DISCONNECTED,
	    [WORD_THROTTLED] = STATE_THROTTLED,
	    [WORD_HELD] = STATE_HELD,
	};

	return states[w];
}

/* A disk that is behind; what is not could wait for anything. */
static enum why_cause cause_of(const struct view *v, const struct disk_view *d)
{
	if (d->word == WORD_PAUSED)
		return WHY_PAUSED;
	if (!v->running)
		return WHY_AGENT_DOWN;
	if (d->word == WORD_DISCONNECTED)
		return WHY_SERVER_UNREACHABLE;
	if (d->word == WORD_HELD)
		return WHY_HELD;
	if (d->word == WORD_THROTTLED)
		return WHY_THROTTLE;
	if (strcmp(d->cause, "unseated") == 0)
		return WHY_UNSEATED;
	if (d->limit != WHY_NOTHING)
		return d->limit;
	return d->st->error[0] != '\0' && d->st->under_way_ns == 0
		   ? WHY_PASS_FAILED
		   : WHY_NOTHING;
}

static int add_disk(struct why *w, const struct view *v,
		    const struct disk_view *d, struct err *e)
{
	struct why_disk *disks =
	    realloc(w->disks, (w->n + 1) * sizeof(*w->disks));
	struct why_disk *to;

	if (disks == NULL)
		return err_sys(e, PS_TEMPFAIL, "disks");
	w->disks = disks;
	to = &disks[w->n++];
	*to =
	    (struct why_disk){.state = state_of(d->word),
			      .cause = d->behind ? cause_of(v, d) : WHY_NOTHING,
			      .accepted = d->st->acked_seq,
			      .stored = d->st->stored_seq,
			      .backlog = d->backlog,
			      .silent = -1};
	snprintf(to->machine, sizeof(to->machine), "%s", v->conf->machine);
	snprintf(to->disk, sizeof(to->disk), "%s", d->st->name);
	if (d->acked != NULL)
		to->lag = view_age_ns(v, d->acked) / NS_PER_S;
	if (d->chain.n > 0 && w->nfollowers < WHY_FOLLOWERS)
		w->followers[w->nfollowers++] = d->chain;
	return 0;
}

/* ---- in words ---- */

static void say(struct why *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void say(struct why *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w->what, sizeof(w->what), fmt, ap);
	va_end(ap);
}

static void tell_cause(struct why *w, const struct view *v,
		       const struct disk_view *d)
{
	const char *name = d->st->name;
	char rate[32];

	format_size(w->cause == WHY_NETWORK_IN ? d->report.rate : d->rate, rate,
		    sizeof(rate));
	switch (w->cause) {
	case WHY_AGENT_DOWN:
		say(w, "no ps-agent runs, and the last point is old");
		break;
	case WHY_SERVER_UNREACHABLE:
		say(w, "the process server %s cannot be reached",
		    v->conf->host);
		break;
	case WHY_HELD:
		say(w, "the process server holds %s until somebody looks",
		    name);
		break;
	case WHY_THROTTLE:
		say(w, "the process server takes nothing of %s now: %s", name,
		    d->cause);
		break;
	case WHY_UNSEATED:
		say(w, "the process server prepares to take %s", name);
		break;
	case WHY_READ_LIMIT:
		say(w, "%s is held to limits.read-rate", name);
		break;
	case WHY_SEND_LIMIT:
		say(w, "%s is held to limits.send-rate", name);
		break;
	case WHY_SERVER_SLOW:
		say(w,
		    "the process server takes no more of %s: it works, or "
		    "waits for its disk, in %.0f %% of the time",
		    name, d->report.server * 100);
		break;
	case WHY_NETWORK_IN:
		say(w, "the line%s takes no more of %s (%s/s)",
		    d->report.server < 0 ? ", or the process server," : "",
		    name, rate);
		break;
	case WHY_SOURCE_READ:
		say(w, "%s is read with %s/s, all behind waits for it", name,
		    rate);
		break;
	case WHY_ENCRYPT:
	case WHY_COMPRESS:
		say(w, "%s takes no more of %s", d->stage->name, name);
		break;
	case WHY_PAUSED:
		say(w, "%s is paused", name);
		break;
	default:
		say(w, "the last pass of %s failed", name);
		break;
	}
}

static void tell_evidence(struct why *w, const struct disk_view *d)
{
	const struct why_stage *s = d->stage;
	bool first = s != NULL && s == &d->chain.stages[0];

	if (s != NULL && d->limit == w->cause) {
		w->share = s->limits;
		w->samples = s->samples;
		snprintf(w->evidence, sizeof(w->evidence),
			 "%s limits the pass of %s in %.0f %% of %u samples: "
			 "%sbehind it empty; it uses %.0f %% of a processor",
			 s->name, d->st->name, s->limits * 100, s->samples,
			 first ? "" : "before it full, ", s->cpu * 100);
	} else if (w->cause != WHY_PAUSED) {
		snprintf(w->evidence, sizeof(w->evidence), "%s", d->st->error);
	}
}

/* The disk whose cause comes first decides. */
static void judge(struct why *w, const struct view *v,
		  const struct disk_view *disks)
{
	size_t best = CAUSES, rank, i, at = 0;

	for (i = 0; i < w->n; i++) {
		rank = rank_of(w->disks[i].cause);
		if (rank >= best)
			continue;
		best = rank;
		at = i;
	}
	w->next = "";
	w->share = -1;
	if (best == CAUSES) {
		say(w, "nothing holds it back");
		return;
	}
	w->cause = causes[best].cause;
	w->next = causes[best].next;
	w->behind = true;
	tell_cause(w, v, &disks[at]);
	tell_evidence(w, &disks[at]);
}

/* Fills in `disks`, one for each of w->disks. */
static int look(const struct view *v, const char *disk, struct disk_view *disks,
		struct why *w, struct err *e)
{
	unsigned i;
	int rc = 0;

	for (i = 0; rc == 0 && i < v->state->ndisks; i++) {
		struct disk_view *d = &disks[w->n];

		if (disk != NULL && strcmp(disk, v->state->disks[i].name) != 0)
			continue;
		view_disk(v, i, d);
		rc = add_disk(w, v, d, e);
		w->backlog += d->backlog;
		w->drain += (double)d->rate;
		if (rc == 0 && w->disks[w->n - 1].lag > w->lag)
			w->lag = w->disks[w->n - 1].lag;
	}
	if (w->drain <= 0)
		w->drain = -1;
	if (w->backlog > 0)
		w->eta = w->drain < 0
			     ? WHY_UNKNOWN
			     : (int64_t)((double)w->backlog / w->drain) + 1;
	return rc;
}

int agent_why(const struct agent_conf *c, const char *machine, const char *disk,
	      struct why *ret, struct err *e)
{
	struct disk_view *disks = calloc(c->ndisks, sizeof(*disks));
	struct view v;
	int rc;

	if (disks == NULL)
		return err_sys(e, PS_TEMPFAIL, "disks");
	rc = view_open(&v, c, e);
	if (rc < 0) {
		free(disks);
		return rc;
	}
	*ret = (struct why){.now = v.now / NS_PER_S, .intake = -1};
	if (machine == NULL || strcmp(machine, c->machine) == 0)
		rc = look(&v, disk, disks, ret, e);
	if (rc == 0 && ret->n == 0)
		rc = err_set(e, PS_NOINPUT,
			     "%s%s%s: not in the agent's "
			     "configuration",
			     machine != NULL ? machine : c->machine,
			     disk != NULL ? "/" : "", disk != NULL ? disk : "");
	if (rc == 0)
		judge(ret, &v, disks);
	else
		why_free(ret);
	view_close(&v);
	free(disks);
	return rc;
}
