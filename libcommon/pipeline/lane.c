#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/notify.h"
#include "base/units.h"
#include "pipeline/lane.h"
#include "pipeline/verdict.h"

#define FEW 5	    /* tries in a row for what hardly passes by itself */
#define STEADY_S 60 /* a run of this length begins a new row */
#define KILL_S 5    /* between SIGTERM and SIGKILL */
#define WAIT_FIRST_NS (NS_PER_S / 4) /* before the first restart */

/* What happens, with the vault's name where there are several. */
static void tell(const struct lane *l, const char *status, const char *words)
{
	char line[700], state[800];

	if (words != NULL) {
		snprintf(line, sizeof(line), "%s%s%s",
			 l->opt->in.nvaults > 1 ? l->vault->name : "",
			 l->opt->in.nvaults > 1 ? ": " : "", words);
		l->opt->say(l->opt->ctx, line);
	}
	snprintf(state, sizeof(state), "%s\nSTATUS=%s", status,
		 words != NULL ? line : "running");
	notify_state(state);
}

static void go(struct lane *l, enum lane_phase phase, int64_t seconds)
{
	l->phase = phase;
	l->until = mono_now_ns() + seconds * NS_PER_S;
}

void lane_init(struct lane *l, const struct supervise *opt,
	       const struct plan_vault *vault)
{
	*l = (struct lane){.opt = opt, .vault = vault, .wait = WAIT_FIRST_NS};
	plan_chain(&opt->in, vault, &l->plan);
	gauge_open(&l->gauge, opt->in.cache, vault->name);
}

/*
 * A stage that is told of new rates before it listens reads them anyway; the
 * signal must not end it.
 */
static void ignore_hangup(void *ctx)
{
	(void)ctx;
	signal(SIGHUP, SIG_IGN);
}

int lane_start(struct lane *l, struct err *e)
{
	struct chain_io io = {
	    .in = -1, .out = l->opt->out, .err = -1, .prepare = ignore_hangup};
	int rc = chain_start(&l->chain, &l->plan, &io, e);

	if (rc == 0) {
		l->phase = LANE_RUNNING;
		l->until = INT64_MAX;
		l->begun = mono_now_ns();
		tell(l, "READY=1", NULL);
	}
	return rc;
}

/* Between 3/4 and 5/4 of the wait, so that many servers do not march. */
static int64_t jittered(int64_t ns)
{
	uint32_t r = 0;

	(void)getrandom(&r, sizeof(r), 0);
	return (int64_t)((double)ns * (0.75 + (double)r / UINT32_MAX / 2));
}

static void wait_and_restart(struct lane *l, const char *words)
{
	int64_t max = (int64_t)l->opt->max_wait_s * NS_PER_S, ns;
	char line[500], wait[32];

	if (mono_now_ns() - l->begun >= STEADY_S * NS_PER_S)
		l->wait = WAIT_FIRST_NS;
	ns = jittered(l->wait);
	l->wait = 2 * l->wait < max ? 2 * l->wait : max;
	format_duration((double)ns / NS_PER_S, wait, sizeof(wait));
	snprintf(line, sizeof(line), "%s; again in %s", words, wait);
	tell(l, "READY=1", line);
	l->phase = LANE_WAITING;
	l->until = mono_now_ns() + ns;
}

static void finish(struct lane *l, int code)
{
	l->phase = LANE_FINISHED;
	l->until = INT64_MAX;
	l->code = code;
}

/* It ends for good; with several the others go on. */
static void give_up(struct lane *l, const char *words, int code)
{
	char line[500];

	snprintf(line, sizeof(line), "%s; stopped, the others go on", words);
	if (l->opt->in.nvaults > 1)
		tell(l, "READY=1", line);
	else
		tell(l, "STOPPING=1", words);
	finish(l, code);
}

/* All stages have ended: what now? */
static void judge(struct lane *l)
{
	char words[300];
	struct verdict v;

	verdict_of(&l->chain, &v);
	verdict_words(&l->chain, &v, words, sizeof(words));
	if (mono_now_ns() - l->begun >= STEADY_S * NS_PER_S)
		l->few = 0;
	if (v.kind == VERDICT_STOP) {
		give_up(l, words, v.code);
	} else if (l->stops > 0) {
		finish(l, PS_OK);
	} else if (l->opt->in.once) {
		if (v.kind != VERDICT_DONE && v.kind != VERDICT_HELD)
			tell(l, "STOPPING=1", words);
		finish(l, v.code);
	} else if (v.kind == VERDICT_FEW && ++l->few == FEW) {
		give_up(l, words, v.code);
	} else {
		wait_and_restart(l, words);
	}
}

void lane_stop(struct lane *l)
{
	l->stops++;
	if (l->phase == LANE_WAITING) {
		finish(l, PS_OK);
	} else if (l->stops > 1 && l->phase != LANE_FINISHED) {
		l->until = 0; /* somebody is in a hurry */
	} else if (l->phase == LANE_RUNNING) {
		chain_tell(&l->chain, 0, 1);
		go(l, LANE_DRAINING, (int64_t)l->opt->stop_timeout_s);
	}
}

/* The wait is over. */
static int start_again(struct lane *l, struct err *e)
{
	int rc = lane_start(l, e);

	if (rc == -PS_TEMPFAIL && e != NULL) {
		/* No process or pipe to be had: that passes. */
		l->begun = mono_now_ns();
		wait_and_restart(l, e->msg);
		return 0;
	}
	return rc;
}

int lane_step(struct lane *l, struct err *e)
{
	bool due = mono_now_ns() >= l->until;

	switch (l->phase) {
	case LANE_RUNNING:
		if (l->chain.alive == l->chain.n)
			break;
		go(l, LANE_DRAINING, (int64_t)l->opt->stop_timeout_s);
		/* fall through */
	case LANE_DRAINING:
		chain_tell(&l->chain, 0, chain_unread(&l->chain));
		if (l->chain.alive > 0 && due) {
			chain_signal(&l->chain, SIGTERM);
			go(l, LANE_ENDING, KILL_S);
		}
		break;
	case LANE_ENDING:
		if (l->chain.alive > 0 && due) {
			chain_signal(&l->chain, SIGKILL);
			go(l, LANE_ENDING, KILL_S);
		}
		break;
	case LANE_WAITING:
		if (due)
			return start_again(l, e);
		break;
	case LANE_FINISHED:
		break;
	}
	if ((l->phase == LANE_DRAINING || l->phase == LANE_ENDING) &&
	    l->chain.alive == 0)
		judge(l);
	return 0;
}

void lane_new_rates(struct lane *l)
{
	unsigned i;

	for (i = 0; i < l->chain.n; i++)
		if (!l->chain.stages[i].ended &&
		    strcmp(l->chain.stages[i].name, "ps-upload") == 0)
			kill(l->chain.stages[i].pid, SIGHUP);
	if (l->phase == LANE_FINISHED && l->code != PS_OK) {
		l->few = 0;
		l->phase = LANE_WAITING;
		l->until = 0;
	}
}
