#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"
#include "health/alarm.h"

static _Noreturn void become(const char *command, const struct event *ev)
{
	char time[TIME_TEXT];
	sigset_t none;

	format_time(ev->time * NS_PER_S, time);
	setenv("PS_EVENT", event_name(ev->kind), 1);
	setenv("PS_LEVEL", level_name(ev->level), 1);
	setenv("PS_ALERT", ev->key, 1);
	setenv("PS_WHAT", ev->what, 1);
	setenv("PS_TIME", time, 1);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setpgid(0, 0);
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

/* 1: ended, 0: still runs after the time. */
static int wait_for(pid_t pid, int *status)
{
	const struct timespec step = {.tv_nsec = 10 * 1000 * 1000};
	int64_t until = mono_now_ns() + ALARM_SECONDS * NS_PER_S;

	while (mono_now_ns() < until) {
		pid_t got = waitpid(pid, status, WNOHANG);

		if (got == pid || (got < 0 && errno != EINTR))
			return 1;
		nanosleep(&step, NULL);
	}
	return 0;
}

int alarm_run(const char *command, const struct event *ev, struct err *e)
{
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		return err_sys(e, PS_UNAVAILABLE, "notification");
	if (pid == 0)
		become(command, ev);
	if (wait_for(pid, &status) == 0) {
		kill(-pid, SIGKILL);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		return err_set(e, PS_UNAVAILABLE,
			       "notification of %s: killed after %d s", ev->key,
			       ALARM_SECONDS);
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(e, PS_UNAVAILABLE,
			       "notification of %s: the command failed (%d)",
			       ev->key,
			       WIFEXITED(status) ? WEXITSTATUS(status)
						 : 128 + WTERMSIG(status));
	return 0;
}
