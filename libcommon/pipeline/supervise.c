#include "config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/notify.h"
#include "base/units.h"
#include "cache/follower.h"
#include "pipeline/lane.h"
#include "pipeline/mapper.h"

#define KILL_S 5 /* between SIGTERM and SIGKILL */
#define ERRANDS 2

struct sup {
	const struct supervise *opt;
	struct lane *lanes; /* one for each vault */
	unsigned n;
	struct errands errands[ERRANDS]; /* seats and digest maps */
	int sigfd;
	bool stopping, reload;
};

/* ---- signals ---- */

static void stop_all(struct sup *s)
{
	unsigned i;

	s->stopping = true;
	notify_state(s->reload ? "STATUS=reading the configuration"
			       : "STOPPING=1");
	for (i = 0; i < s->n; i++)
		lane_stop(&s->lanes[i]);
}

static void on_hangup(struct sup *s)
{
	enum supervise_reload how = s->opt->reload(s->opt->ctx);
	unsigned i;

	s->reload = how == RELOAD_ALL;
	if (s->reload)
		stop_all(s);
	for (i = 0; i < s->n && how == RELOAD_RATES; i++)
		lane_new_rates(&s->lanes[i]);
}

static void on_signal(struct sup *s, int sig)
{
	if (sig == SIGTERM || sig == SIGINT) {
		s->reload = false;
		stop_all(s);
	} else if (sig == SIGHUP && !s->stopping) {
		on_hangup(s);
	}
}

