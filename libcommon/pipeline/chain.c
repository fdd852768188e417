#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "pipeline/chain.h"

#define PROGRAM_SIZE 4096

/* The program beside the one that runs now, or its plain name. */
static void find_program(const char *name, char path[PROGRAM_SIZE])
{
	ssize_t n = readlink("/proc/self/exe", path, PROGRAM_SIZE - 1);
	char *slash;

	if (n > 0 && strchr(name, '/') == NULL) {
		path[n] = '\0';
		slash = strrchr(path, '/');
		n = slash + 1 - path;
		if (snprintf(slash + 1, PROGRAM_SIZE - (size_t)n, "%s", name) <
			PROGRAM_SIZE - n &&
		    access(path, X_OK) == 0)
			return;
	}
	snprintf(path, PROGRAM_SIZE, "%s", name);
}

/* In the child: its two ends, its group, its signals, its program. */
_Noreturn static void become(const struct plan_stage *s, const char *program,
			     const struct chain_io *io, pid_t group,
			     pid_t parent)
{
	sigset_t none;
	int code;

	setpgid(0, group);
	prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
	if (getppid() != parent) /* it died before it could be watched */
		_exit(PS_TEMPFAIL);
	if (dup2(io->in, STDIN_FILENO) < 0 ||
	    dup2(io->out, STDOUT_FILENO) < 0 ||
	    (io->err >= 0 && dup2(io->err, STDERR_FILENO) < 0))
		_exit(PS_SOFTWARE);
	if (io->prepare != NULL)
		io->prepare(io->ctx);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* execvp takes arguments that it does not change. */
	execvp(program, (char *const *)(uintptr_t)s->argv);
	code = errno == ENOENT ? 127 : 126;
	dprintf(STDERR_FILENO, "%s: cannot run: %s\n", program,
		strerror(errno));
	_exit(code);
}

static int start_stage(struct chain *c, const struct plan_stage *s,
		       const struct chain_io *io, struct err *e)
{
	struct chain_stage *st = &c->stages[c->n];
	char program[PROGRAM_SIZE];
	pid_t parent = getpid();

	find_program(s->argv[0], program);
	*st = (struct chain_stage){.name = s->argv[0], .before = -1};
	st->pid = fork();
	if (st->pid < 0)
		return err_sys(e, PS_TEMPFAIL, "cannot start %s", st->name);
	if (st->pid == 0)
		become(s, program, io, c->group, parent);
	if (c->group == 0)
		c->group = st->pid;
	/* Both sides set it, so that neither depends on who is first. */
	setpgid(st->pid, c->group);
	c->n++;
	c->alive++;
	return 0;
}

/* A pipe as large as a stage hands over at once. */
static int make_pipe(int fds[2], struct err *e)
{
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(e, PS_TEMPFAIL, "pipe");
	io_grow_pipe(fds[1]);
	return 0;
}

/* Names a pipe without being one of its readers; -1: then it is not seen. */
static int name_pipe(int fd)
{
	char path[64];

	if (fd < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_PATH | O_CLOEXEC);
}

static void forget_pipe(struct chain_stage *s)
{
	if (s->before >= 0)
		close(s->before);
	s->before = -1;
}

static void end_all(struct chain *c)
{
	unsigned i;

	for (i = 0; i < c->n; i++) {
		kill(c->stages[i].pid, SIGKILL);
		while (waitpid(c->stages[i].pid, NULL, 0) < 0 && errno == EINTR)
			;
		forget_pipe(&c->stages[i]);
	}
	*c = (struct chain){0};
}

int chain_start(struct chain *c, const struct plan *p,
		const struct chain_io *io, struct err *e)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int in = -1, rc = 0;
	unsigned i;

	*c = (struct chain){0};
	if (null < 0)
		return err_sys(e, 0, "/dev/null");
	for (i = 0; i < p->n && rc == 0; i++) {
		struct chain_io own = *io;
		int fds[2] = {-1, -1};

		if (i + 1 < p->n)
			rc = make_pipe(fds, e);
		own.in = i > 0 ? in : io->in >= 0 ? io->in : null;
		own.out = fds[1] >= 0 ? fds[1] : io->out >= 0 ? io->out : null;
		if (rc == 0)
			rc = start_stage(c, &p->stages[i], &own, e);
		if (rc == 0)
			c->stages[i].before = name_pipe(in);
		if (in >= 0)
			close(in);
		if (fds[1] >= 0)
			close(fds[1]);
		in = fds[0];
	}
	if (in >= 0)
		close(in);
	close(null);
	if (rc < 0)
		end_all(c);
	return rc;
}

bool chain_reaped(struct chain *c, pid_t pid, int status)
{
	unsigned i;

	for (i = 0; i < c->n; i++) {
		struct chain_stage *s = &c->stages[i];

		if (s->pid != pid || s->ended)
			continue;
		s->ended = true;
		s->status = status;
		forget_pipe(s);
		c->alive--;
		return true;
	}
	return false;
}

void chain_tell(struct chain *c, unsigned first, unsigned last)
{
	unsigned i;

	for (i = first; i < last && i < c->n; i++) {
		if (c->stages[i].ended || c->stages[i].told)
			continue;
		c->stages[i].told = true;
		kill(c->stages[i].pid, SIGTERM);
	}
}

unsigned chain_unread(const struct chain *c)
{
	unsigned i = c->n;

	while (i > 0 && !c->stages[i - 1].ended)
		i--;
	return i > 0 ? i - 1 : 0;
}

void chain_signal(struct chain *c, int sig)
{
	unsigned i;

	for (i = 0; i < c->n; i++) {
		if (c->stages[i].ended)
			continue;
		c->stages[i].told = true;
		kill(c->stages[i].pid, sig);
	}
}

void chain_signal_group(struct chain *c, int sig)
{
	unsigned i;

	if (c->alive == 0)
		return;
	for (i = 0; i < c->n; i++)
		c->stages[i].told = c->stages[i].told || !c->stages[i].ended;
	kill(-c->group, sig);
}
