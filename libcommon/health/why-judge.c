/* Names the cause. */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "health/why.h"

/* Waiting for less is no backlog. */
#define SOON_S 60
/* A stage that limits in fewer samples is not named. */
#define SHARE_MIN 0.3
#define SAMPLES_MIN 8
/* Nothing of a disk stored for so long, while something waits. */
#define STALLED_S 900
/* A cache is full of something else when what waits is less of it. */
#define FOREIGN_SHARE 0.05
/* A disk is the slow one when it waits so much longer than its fellows. */
#define SLOW_TIMES 3
#define SLOW_S 60

static const struct {
	const char *word, *next;
} causes[WHY_CAUSES] = {
    [WHY_NOTHING] = {"nothing", ""},
    [WHY_CACHE_FAILED] = {"cache-failed",
			  "look at the disk, then ps-cache verify, then remove "
			  "CACHE/failed"},
    [WHY_PIPELINE_DOWN] = {"pipeline-down",
			   "start it: systemctl start ps-pipeline"},
    [WHY_PROXY] = {"proxy", "try it: ps-upload --probe; see proxy: and "
			    "proxy-auth: in ps.yaml, and https_proxy"},
    [WHY_STORE_UNREACHABLE] = {"store-unreachable",
			       "try it step by step: ps-upload --probe"},
    [WHY_CLOCK] = {"clock", "set the clock of this server: chronyc makestep"},
    [WHY_DENIED] = {"denied",
		    "try it: ps-upload --probe; see the credentials of the "
		    "store"},
    [WHY_STORE_ERRORS] = {"store-errors", "see the state of the store's "
					  "service; what was not stored is "
					  "tried again"},
    [WHY_RATE_LIMIT] = {"rate-limit",
			"raise upload.limit-rate in ps.yaml, or wait"},
    [WHY_STORE_LATENCY] = {"store-latency",
			   "measure it: ps-upload --probe; more transfers at a "
			   "time: upload.jobs in ps.yaml"},
    [WHY_ENCRYPT] = {"encrypt", "give this server more processor"},
    [WHY_COMPRESS] = {"compress",
		      "a lower compress.level, more processors, or compress "
		      "on the sources"},
    [WHY_CACHE_DISK] = {"cache-disk",
			"a faster disk for the cache; see what else uses it: "
			"iostat -x 1"},
    [WHY_HELD] = {"held", "see why: ps-cache stat; then ps-vault head | "
			  "ps-cache seat"},
    [WHY_UNSEATED] = {"unseated",
		      "ps-pipeline seats it when the vault can be reached"},
    [WHY_RECEIVER_DOWN] = {"receiver-down",
			   "start it: systemctl start ps-receive"},
    [WHY_CERTIFICATE] = {"certificate", "make a new one: ps-receive "
					"--new-cert, then restart ps-receive"},
    [WHY_THROTTLE] = {"throttle",
		      "make room on the volume of the cache; see what uses it: "
		      "du -x"},
    [WHY_SLOW_DISK] = {"slow-disk", "ps-health why MACHINE DISK"},
    [WHY_SOURCE_SILENT] = {"source-silent",
			   "on the source: ps-doctor, ps-agent status"},
    [WHY_AGENT_DOWN] = {"agent-down", ""},
    [WHY_SERVER_UNREACHABLE] = {"server-unreachable", ""},
    [WHY_PASS_FAILED] = {"pass-failed", ""},
    [WHY_READ_LIMIT] = {"read-limit", ""},
    [WHY_SEND_LIMIT] = {"send-limit", ""},
    [WHY_SERVER_SLOW] = {"server-slow", ""},
    [WHY_NETWORK_IN] = {"network-in", ""},
    [WHY_SOURCE_READ] = {"source-read", ""},
    [WHY_PAUSED] = {"paused", ""},
};

const char *why_word(enum why_cause c)
{
	return causes[c].word;
}

const char *why_state_name(enum why_state s)
{
	static const char *const names[] = {
	    "initiating", "initial sync", "continuous", "backlog",
	    "resync",	  "held",	  "stalled",	"disconnected",
	    "rescan",	  "paused",	  "throttled"};

	return names[s];
}

/* ---- one disk ---- */

static enum why_state state_of(const struct why *w, const struct why_disk *d,
			       int64_t silent_s)
{
	if (d->held)
		return STATE_HELD;
	if (d->asks_map)
		return STATE_RESYNC;
	if (!d->seated || d->accepted == 0)
		return STATE_INITIATING;
	if (d->lag > STALLED_S && d->stored_at != 0 &&
	    w->now - d->stored_at > STALLED_S)
		return STATE_STALLED;
	if (d->backlog == 0 && d->silent > silent_s)
		return STATE_DISCONNECTED;
	if (d->initial)
		return STATE_INITIAL_SYNC;
	return d->lag > SOON_S ? STATE_BACKLOG : STATE_CONTINUOUS;
}