static void reap(struct sup *s)
{
	unsigned i;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		bool ours = false;

		for (i = 0; i < s->n && !ours; i++)
			ours = chain_reaped(&s->lanes[i].chain, pid, status);
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

/* ---- the loop ---- */

static bool all_finished(const struct sup *s)
{
	unsigned i;

	for (i = 0; i < s->n; i++)
		if (s->lanes[i].phase != LANE_FINISHED)
			return false;
	return true;
}

/* Does what is due beside the chains; when the next thing will be. */
static int64_t run_errands(struct sup *s, int64_t until)
{
	unsigned i;

	if (s->opt->in.once || s->stopping)
		return until;
	for (i = 0; i < ERRANDS; i++) {
		int64_t next = errands_step(&s->errands[i], mono_now_ns());

		until = next < until ? next : until;
	}
	return until;
}

static int loop(struct sup *s, struct err *e)
{
	int rc = 0;
	unsigned i;

	while (rc == 0 && !all_finished(s)) {
		int64_t until = INT64_MAX;

		for (i = 0; i < s->n; i++)
			until = gauge_step(
			    &s->lanes[i].gauge, &s->lanes[i].chain,
			    s->lanes[i].until < until ? s->lanes[i].until
						      : until);
		wait_for_signals(s, run_errands(s, until));
		for (i = 0; i < s->n && rc == 0; i++)
			rc = lane_step(&s->lanes[i], e);
	}
	return rc;
}

static bool any_alive(const struct sup *s)
{
	bool alive = false;
	unsigned i;

	for (i = 0; i < s->n; i++)
		alive = alive || s->lanes[i].chain.alive > 0;
	for (i = 0; i < ERRANDS; i++)
		alive = alive || s->errands[i].chain.alive > 0;
	return alive;
}

static void signal_chains(struct sup *s, int sig)
{
	unsigned i;

	for (i = 0; i < s->n; i++)
		chain_signal(&s->lanes[i].chain, sig);
}

/* No child outlives us. */
static void end_children(struct sup *s)
{
	int64_t until = mono_now_ns() + KILL_S * NS_PER_S;
	unsigned i;

	signal_chains(s, SIGTERM);
	for (i = 0; i < ERRANDS; i++)
		errands_stop(&s->errands[i]);
	while (any_alive(s) && mono_now_ns() < until)
		wait_for_signals(s, until);
	signal_chains(s, SIGKILL);
	for (i = 0; i < ERRANDS; i++)
		chain_signal(&s->errands[i].chain, SIGKILL);
	while (any_alive(s))
		wait_for_signals(s, INT64_MAX);
}

/* ---- begin and end ---- */

/* Others for whom segments are kept, and who do not come for them. */
static void name_absent(const struct supervise *opt, struct cache *c)
{
	struct follower_list all = {0};
	char words[300];
	unsigned i, k;

	(void)follower_list(c, &all, NULL);
	for (i = 0; i < all.n; i++) {
		for (k = 0; k < opt->in.nvaults; k++)
			if (strcmp(opt->in.vaults[k].name, all.names[i]) == 0)
				break;
		if (k < opt->in.nvaults ||
		    follower_runs(c, all.names[i], NULL) != 0)
			continue;
		snprintf(words, sizeof(words),
			 "segments are kept for '%s', too, which is no vault "
			 "here and does not run; when it is to go: "
			 "ps-cache drop-follower %s",
			 all.names[i], all.names[i]);
		opt->say(opt->ctx, words);
	}
}

/*
 * What is told as stored depends on how many follow: all are known to the
 * cache before the first one begins.
 */
static int register_all(const struct supervise *opt, struct err *e)
{
	const struct plan_input *in = &opt->in;
	struct cache *c;
	unsigned i;
	int rc = cache_open(&c, in->cache, e);

	if (rc < 0)
		return rc;
	for (i = 0; i < in->nvaults && rc == 0; i++)
		rc = follower_register(c, in->vaults[i].name, e);
	if (rc == 0)
		name_absent(opt, c);
	cache_close(c);
	if (rc == 0)
		rc = follower_stored_after(in->cache, in->stored_after, e);
	return rc;
}

/* 0, 1 (held), then what passes, then what somebody has to look at. */
static int rank(int code)
{
	if (code == PS_OK || code == PS_NO)
		return code;
	return code == PS_UNAVAILABLE || code == PS_TEMPFAIL ? 2 : 3;
}

static int gravest(const struct sup *s)
{
	int code = PS_OK;
	unsigned i;

	for (i = 0; i < s->n; i++)
		if (rank(s->lanes[i].code) > rank(code))
			code = s->lanes[i].code;
	return code;
}

static int run(struct sup *s, struct err *e)
{
	const struct supervise *opt = s->opt;
	unsigned i;
	int rc = seater_init(&s->errands[0], &opt->in, opt->seat,
			     opt->seat_wait_s, opt->say, opt->ctx, e);

	mapper_init(&s->errands[1], &opt->in, opt->say, opt->ctx);
	if (rc == 0 && opt->in.nvaults > 1)
		rc = register_all(opt, e);
	for (i = 0; i < opt->in.nvaults && rc == 0; i++) {
		lane_init(&s->lanes[i], opt, &opt->in.vaults[i]);
		s->n++;
		rc = lane_start(&s->lanes[i], e);
	}
	if (rc == 0)
		rc = loop(s, e);
	end_children(s);
	for (i = 0; i < s->n; i++)
		(void)gauge_step(&s->lanes[i].gauge, &s->lanes[i].chain, 0);
	return rc;
}

int supervise_run(const struct supervise *opt, struct err *e)
{
	struct sup s = {.opt = opt};
	sigset_t set, old;
	int rc, code;

	s.lanes = calloc(opt->in.nvaults, sizeof(*s.lanes));
	if (s.lanes == NULL)
		return err_sys(e, PS_TEMPFAIL, "chains");
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &old);
	s.sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	rc = s.sigfd < 0 ? err_sys(e, 0, "signalfd") : run(&s, e);
	if (s.sigfd >= 0)
		close(s.sigfd);
	code = s.reload ? SUPERVISE_RELOAD : gravest(&s);
	free(s.lanes);
	/* A reload keeps them blocked: none may be lost on the way. */
	if (rc < 0 || code != SUPERVISE_RELOAD)
		sigprocmask(SIG_SETMASK, &old, NULL);
	return rc < 0 ? rc : code;
}
