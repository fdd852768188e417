#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "base/pace.h"

static time_t now(const struct pace *p)
{
	return p->clock != NULL ? p->clock() : time(NULL);
}

static uint64_t due(const struct pace *p)
{
	return hours_rate(&p->rates.hours, now(p), p->rates.limit);
}

int pace_read(struct pace *p, struct err *e)
{
	int rc = p->read(p->ctx, &p->rates, e);

	if (rc == 0)
		p->now = due(p);
	return rc;
}

static void read_again(struct pace *p)
{
	struct pace_rates fresh = {0};
	struct err e = {0};
	char words[600];

	if (p->read(p->ctx, &fresh, &e) < 0) {
		snprintf(words, sizeof(words),
			 "the new rates are refused, the old ones stay: %s",
			 e.msg);
		p->say(p->ctx, words);
		return;
	}
	p->rates = fresh;
}

static void *follow(void *arg)
{
	struct pace *p = arg;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	while (!atomic_load(&p->stop)) {
		struct timespec wait = {.tv_sec = hours_next(now(p))};
		uint64_t rate = due(p);

		if (rate != p->now) {
			p->now = rate;
			p->set(p->ctx, rate);
		}
		if (sigtimedwait(&set, NULL, &wait) == SIGHUP &&
		    !atomic_load(&p->stop))
			read_again(p);
	}
	return NULL;
}

void pace_listen(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGHUP, SIG_DFL); /* what is ignored cannot be waited for */
}

int pace_start(struct pace *p, struct err *e)
{
	atomic_store(&p->stop, false);
	errno = pthread_create(&p->thread, NULL, follow, p);
	if (errno != 0)
		return err_sys(e, PS_TEMPFAIL, "cannot start a thread");
	p->running = true;
	return 0;
}

void pace_stop(struct pace *p)
{
	if (!p->running)
		return;
	atomic_store(&p->stop, true);
	pthread_kill(p->thread, SIGHUP);
	pthread_join(p->thread, NULL);
	p->running = false;
}
