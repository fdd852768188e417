#include "config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/notify.h"
#include "base/units.h"
#include "pipeline/gauge.h"
#include "pipeline/mapper.h"
#include "pipeline/supervise.h"
#include "pipeline/verdict.h"

#define FEW 5	    /* tries in a row for what hardly passes by itself */
#define STEADY_S 60 /* a run of this length begins a new row */
#define KILL_S 5    /* between SIGTERM and SIGKILL */
#define WAIT_FIRST_NS (NS_PER_S / 4) /* before the first restart */

#define ERRANDS 2

enum phase {
	RUNNING,
	DRAINING, /* an end was seen or asked for: the rest may finish */
	ENDING,	  /* all were asked to end */
	WAITING,  /* nothing runs until `until` */
	FINISHED,
};

struct sup {
	const struct supervise *opt;
	struct plan plan;
	struct chain chain;
	struct errands errands[ERRANDS]; /* seats and digest maps */
	struct gauge gauge;
	int sigfd;
	enum phase phase;
	int64_t begun, until; /* mono_now_ns */
	int64_t wait;	      /* ns before the next restart, without jitter */
	unsigned few;	      /* ends in a row that hardly pass */
	unsigned stops;	      /* requests to end */
	bool reload;
	int code;
};

static void tell(struct sup *s, const char *status, const char *words)
{
	char line[600];

	if (words != NULL)
		s->opt->say(s->opt->ctx, words);
	snprintf(line, sizeof(line), "%s\nSTATUS=%s", status,
		 words != NULL ? words : "running");
	notify_state(line);
}

static void go(struct sup *s, enum phase phase, int64_t seconds)
{
	s->phase = phase;
	s->until = mono_now_ns() + seconds * NS_PER_S;
}

