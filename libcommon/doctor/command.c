#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/units.h"
#include "doctor/command.h"

/* Administrators' programs are there even when the caller's PATH is short. */
#define MORE_PATH "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"

static void set_path(void)
{
	const char *path = getenv("PATH");
	size_t n = path != NULL ? strlen(path) : 0;
	char *text = malloc(n + sizeof(MORE_PATH) + 1);

	if (text == NULL)
		return;
	if (n > 0) {
		memcpy(text, path, n);
		text[n++] = ':';
	}
	memcpy(text + n, MORE_PATH, sizeof(MORE_PATH));
	setenv("PATH", text, 1);
	free(text);
}

static _Noreturn void become(const struct command *c, int out)
{
	int null = open("/dev/null", O_RDONLY);
	sigset_t none;

	/* The process that asked may be ended at its deadline. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	set_path();
	setenv("LC_ALL", "C", 1);
	if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 ||
	    dup2(out, 2) < 0)
		_exit(126);
	execvp(c->argv[0], (char *const *)(uintptr_t)c->argv);
	_exit(errno == ENOENT ? 127 : 126);
}

/* Reads until the end or the deadline: false when that came first. */
static bool gather(int fd, int64_t until, size_t max, char *buf, size_t *ret)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char drop[4096];
	size_t n = 0;

	for (;;) {
		int64_t left = until - mono_now_ns();
		ssize_t got;

		if (left <= 0)
			break;
		if (poll(&p, 1, (int)(left / 1000000 + 1)) < 0 &&
		    errno != EINTR)
			break;
		if (p.revents == 0)
			continue;
		got = n < max ? read(fd, buf + n, max - n)
			      : read(fd, drop, sizeof(drop));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			*ret = n;
			return true;
		}
		if (n < max)
			n += (size_t)got;
	}
	*ret = n;
	return false;
}

static int status_of(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int command_run(const struct command *c, char **ret, int *ret_status,
		struct err *e)
{
	int64_t until = mono_now_ns() + (int64_t)c->seconds * NS_PER_S;
	char *buf = malloc(c->max + 1);
	size_t n = 0;
	bool ended;
	int p[2], status;
	pid_t pid;

	if (buf == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s", c->argv[0]);
	if (pipe2(p, O_CLOEXEC) < 0) {
		free(buf);
		return err_sys(e, 0, "%s", c->argv[0]);
	}
	pid = fork();
	if (pid == 0)
		become(c, p[1]);
	close(p[1]);
	if (pid < 0) {
		int rc = err_sys(e, PS_UNAVAILABLE, "%s", c->argv[0]);

		close(p[0]);
		free(buf);
		return rc;
	}
	ended = gather(p[0], until, c->max, buf, &n);
	close(p[0]);
	if (!ended)
		kill(pid, SIGKILL);
	status = status_of(pid);
	buf[n] = '\0';
	if (ended && status != 127) {
		*ret = buf;
		*ret_status = status;
		return 0;
	}
	free(buf);
	if (!ended)
		return err_set(e, PS_UNAVAILABLE, "%s: no end after %u s",
			       c->argv[0], c->seconds);
	return err_set(e, PS_NOINPUT, "%s: not installed", c->argv[0]);
}

bool command_succeeds(const char *const *argv)
{
	struct command c = {.argv = argv, .seconds = 10, .max = 4096};
	char *text;
	int status;

	if (command_run(&c, &text, &status, NULL) < 0)
		return false;
	free(text);
	return status == 0;
}