/* What can be said of a disk without looking at the chain. */
static enum why_cause cause_of(const struct why_disk *d)
{
	if (d->held)
		return WHY_HELD;
	if (!d->seated)
		return WHY_UNSEATED;
	return d->state == STATE_DISCONNECTED ? WHY_SOURCE_SILENT : WHY_NOTHING;
}

/* ---- the chain ---- */

static void say(struct why *w, enum why_cause c, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void say(struct why *w, enum why_cause c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w->what, sizeof(w->what), fmt, ap);
	va_end(ap);
	w->cause = c;
	w->next = causes[c].next;
	w->share = -1;
}

static void evidence(struct why *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void evidence(struct why *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w->evidence, sizeof(w->evidence), fmt, ap);
	va_end(ap);
}

/* What the store answers is trouble: which? */
static enum why_cause trouble_of(const struct why_follower *f)
{
	/* Azure and S3 refuse requests by their date. */
	if (strstr(f->error, "RequestTimeTooSkewed") != NULL ||
	    strstr(f->error, "Request date header too old") != NULL ||
	    strstr(f->error, "clock") != NULL)
		return WHY_CLOCK;
	if (strcmp(f->cause, "proxy") == 0)
		return WHY_PROXY;
	if (strcmp(f->cause, "store-unreachable") == 0)
		return WHY_STORE_UNREACHABLE;
	if (strcmp(f->cause, "denied") == 0)
		return WHY_DENIED;
	return strcmp(f->cause, "store-errors") == 0 ? WHY_STORE_ERRORS
						     : WHY_NOTHING;
}

static bool judge_trouble(struct why *w, const struct why_follower *f)
{
	static const char *const words[WHY_CAUSES] = {
	    [WHY_CLOCK] = "this clock is wrong: the store refuses us",
	    [WHY_PROXY] = "the proxy on the way to the store fails",
	    [WHY_STORE_UNREACHABLE] = "the store cannot be reached",
	    [WHY_DENIED] = "the store refuses us",
	    [WHY_STORE_ERRORS] = "the store answers with errors",
	};
	enum why_cause c = trouble_of(f);

	if (c == WHY_NOTHING || (!f->uploading && !f->supervised &&
				 strcmp(f->state, "failed") != 0))
		return false;
	say(w, c, "%s%s", words[c],
	    f->supervised ? "" : "; ps-pipeline has stopped");
	evidence(w, "%s", f->error);
	return true;
}

static bool limits(const struct why_stage *s)
{
	return s->samples >= SAMPLES_MIN && s->limits >= SHARE_MIN;
}

const struct why_stage *why_narrowest(const struct why_follower *f)
{
	const struct why_stage *best = NULL;
	unsigned i;

	for (i = 1; i < f->n; i++) {
		const struct why_stage *s = &f->stages[i];

		if (limits(s) && (best == NULL || s->limits > best->limits))
			best = s;
	}
	if (best == NULL && f->n > 0 && limits(&f->stages[0]))
		best = &f->stages[0];
	return best;
}

static enum why_cause cause_of_stage(const struct why_follower *f,
				     const struct why_stage *s)
{
	if (strcmp(s->name, "ps-compress") == 0)
		return WHY_COMPRESS;
	if (strcmp(s->name, "ps-encrypt") == 0)
		return WHY_ENCRYPT;
	if (strcmp(s->name, "ps-upload") != 0)
		return WHY_CACHE_DISK;
	return strcmp(f->cause, "rate-limit") == 0 ? WHY_RATE_LIMIT
						   : WHY_STORE_LATENCY;
}

static void tell_stage(struct why *w, const struct why_follower *f,
		       enum why_cause c, bool first)
{
	char rate[32], limit[32];

	format_size(f->rate, rate, sizeof(rate));
	format_size(f->limit, limit, sizeof(limit));
	switch (c) {
	case WHY_RATE_LIMIT:
		say(w, c, "the upload is held to its limit of %s/s", limit);
		break;
	case WHY_STORE_LATENCY:
		say(w, c,
		    "the store takes no more than %s/s (%.0f ms a "
		    "request)",
		    rate, f->latency_ms);
		break;
	case WHY_COMPRESS:
		say(w, c, "ps-compress takes no more");
		break;
	case WHY_ENCRYPT:
		say(w, c, "ps-encrypt takes no more");
		break;
	default:
		say(w, c,
		    first ? "the cache is not read faster"
			  : "the cache does not take acknowledgements "
			    "faster");
		break;
	}
}