static int start(struct sup *s, struct err *e)
{
	struct chain_io io = {.in = -1, .out = s->opt->out, .err = -1};
	int rc = chain_start(&s->chain, &s->plan, &io, e);

	if (rc == 0) {
		s->phase = RUNNING;
		s->until = INT64_MAX;
		s->begun = mono_now_ns();
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

static void wait_and_restart(struct sup *s, const char *words)
{
	int64_t max = (int64_t)s->opt->max_wait_s * NS_PER_S, ns;
	char line[500], wait[32];

	if (mono_now_ns() - s->begun >= STEADY_S * NS_PER_S)
		s->wait = WAIT_FIRST_NS;
	ns = jittered(s->wait);
	s->wait = 2 * s->wait < max ? 2 * s->wait : max;
	format_duration((double)ns / NS_PER_S, wait, sizeof(wait));
	snprintf(line, sizeof(line), "%s; again in %s", words, wait);
	tell(s, "READY=1", line);
	s->phase = WAITING;
	s->until = mono_now_ns() + ns;
}

static void finish(struct sup *s, int code)
{
	s->phase = FINISHED;
	s->code = code;
}

/* All stages have ended: what now? */
static void judge(struct sup *s)
{
	char words[300];
	struct verdict v;

	verdict_of(&s->chain, &v);
	verdict_words(&s->chain, &v, words, sizeof(words));
	if (mono_now_ns() - s->begun >= STEADY_S * NS_PER_S)
		s->few = 0;
	if (v.kind == VERDICT_STOP) {
		tell(s, "STOPPING=1", words);
		finish(s, v.code);
	} else if (s->stops > 0) {
		finish(s, s->reload ? SUPERVISE_RELOAD : PS_OK);
	} else if (s->opt->in.once) {
		if (v.kind != VERDICT_DONE && v.kind != VERDICT_HELD)
			tell(s, "STOPPING=1", words);
		finish(s, v.code);
	} else if (v.kind == VERDICT_FEW && ++s->few == FEW) {
		tell(s, "STOPPING=1", words);
		finish(s, v.code);
	} else {
		wait_and_restart(s, words);
	}
}

static void on_stop(struct sup *s)
{
	s->stops++;
	if (s->phase == WAITING)
		finish(s, s->reload ? SUPERVISE_RELOAD : PS_OK);
	else if (s->stops > 1 && s->phase != FINISHED)
		s->until = 0; /* somebody is in a hurry */
	else if (s->phase == RUNNING) {
		notify_state(s->reload ? "STATUS=reading the configuration"
				       : "STOPPING=1");
		chain_tell(&s->chain, 0, 1);
		go(s, DRAINING, (int64_t)s->opt->stop_timeout_s);
	}
}

static void on_signal(struct sup *s, int sig)
{
	if (sig == SIGTERM || sig == SIGINT) {
		s->reload = false;
		on_stop(s);
	} else if (sig == SIGHUP && s->stops == 0) {
		s->reload = s->opt->reload(s->opt->ctx);
		if (s->reload)
			on_stop(s);
	}
}

static void reap(struct sup *s)
{
	unsigned i;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		bool ours = chain_reaped(&s->chain, pid, status);

		for (i = 0; i < ERRANDS && !ours; i++)
			ours = errands_reaped(&s->errands[i], pid, status);
	}
}

/* Waits for signals, until a time at the latest. */
static void wait_for_signals(struct sup *s, int64_t until)
{
	struct pollfd p = {.fd = s->sigfd, .events = POLLIN};
	int64_t ns = until - mono_now_ns();
	struct signalfd_siginfo info;
	int ms = 0;

	if (ns > 3600 * NS_PER_S)
		ms = 3600 * 1000;
	else if (ns > 0)
		ms = (int)(ns / 1000000) + 1;
	if (poll(&p, 1, ms) <= 0)
		return;
	while (read(s->sigfd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			reap(s);
		else
			on_signal(s, (int)info.ssi_signo);
	}
}

/* Moves on from what the last signals and the clock have brought. */
static int step(struct sup *s, struct err *e)
{
	bool due = mono_now_ns() >= s->until;
	int rc;

	switch (s->phase) {
	case RUNNING:
		if (s->chain.alive == s->chain.n)
			break;
		go(s, DRAINING, (int64_t)s->opt->stop_timeout_s);
		/* fall through */
	case DRAINING:
		chain_tell(&s->chain, 0, chain_unread(&s->chain));
		if (s->chain.alive > 0 && due) {
			chain_signal(&s->chain, SIGTERM);
			go(s, ENDING, KILL_S);
		}
		break;
	case ENDING:
		if (s->chain.alive > 0 && due) {
			chain_signal(&s->chain, SIGKILL);
			go(s, ENDING, KILL_S);
		}
		break;
	case WAITING:
		if (!due)
			break;
		rc = start(s, e);
		if (rc == -PS_TEMPFAIL && e != NULL) {
			/* No process or pipe to be had: that passes. */
			s->begun = mono_now_ns();
			wait_and_restart(s, e->msg);
			return 0;
		}
		if (rc == 0)
			tell(s, "READY=1", NULL);
		return rc;
	case FINISHED:
		break;
	}
	if ((s->phase == DRAINING || s->phase == ENDING) && s->chain.alive == 0)
		judge(s);
	return 0;
}

static int loop(struct sup *s, struct err *e)
{
	int rc = 0;

	while (rc == 0 && s->phase != FINISHED) {
		bool errands = !s->opt->in.once && s->stops == 0;
		int64_t until = s->until;
		unsigned i;

		for (i = 0; i < ERRANDS && errands; i++) {
			int64_t next =
			    errands_step(&s->errands[i], mono_now_ns());

			until = next < until ? next : until;
		}
		until = gauge_step(&s->gauge, &s->chain, until);
		wait_for_signals(s, until);
		rc = step(s, e);
	}
	return rc;
}

static bool any_alive(const struct sup *s)
{
	bool alive = s->chain.alive > 0;
	unsigned i;

	for (i = 0; i < ERRANDS; i++)
		alive = alive || s->errands[i].chain.alive > 0;
	return alive;
}

/* No child outlives us. */
static void end_children(struct sup *s)
{
	int64_t until = mono_now_ns() + KILL_S * NS_PER_S;
	unsigned i;

	chain_signal(&s->chain, SIGTERM);
	for (i = 0; i < ERRANDS; i++)
		errands_stop(&s->errands[i]);
	while (any_alive(s) && mono_now_ns() < until)
		wait_for_signals(s, until);
	chain_signal(&s->chain, SIGKILL);
	for (i = 0; i < ERRANDS; i++)
		chain_signal(&s->errands[i].chain, SIGKILL);
	while (any_alive(s))
		wait_for_signals(s, INT64_MAX);
}

int supervise_run(const struct supervise *opt, struct err *e)
{
	struct sup s = {.opt = opt, .wait = WAIT_FIRST_NS};
	sigset_t set, old;
	int rc;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &old);
	s.sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s.sigfd < 0)
		return err_sys(e, 0, "signalfd");
	gauge_open(&s.gauge, opt->in.cache, NULL);
	plan_chain(&opt->in, &s.plan);
	seater_init(&s.errands[0], &opt->in, opt->seat, opt->say, opt->ctx);
	mapper_init(&s.errands[1], &opt->in, opt->say, opt->ctx);
	rc = start(&s, e);
	if (rc == 0) {
		tell(&s, "READY=1", NULL);
		rc = loop(&s, e);
	}
	end_children(&s);
	(void)gauge_step(&s.gauge, &s.chain, 0);
	close(s.sigfd);
	/* A reload keeps them blocked: none may be lost on the way. */
	if (rc < 0 || s.code != SUPERVISE_RELOAD)
		sigprocmask(SIG_SETMASK, &old, NULL);
	return rc < 0 ? rc : s.code;
}
