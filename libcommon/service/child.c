#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/units.h"
#include "net/sandbox.h"
#include "service/child.h"
#include "service/job.h"

/* ---- what it says ---- */

static int open_notify(struct child_pipes *c, struct err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	socklen_t n = sizeof(a.sun_family);
	int one = 1;

	c->notify =
	    socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* A name that the kernel chooses, in the abstract space. */
	if (c->notify < 0 || bind(c->notify, (struct sockaddr *)&a, n) < 0 ||
	    setsockopt(c->notify, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) <
		0)
		return err_sys(e, PS_TEMPFAIL, "notify socket");
	n = sizeof(a);
	if (getsockname(c->notify, (struct sockaddr *)&a, &n) < 0)
		return err_sys(e, PS_TEMPFAIL, "notify socket");
	snprintf(c->notify_name, sizeof(c->notify_name), "@%.*s",
		 (int)(n - offsetof(struct sockaddr_un, sun_path) - 1),
		 a.sun_path + 1);
	return 0;
}

int child_pipes_open(struct child_pipes *c, struct err *e)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(e, PS_TEMPFAIL, "pipe");
	c->log_in = fds[0];
	c->log_out = fds[1];
	(void)fcntl(c->log_in, F_SETFL, O_NONBLOCK);
	return open_notify(c, e);
}

static void take_line(const char *line, struct child_news *ret)
{
	if (strcmp(line, "READY=1") == 0)
		ret->ready = ret->alive = true;
	else if (strcmp(line, "WATCHDOG=1") == 0)
		ret->alive = true;
	else if (strncmp(line, "STATUS=", 7) == 0)
		snprintf(ret->words, sizeof(ret->words), "%s", line + 7);
}

void child_hear(int notify, pid_t pid, struct child_news *ret)
{
	char text[1024], *line, *rest;
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	ssize_t n;

	memset(ret, 0, sizeof(*ret));
	for (;;) {
		struct iovec v = {text, sizeof(text) - 1};
		struct msghdr m = {.msg_iov = &v,
				   .msg_iovlen = 1,
				   .msg_control = &control,
				   .msg_controllen = sizeof(control)};
		const struct cmsghdr *h;
		struct ucred who = {0};

		n = recvmsg(notify, &m, MSG_CMSG_CLOEXEC);
		if (n < 0)
			return;
		h = CMSG_FIRSTHDR(&m);
		if (h != NULL && h->cmsg_level == SOL_SOCKET &&
		    h->cmsg_type == SCM_CREDENTIALS &&
		    h->cmsg_len == CMSG_LEN(sizeof(who)))
			memcpy(&who, CMSG_DATA(h), sizeof(who));
		if (pid <= 0 || who.pid != pid)
			continue;
		text[n] = '\0';
		for (line = strtok_r(text, "\n", &rest); line != NULL;
		     line = strtok_r(NULL, "\n", &rest))
			take_line(line, ret);
	}
}

/* ---- how it is started ---- */

/* In a folder of somebody's own, everything runs as who has it. */
static int become_user(const struct place *p, const struct unit *u,
		       struct err *e)
{
	struct sandbox_user user;
	int rc;

	if (geteuid() != 0 || p->root[0] != '\0' || u->user[0] == '\0' ||
	    getpwnam(u->user) == NULL)
		return 0;
	rc = sandbox_user(&user, u->user, e);
	if (rc < 0)
		return rc;
	return u->low_ports ? sandbox_drop_but_ports(&user, e)
			    : sandbox_drop(&user, e);
}

static int prepare(const struct place *p, const struct unit *u,
		   const struct child_pipes *c, struct err *e)
{
	struct rlimit files = {u->files, u->files}, have;
	char usec[24];
	sigset_t none;
	int rc;

	sigemptyset(&none);
	if (dup2(c->log_out, 1) < 0 || dup2(c->log_out, 2) < 0 ||
	    setsid() < 0 || sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		return err_sys(e, PS_TEMPFAIL, "a process");
	(void)signal(SIGPIPE, SIG_DFL);
	(void)umask(0077);
	if (u->files > 0 && getrlimit(RLIMIT_NOFILE, &have) == 0) {
		if (geteuid() != 0 && files.rlim_max > have.rlim_max)
			files.rlim_cur = files.rlim_max = have.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	rc = place_environment(p, e);
	snprintf(usec, sizeof(usec), "%llu", u->watchdog_s * 1000000ull);
	if (rc == 0 &&
	    (setenv("NOTIFY_SOCKET", c->notify_name, 1) < 0 ||
	     (u->watchdog_s > 0 && setenv("WATCHDOG_USEC", usec, 1) < 0)))
		rc = err_sys(e, PS_TEMPFAIL, "environment");
	if (rc == 0)
		rc = become_user(p, u, e);
	return rc;
}

static _Noreturn void child(const struct place *p, const struct unit *u,
			    const struct child_pipes *c, int gate, pid_t parent)
{
	char program[PLACE_PATH], go;
	struct err e = {0};
	int rc = prepare(p, u, c, &e);

	/* A change of user has taken it away: only now. */
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent || io_read_full(gate, &go, 1) != 1)
		_exit(PS_TEMPFAIL);
	close(gate);
	if (rc == 0 && u->every_s > 0)
		rc = job_run(p, u, &e);
	else if (rc == 0) {
		place_program(p, u->argv[0][0], program);
		execv(program, u->argv[0]);
		rc = err_sys(&e, PS_CONFIG, "%s", program);
	}
	if (e.code != 0)
		dprintf(2, "ps-service: %s\n", e.msg);
	_exit(rc < 0 ? -rc : rc);
}

int child_fork(const struct place *p, const struct unit *u,
	       const struct child_pipes *c, pid_t *ret, int *ret_gate,
	       struct err *e)
{
	pid_t self = getpid(), pid;
	int gate[2];

	if (pipe2(gate, O_CLOEXEC) < 0)
		return err_sys(e, PS_TEMPFAIL, "pipe");
	pid = fork();
	if (pid == 0) {
		close(gate[1]);
		child(p, u, c, gate[0], self);
	}
	close(gate[0]);
	if (pid < 0) {
		close(gate[1]);
		return err_sys(e, PS_TEMPFAIL, "fork");
	}
	*ret = pid;
	*ret_gate = gate[1];
	return 0;
}

void child_release(int gate)
{
	(void)io_write_full(gate, "", 1);
	close(gate);
}

int64_t child_due_ns(const struct place *p, const struct unit *u)
{
	int64_t now = time_now_ns(), due = now + u->every_s * NS_PER_S;
	struct err e = {0};
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return due;
	pid = fork();
	if (pid == 0) {
		if (become_user(p, u, &e) == 0) {
			due = job_due_ns(p, u, now);
			(void)io_write_full(fds[1], &due, sizeof(due));
		}
		_exit(0);
	}
	close(fds[1]);
	if (pid > 0) {
		int64_t answer;

		if (io_read_full(fds[0], &answer, sizeof(answer)) ==
		    (ssize_t)sizeof(answer))
			due = answer;
		(void)waitpid(pid, NULL, 0);
	}
	close(fds[0]);
	return due;
}