static void tell_limits(struct why *w, const struct why_stage *s,
			const char *how)
{
	w->share = s->limits;
	w->samples = s->samples;
	evidence(w,
		 "%s limits the chain in %.0f %% of %u samples: %s; it uses "
		 "%.0f %% of a processor",
		 s->name, s->limits * 100, s->samples, how, s->cpu * 100);
}

/* By the pipes; where too little goes through them to fill, by ps-upload. */
static bool judge_stages(struct why *w, const struct why_follower *f)
{
	const struct why_stage *s = why_narrowest(f);
	bool first = s != NULL && s == &f->stages[0];
	bool limited = strcmp(f->cause, "rate-limit") == 0;

	if (s != NULL && !first) {
		tell_stage(w, f, cause_of_stage(f, s), false);
		tell_limits(w, s, "before it full, behind it empty");
	} else if (f->uploading &&
		   (limited || strcmp(f->cause, "store-slow") == 0)) {
		tell_stage(w, f, limited ? WHY_RATE_LIMIT : WHY_STORE_LATENCY,
			   false);
		evidence(w, "ps-upload says so; too little is under way for "
			    "the pipes to tell");
	} else if (first) {
		tell_stage(w, f, WHY_CACHE_DISK, true);
		tell_limits(w, s, "behind it empty");
	} else {
		return false;
	}
	return true;
}

static bool judge_follower(struct why *w, const struct why_follower *f)
{
	if (judge_trouble(w, f))
		return true;
	if (!f->supervised) {
		say(w, WHY_PIPELINE_DOWN,
		    "ps-pipeline does not run: nothing is stored");
		evidence(w, "%s", f->error);
		return true;
	}
	return judge_stages(w, f);
}

/* The follower that is worst decides. */
static void judge_chains(struct why *w)
{
	struct why worst = {.cause = WHY_NOTHING};
	unsigned i;

	if (w->nfollowers == 0)
		say(w, WHY_PIPELINE_DOWN,
		    "ps-pipeline never ran here: nothing is stored");
	for (i = 0; i < w->nfollowers; i++) {
		struct why one = {.next = "", .share = -1};

		if (judge_follower(&one, &w->followers[i]) &&
		    (worst.cause == WHY_NOTHING || one.cause < worst.cause)) {
			worst = one;
			w->cause = one.cause;
			memcpy(w->what, one.what, sizeof(w->what));
			memcpy(w->evidence, one.evidence, sizeof(w->evidence));
			w->next = one.next;
			w->share = one.share;
			w->samples = one.samples;
		}
	}
}

/* ---- the sources ---- */

/* The disk that its machine's points wait for; NULL: none. */
static const struct why_disk *slowest(const struct why *w)
{
	size_t i, k;

	for (i = 0; i < w->n; i++) {
		const struct why_disk *d = &w->disks[i];
		int64_t wait = d->backlog > 0 ? d->lag : d->silent, most = 0;
		unsigned fellows = 0;

		for (k = 0; k < w->n; k++) {
			const struct why_disk *o = &w->disks[k];
			int64_t his = o->backlog > 0 ? o->lag : o->silent;

			if (k == i || strcmp(o->machine, d->machine) != 0 ||
			    o->held || his < 0)
				continue;
			fellows++;
			most = his > most ? his : most;
		}
		if (!d->held && fellows > 0 && wait > SLOW_S &&
		    wait > SLOW_TIMES * most)
			return d;
	}
	return NULL;
}

static const struct why_disk *with_cause(const struct why *w, enum why_cause c,
					 size_t *ret_n)
{
	const struct why_disk *first = NULL;
	size_t i;

	*ret_n = 0;
	for (i = 0; i < w->n; i++) {
		if (w->disks[i].cause != c)
			continue;
		first = first != NULL ? first : &w->disks[i];
		++*ret_n;
	}
	return first;
}

static void judge_server(struct why *w)
{
	char free_words[32];

	if (w->receiver == 0) {
		say(w, WHY_RECEIVER_DOWN,
		    "ps-receive does not run: no source can send");
	} else if (w->cert_days != METRIC_UNKNOWN && w->cert_days < 0) {
		say(w, WHY_CERTIFICATE,
		    "the certificate of this server has expired: sources that "
		    "check it do not send");
		evidence(w, "%lld days ago", (long long)-w->cert_days);
	} else if (w->free_percent >= 0 && w->free_percent < w->keep_free) {
		say(w, WHY_THROTTLE,
		    "the cache is full: sources are told to wait");
		format_size(w->backlog, free_words, sizeof(free_words));
		evidence(
		    w,
		    "%lld %% of its volume are free, under %lld %% nothing "
		    "is taken; %s of it wait to be stored",
		    (long long)w->free_percent, (long long)w->keep_free,
		    free_words);
	}
}

