#include "config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/task.h"
#include "base/units.h"
#include "pipeline/verdict.h"

#define KILL_S 5 /* between SIGTERM and SIGKILL */
/* A program may leave a child behind that holds our pipe. */
#define CLOSING_NS (NS_PER_S / 2)
#define READ_AT_ONCE 4096
#define SAID_MAX 100 /* lines of one task that are passed on */

int loop_open(struct loop *l, struct err *e)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	*l = (struct loop){.extra_fd = -1};
	l->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return l->sigfd < 0 ? err_sys(e, 0, "signalfd") : 0;
}

void loop_close(struct loop *l)
{
	close(l->sigfd);
}

/* ---- beginning ---- */

/* In the child. */
static void prepare(void *ctx)
{
	struct task *t = ctx;
	char *const *v;

	for (v = t->env; v != NULL && *v != NULL; v++)
		putenv(*v);
	if (t->prepare != NULL)
		t->prepare(t->prepare_ctx);
}

/* What the chain is joined to; what we read stays open in the task. */
static int join(struct task *t, struct chain_io *io, struct err *e)
{
	int fds[2];

	if (t->in_path != NULL) {
		io->in = open(t->in_path, O_RDONLY | O_CLOEXEC);
		if (io->in < 0)
			return err_sys(e, 0, "%s", t->in_path);
	}
	if (t->out_path != NULL) {
		io->out = open(t->out_path,
			       O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (io->out < 0)
			return err_sys(e, 0, "%s", t->out_path);
	} else {
		if (pipe2(fds, O_CLOEXEC) < 0)
			return err_sys(e, PS_TEMPFAIL, "pipe");
		t->out = fds[0];
		io->out = fds[1];
	}
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(e, PS_TEMPFAIL, "pipe");
	t->err = fds[0];
	io->err = fds[1];
	return 0;
}

static void close_if(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void begin(struct task *t, struct err *e)
{
	struct chain_io io = {
	    .in = -1, .out = -1, .err = -1, .prepare = prepare, .ctx = t};

	if (join(t, &io, e) == 0)
		(void)chain_start(&t->chain, &t->plan, &io, e);
	close_if(&io.in);
	close_if(&io.out);
	close_if(&io.err);
	if (t->out >= 0)
		(void)fcntl(t->out, F_SETFL, O_NONBLOCK);
	if (t->err >= 0)
		(void)fcntl(t->err, F_SETFL, O_NONBLOCK);
}

void task_start(struct loop *l, struct task *t)
{
	struct err e = {0};

	assert(!t->running);
	t->out = t->err = -1;
	t->chain = (struct chain){0};
	t->out_line.n = t->err_line.n = 0;
	t->nmessages = 0;
	t->overdue = t->stopped = false;
	t->closing = 0;
	t->deadline = t->limit_s == 0
			  ? INT64_MAX
			  : mono_now_ns() + (int64_t)t->limit_s * NS_PER_S;
	t->running = true;
	t->next = l->first;
	l->first = t;
	begin(t, &e);
	if (e.code != 0) {
		close_if(&t->out);
		close_if(&t->err);
		snprintf(t->messages[0], sizeof(t->messages[0]), "%.190s",
			 e.msg);
		t->said[0] = false;
		t->nmessages = 1;
	}
}

void task_stop(struct task *t)
{
	if (!t->running || t->stopped)
		return;
	t->stopped = true;
	chain_signal_group(&t->chain, SIGTERM);
	t->deadline = mono_now_ns() + KILL_S * NS_PER_S;
}

void task_drain(struct task *t, uint64_t seconds)
{
	int64_t until = mono_now_ns() + (int64_t)seconds * NS_PER_S;

	if (!t->running || t->stopped)
		return;
	chain_tell(&t->chain, 0, 1);
	if (until < t->deadline)
		t->deadline = until;
}

/* ---- what programs say ---- */

static void on_line(struct loop *l, struct task *t, struct task_line *line)
{
	unsigned at;

	line->text[line->n] = '\0';
	line->n = 0;
	if (line == &t->out_line) {
		if (t->line != NULL)
			t->line(t->ctx, line->text);
		return;
	}
	at = t->nmessages++ % TASK_MESSAGES;
	snprintf(t->messages[at], sizeof(t->messages[0]), "%.199s", line->text);
	t->said[at] =
	    t->nmessages <= SAID_MAX && l->say(l->ctx, t->who, line->text);
}

bool task_said(const struct task *t, const char *words)
{
	unsigned i;

	for (i = 0; i < TASK_MESSAGES && i < t->nmessages; i++) {
		const char *m = t->messages[i], *behind = strstr(m, ": ");

		if (t->said[i] &&
		    (strncmp(m, words, sizeof(t->messages[0]) - 1) == 0 ||
		     (behind != NULL && strcmp(behind + 2, words) == 0)))
			return true;
	}
	return false;
}

static void take(struct loop *l, struct task *t, struct task_line *line,
		 const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (p[i] == '\n')
			on_line(l, t, line);
		else if (line->n + 1 < sizeof(line->text))
			line->text[line->n++] = p[i];
	}
}

/* Reads what is there; not endlessly, others wait too. */
static void drink(struct loop *l, struct task *t, int *fd,
		  struct task_line *line)
{
	char buf[READ_AT_ONCE];
	ssize_t n;
	int i;

	for (i = 0; i < 16 && *fd >= 0; i++) {
		n = read(*fd, buf, sizeof(buf));
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n > 0) {
			take(l, t, line, buf, (size_t)n);
			continue;
		}
		if (line->n > 0)
			on_line(l, t, line);
		close_if(fd);
	}
}

/* ---- the end ---- */

/* Is there another stage of the same program behind this one? */
static bool comes_again(const struct task *t, unsigned stage)
{
	unsigned i;

	for (i = stage + 1; i < t->chain.n; i++)
		if (strcmp(t->chain.stages[i].name,
			   t->chain.stages[stage].name) == 0)
			return true;
	return false;
}

/*
 * The newest message of the program that was the cause; the oldest when what
 * was said later may be of a stage behind it, which misses its input.
 */
static const char *message_of(const struct task *t, unsigned stage)
{
	const char *program = t->chain.stages[stage].name;
	const char *name = strrchr(program, '/'), *found = NULL;
	bool again = comes_again(t, stage);
	unsigned i, n = t->nmessages;
	size_t len;

	name = name != NULL ? name + 1 : program;
	len = strlen(name);
	for (i = 0; i < TASK_MESSAGES && i < n; i++) {
		const char *m = t->messages[(n - 1 - i) % TASK_MESSAGES];

		if (strncmp(m, name, len) == 0 && m[len] == ':' &&
		    strncmp(m + len, ": hint:", 7) != 0) {
			found = m;
			if (!again)
				break;
		}
	}
	return found;
}

static void conclude(const struct task *t, struct task_result *r)
{
	const char *message;
	struct verdict v;

	*r = (struct task_result){.overdue = t->overdue,
				  .interrupted = t->stopped && !t->overdue};
	if (t->chain.n == 0) {
		r->code = PS_TEMPFAIL;
		snprintf(r->words, sizeof(r->words), "%s", t->messages[0]);
		return;
	}
	verdict_of(&t->chain, &v);
	r->code = v.code;
	r->stage = v.stage;
	if (t->overdue) {
		r->code = PS_TEMPFAIL;
		snprintf(
		    r->words, sizeof(r->words), "%s did not end within %llu s",
		    t->chain.stages[0].name, (unsigned long long)t->limit_s);
	} else if (r->interrupted) {
		r->code = PS_TEMPFAIL;
		snprintf(r->words, sizeof(r->words), "interrupted");
	} else if (v.code != 0) {
		message = message_of(t, v.stage);
		if (message == NULL && t->chain.n == 1 && t->nmessages > 0)
			message =
			    t->messages[(t->nmessages - 1) % TASK_MESSAGES];
		if (message != NULL)
			snprintf(r->words, sizeof(r->words), "%s", message);
		else
			verdict_words(&t->chain, &v, r->words,
				      sizeof(r->words));
	}
}