static void judge_disks(struct why *w)
{
	const struct why_disk *d;
	size_t n;

	if ((d = with_cause(w, WHY_HELD, &n)) != NULL) {
		say(w, WHY_HELD, "%s/%s is on hold%s", d->machine, d->disk,
		    n > 1 ? ", and others" : "");
		evidence(w, "%s", d->reason);
	} else if ((d = with_cause(w, WHY_UNSEATED, &n)) != NULL) {
		say(w, WHY_UNSEATED, "%s/%s waits to be seated%s", d->machine,
		    d->disk, n > 1 ? ", as others do" : "");
	} else if ((d = slowest(w)) != NULL) {
		say(w, WHY_SLOW_DISK,
		    "the points of %s wait for its disk %s: the others have "
		    "come",
		    d->machine, d->disk);
		evidence(w,
			 "%s: %lld s behind, accepted up to %llu, stored "
			 "up to %llu",
			 d->disk,
			 (long long)(d->backlog > 0 ? d->lag : d->silent),
			 (unsigned long long)d->accepted,
			 (unsigned long long)d->stored);
	} else if ((d = with_cause(w, WHY_SOURCE_SILENT, &n)) != NULL) {
		say(w, WHY_SOURCE_SILENT, "nothing comes from %s/%s%s",
		    d->machine, d->disk, n > 1 ? ", and others" : "");
		evidence(w, "nothing accepted for %lld s, nothing waits",
			 (long long)d->silent);
	}
}

/* ---- all of it ---- */

static void sum_up(struct why *w, int64_t silent_s)
{
	size_t i;

	w->backlog = 0;
	w->lag = 0;
	for (i = 0; i < w->n; i++) {
		struct why_disk *d = &w->disks[i];

		d->state = state_of(w, d, silent_s);
		d->cause = cause_of(d);
		if (d->held)
			continue; /* nobody works on it */
		w->backlog += d->backlog;
		w->lag = d->lag > w->lag ? d->lag : w->lag;
	}
}

/*
 * While nothing is complete the counters stand still: what ps-upload sends. Of
 * several the one that is held back, as what waits is what it has not stored.
 */
static double drain_of(const struct why *w)
{
	const struct why_follower *slow = NULL;
	unsigned i;

	if (w->drain > 0)
		return w->drain;
	for (i = 0; i < w->nfollowers; i++) {
		const struct why_follower *f = &w->followers[i];
		bool held = f->cause[0] != '\0';

		if (!f->uploading || (f->rate == 0 && !held))
			continue;
		if (slow == NULL || (held && slow->cause[0] == '\0') ||
		    (held == (slow->cause[0] != '\0') && f->rate < slow->rate))
			slow = f;
	}
	return slow != NULL && slow->rate > 0 ? (double)slow->rate : w->drain;
}

static int64_t eta_of(const struct why *w)
{
	double in = w->intake > 0 ? w->intake : 0, seconds;

	if (w->backlog == 0)
		return 0;
	if (w->drain < 0)
		return WHY_UNKNOWN;
	if (w->drain <= in)
		return WHY_NEVER;
	seconds = (double)w->backlog / (w->drain - in);
	return seconds < 1e9 ? (int64_t)seconds + 1 : WHY_NEVER;
}

/* A stage always is the slowest: it matters when one has to wait for it. */
static bool matters(const struct why *w)
{
	if (w->cause == WHY_NOTHING)
		return false;
	if (w->cause < WHY_RATE_LIMIT || w->cause > WHY_CACHE_DISK)
		return true;
	return w->lag > SOON_S || w->eta == WHY_NEVER || w->eta > SOON_S;
}

void why_judge(struct why *w, int64_t silent_s)
{
	bool foreign;
	size_t i;

	w->share = -1;
	w->next = "";
	sum_up(w, silent_s);
	w->drain = drain_of(w);
	w->eta = eta_of(w);
	foreign = (double)w->backlog < FOREIGN_SHARE * (double)w->cache_bytes;
	if (w->cache_failed)
		say(w, WHY_CACHE_FAILED,
		    "stable storage of the cache has failed: nothing is taken");
	else if (w->backlog > 0)
		judge_chains(w);
	/* What goes on by itself is not why sources wait. */
	if (w->cause == WHY_NOTHING ||
	    (foreign && w->cause >= WHY_RATE_LIMIT &&
	     w->cause <= WHY_CACHE_DISK && !matters(w)))
		judge_server(w);
	if (w->cause == WHY_NOTHING)
		judge_disks(w);
	if (w->cause == WHY_NOTHING)
		say(w, WHY_NOTHING, "nothing holds it back");
	w->behind = matters(w);
	for (i = 0; i < w->n; i++)
		if (w->disks[i].cause == WHY_NOTHING && w->disks[i].backlog > 0)
			w->disks[i].cause = w->cause;
}