static void finish(struct loop *l, struct task *t)
{
	struct task **at = &l->first;
	struct task_result r;
	char words[48];

	drink(l, t, &t->out, &t->out_line);
	drink(l, t, &t->err, &t->err_line);
	close_if(&t->out);
	close_if(&t->err);
	if (t->nmessages > SAID_MAX) {
		snprintf(words, sizeof(words), "%u more lines left out",
			 t->nmessages - SAID_MAX);
		(void)l->say(l->ctx, t->who, words);
	}
	conclude(t, &r);
	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	t->running = false;
	t->done(t->ctx, &r);
}

/* Moves one task on; true when it has ended. */
static bool step(struct task *t, int64_t now)
{
	if (t->gauge != NULL)
		(void)gauge_step(t->gauge, &t->chain, INT64_MAX);
	if (t->chain.alive == 0) {
		if (t->closing == 0)
			t->closing = now + CLOSING_NS;
		return (t->out < 0 && t->err < 0) || now >= t->closing;
	}
	/* Nobody reads what these give. */
	chain_tell(&t->chain, 0, chain_unread(&t->chain));
	if (now < t->deadline)
		return false;
	if (!t->stopped) {
		t->overdue = true;
		task_stop(t);
	} else {
		chain_signal_group(&t->chain, SIGKILL);
		t->deadline = now + KILL_S * NS_PER_S;
	}
	return false;
}

static void reap(struct loop *l)
{
	struct task *t;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (t = l->first; t != NULL; t = t->next)
			if (chain_reaped(&t->chain, pid, status))
				break;
}

static void take_signals(struct loop *l)
{
	struct signalfd_siginfo info;

	while (read(l->sigfd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			reap(l);
		else
			l->signal(l->ctx, (int)info.ssi_signo);
	}
}

static int64_t wake_time(const struct loop *l, int64_t until)
{
	const struct task *t;

	for (t = l->first; t != NULL; t = t->next) {
		int64_t at = t->deadline;

		if (t->gauge != NULL && t->gauge->next < at)
			at = t->gauge->next;
		if (t->chain.alive == 0)
			at = t->closing > 0 && (t->out >= 0 || t->err >= 0)
				 ? t->closing
				 : 0;
		if (at < until)
			until = at;
	}
	return until;
}

static int wait_ms(int64_t until)
{
	int64_t ns = until - mono_now_ns();

	if (ns <= 0)
		return 0;
	return ns > 3600 * NS_PER_S ? 3600 * 1000 : (int)(ns / 1000000) + 1;
}

void loop_wait(struct loop *l, int64_t until)
{
	struct pollfd fds[2 + 2 * LOOP_TASKS];
	struct task *t, *next;
	nfds_t n = 0;

	fds[n++] = (struct pollfd){.fd = l->sigfd, .events = POLLIN};
	fds[n++] = (struct pollfd){.fd = l->extra_fd, .events = POLLIN};
	for (t = l->first; t != NULL && n + 2 <= 2 + 2 * LOOP_TASKS;
	     t = t->next) {
		fds[n++] = (struct pollfd){.fd = t->out, .events = POLLIN};
		fds[n++] = (struct pollfd){.fd = t->err, .events = POLLIN};
	}
	(void)poll(fds, n, wait_ms(wake_time(l, until)));
	for (t = l->first; t != NULL; t = t->next) {
		drink(l, t, &t->out, &t->out_line);
		drink(l, t, &t->err, &t->err_line);
	}
	take_signals(l);
	if (l->extra_fd >= 0 && fds[1].revents != 0)
		l->extra(l->ctx);
	for (t = l->first; t != NULL; t = next) {
		next = t->next;
		if (step(t, mono_now_ns()))
			finish(l, t);
	}
}
