#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/secret.h"
#include "base/units.h"
#include "push/session.h"
#include "push/target.h"

#define ASKPASS_ENV "PS_PUSH_PIPE"
#define MAX_ARGS 64
#define ARG_SIZE 1280

extern char **environ;

/* ---- the password: from a pipe, by a helper that ssh runs ---- */

void session_askpass(void)
{
	const char *path = getenv(ASKPASS_ENV);
	char secret[1024];
	ssize_t n;
	int fd;

	if (path == NULL)
		return;
	secret_harden_process();
	/* It was filled beforehand; a second question finds it empty. */
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	n = fd < 0 ? -1 : read(fd, secret, sizeof(secret));
	if (n <= 0 || io_write_full(STDOUT_FILENO, secret, (size_t)n) < 0)
		_exit(PS_NOPERM);
	secret_wipe(secret, sizeof(secret));
	_exit(0);
}

/* A named pipe that holds the password: its bytes are never on a disk. */
static int fill_pipe(struct session *s, struct err *e)
{
	const char *password = s->way->password;

	if (password == NULL)
		return 0;
	snprintf(s->fifo, sizeof(s->fifo), "%.64s/%p", s->way->folder,
		 (void *)s);
	if (mkfifo(s->fifo, 0600) < 0)
		return err_sys(e, 0, "%s", s->fifo);
	s->fifo_fd =
	    open(s->fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	if (s->fifo_fd < 0 ||
	    io_write_full(s->fifo_fd, password, strlen(password)) < 0 ||
	    io_write_full(s->fifo_fd, "\n", 1) < 0)
		return err_sys(e, 0, "%s", s->fifo);
	return 0;
}

static void drop_pipe(struct session *s)
{
	if (s->fifo[0] == '\0')
		return;
	if (s->fifo_fd >= 0)
		close(s->fifo_fd);
	unlink(s->fifo);
	s->fifo[0] = '\0';
}

/* ---- the command line ---- */

struct args {
	const char *v[MAX_ARGS];
	unsigned n;
	char text[8][ARG_SIZE]; /* those that are made */
	unsigned ntext;
};

static void put(struct args *a, const char *word)
{
	a->v[a->n++] = word;
	a->v[a->n] = NULL;
}

static void put_option(struct args *a, const char *option)
{
	put(a, "-o");
	put(a, option);
}

static char *room(struct args *a)
{
	return a->text[a->ntext++];
}

static void put_text(struct args *a, const char *name, const char *value)
{
	char *text = room(a);

	snprintf(text, ARG_SIZE, "%s=%s", name, value);
	put_option(a, text);
}

static void put_trust(struct args *a, const struct session_way *w)
{
	put_option(a, w->accept_new ? "StrictHostKeyChecking=accept-new"
				    : "StrictHostKeyChecking=yes");
	if (w->known_hosts != NULL) {
		char *text = room(a);

		/* Quoted: a path may have a space in it. */
		snprintf(text, ARG_SIZE, "UserKnownHostsFile=\"%s\"",
			 w->known_hosts);
		put_option(a, text);
		put_option(a, "GlobalKnownHostsFile=/dev/null");
	}
	put_option(a, "UpdateHostKeys=no");
}

static void put_login(struct args *a, const struct session_way *w,
		      const struct push_host *h)
{
	if (w->password != NULL) {
		put_option(a, "BatchMode=no");
		put_option(a, "NumberOfPasswordPrompts=1");
		put_option(a, "PreferredAuthentications=password,"
			      "keyboard-interactive");
		put_option(a, "PubkeyAuthentication=no");
	} else {
		put_option(a, "BatchMode=yes");
	}
	if (w->identity != NULL) {
		put_option(a, "IdentitiesOnly=yes");
		put(a, "-i");
		put(a, w->identity);
	}
	if (h->user[0] != '\0' || w->user != NULL) {
		put(a, "-l");
		put(a, h->user[0] != '\0' ? h->user : w->user);
	}
	if (h->port[0] != '\0') {
		put(a, "-p");
		put(a, h->port);
	}
}

/*
 * What the login shell there gets, whichever it is: the script comes on
 * standard input, and exactly its bytes are read before it runs, so that what
 * follows is the script's. dd never reads ahead with a block of one byte.
 */
static void command(char out[ARG_SIZE], enum session_rights rights,
		    unsigned seconds, const char *words)
{
	static const char *const how[] = {
	    [SESSION_AS_USER] = "",
	    [SESSION_SUDO] = "sudo -n ",
	    [SESSION_SUDO_PASSWORD] = "sudo -k -S -p '' ",
	};

	char limit[32] = "";

	if (seconds > 0)
		snprintf(limit, sizeof(limit), "timeout -k 10 %u ", seconds);
	snprintf(out, ARG_SIZE,
		 "%s%ssh -c 'eval \"$(dd bs=1 count=%zu 2>/dev/null)\"' "
		 "ps-push %s",
		 how[rights], limit, strlen(push_target_text), words);
}

static void make_args(struct args *a, const struct session_way *w,
		      const struct push_host *h, enum session_rights rights,
		      bool bounded, const char *words)
{
	char number[16], *text;

	a->n = a->ntext = 0;
	put(a, "ssh");
	put(a, "-T");
	put_option(a, "LogLevel=ERROR");
	put_option(a, "ControlMaster=no");
	put_option(a, "ControlPath=none");
	put_option(a, "ForwardAgent=no");
	put_option(a, "ForwardX11=no");
	put_option(a, "ClearAllForwardings=yes");
	put_option(a, "PermitLocalCommand=no");
	put_option(a, "RequestTTY=no");
	put_option(a, "EscapeChar=none");
	put_option(a, "ConnectionAttempts=1");
	put_option(a, "ServerAliveInterval=15");
	put_option(a, "ServerAliveCountMax=3");
	snprintf(number, sizeof(number), "%u", w->connect_s);
	put_text(a, "ConnectTimeout", number);
	put_trust(a, w);
	put_login(a, w, h);
	put(a, "--");
	put(a, h->address);
	text = room(a);
	command(text, rights, bounded ? w->total_s : 0, words);
	put(a, text);
}

/* ---- the process ---- */

/* The environment of ssh: ours, and where its helper finds the password. */
static char **make_env(char *const extra[], unsigned n)
{
	unsigned have = 0, k = 0;
	char **env;

	while (environ[have] != NULL)
		have++;
	env = calloc(have + n + 1, sizeof(*env));
	for (unsigned i = 0; env != NULL && i < have; i++)
		if (strncmp(environ[i], "SSH_ASKPASS", 11) != 0 &&
		    strncmp(environ[i], "LC_ALL=", 7) != 0)
			env[k++] = environ[i];
	for (unsigned i = 0; env != NULL && i < n; i++)
		env[k++] = extra[i];
	return env;
}

static int spawn(struct session *s, const struct args *a, const int fds[3],
		 struct err *e)
{
	char helper[512], pipe_path[192], lang[] = "LC_ALL=C",
					  force[] = "SSH_ASKPASS_REQUIRE=force";
	char *extra[] = {lang, force, helper, pipe_path};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	char **env;
	int rc;

	snprintf(helper, sizeof(helper), "SSH_ASKPASS=%s", s->way->askpass);
	snprintf(pipe_path, sizeof(pipe_path), ASKPASS_ENV "=%s", s->fifo);
	env = make_env(extra, s->fifo[0] != '\0' ? 4 : 1);
	if (env == NULL)
		return err_sys(e, PS_TEMPFAIL, "ssh");
	posix_spawn_file_actions_init(&actions);
	for (int i = 0; i < 3; i++)
		posix_spawn_file_actions_adddup2(&actions, fds[i], i);
	posix_spawnattr_init(&attr);
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	/* No terminal that it could ask, and one group to end. */
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID |
					    POSIX_SPAWN_SETSIGMASK |
					    POSIX_SPAWN_SETSIGDEF);
	rc = posix_spawnp(&s->pid, a->v[0], &actions, &attr,
			  (char *const *)(uintptr_t)a->v, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	free(env);
	if (rc == 0)
		return 0;
	errno = rc;
	rc = err_sys(e, PS_UNAVAILABLE, "ssh");
	err_hint(e, "install openssh-client");
	return rc;
}

static void close_pair(int p[2])
{
	if (p[0] >= 0)
		close(p[0]);
	if (p[1] >= 0)
		close(p[1]);
	p[0] = p[1] = -1;
}

static int start(struct session *s, const struct args *a, struct err *e)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1}, rc;

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 ||
	    pipe2(err, O_CLOEXEC) < 0)
		rc = err_sys(e, 0, "pipe");
	else
		rc = spawn(s, a, (int[3]){in[0], out[1], err[1]}, e);
	if (rc == 0) {
		s->in = in[1];
		s->out = out[0];
		s->err = err[0];
		in[1] = out[0] = err[0] = -1;
		fcntl(s->in, F_SETFL, O_NONBLOCK);
		io_grow_pipe(s->in);
	}
	close_pair(in);
	close_pair(out);
	close_pair(err);
	return rc;
}

static int cancelled(struct err *e)
{
	int rc = err_set(e, PS_TEMPFAIL, "ended by a signal");

	e->sys = ECANCELED;
	return rc;
}

int session_open(struct session *s, const struct session_way *w,
		 const struct push_host *h, enum session_rights rights,
		 bool bounded, const char *words, struct err *e)
{
	struct args *a = malloc(sizeof(*a));
	struct pollfd ended = {w->cancel_fd, POLLIN, 0};
	int rc;

	memset(s, 0, sizeof(*s));
	s->way = w;
	s->in = s->out = s->err = s->file = s->fifo_fd = -1;
	s->idle_ns = mono_now_ns();
	s->end_ns = s->idle_ns + (int64_t)w->total_s * NS_PER_S;
	if (a == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s", h->text);
	if (poll(&ended, 1, 0) > 0) {
		free(a);
		return cancelled(e);
	}
	make_args(a, w, h, rights, bounded, words);
	rc = fill_pipe(s, e);
	if (rc == 0 && rights == SESSION_SUDO_PASSWORD) {
		rc = session_send(s, w->password, strlen(w->password), e);
		if (rc == 0)
			rc = session_send(s, "\n", 1, e);
	}
	if (rc == 0)
		rc = session_send(s, push_target_text, strlen(push_target_text),
				  e);
	if (rc == 0)
		rc = start(s, a, e);
	free(a);
	if (rc < 0)
		session_close(s);
	return rc;
}

/* ---- sending ---- */

int session_send(struct session *s, const void *p, size_t n, struct err *e)
{
	if (s->npending + n > s->cap) {
		size_t cap = s->npending + n;
		char *more = malloc(cap);

		if (more == NULL)
			return err_sys(e, PS_TEMPFAIL, "ssh");
		if (s->npending > 0)
			memcpy(more, s->pending, s->npending);
		if (s->pending != NULL)
			secret_wipe(s->pending, s->cap);
		free(s->pending);
		s->pending = more;
		s->cap = cap;
	}
	memcpy(s->pending + s->npending, p, n);
	s->npending += n;
	return 0;
}

void session_send_file(struct session *s, int fd, off_t from, off_t size)
{
	s->file = fd;
	s->file_at = from;
	s->file_end = size;
}

static bool to_send(const struct session *s)
{
	return s->in >= 0 && (s->npending > 0 || s->file_at < s->file_end);
}

/* The next piece of the file becomes what is pending. */
static int refill(struct session *s, struct err *e)
{
	char piece[65536];
	off_t left = s->file_end - s->file_at;
	size_t want =
	    left < (off_t)sizeof(piece) ? (size_t)left : sizeof(piece);
	ssize_t got = io_pread_full(s->file, piece, want, (uint64_t)s->file_at);

	if (got < 0)
		return err_sys(e, 0, "package");
	if ((size_t)got < want)
		return err_set(e, PS_DATA, "package: became shorter");
	s->file_at += got;
	return session_send(s, piece, want, e);
}

static int send_some(struct session *s, struct err *e)
{
	ssize_t n;
	int rc = s->npending == 0 ? refill(s, e) : 0;

	if (rc < 0)
		return rc;
	n = write(s->in, s->pending, s->npending);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0) { /* what it says at its end tells why */
		close(s->in);
		s->in = -1;
		return 0;
	}
	s->idle_ns = mono_now_ns();
	s->npending -= (size_t)n;
	memmove(s->pending, s->pending + n, s->npending);
	secret_wipe(s->pending + s->npending, (size_t)n);
	return 0;
}

/* ---- hearing ---- */

/* The end is kept. */
static void keep_said(struct session *s, const char *text, size_t n)
{
	size_t keep = sizeof(s->said) - 1, drop;

	if (s->nsaid + n > keep) {
		drop = s->nsaid + n - keep;
		memmove(s->said, s->said + drop, s->nsaid - drop);
		s->nsaid -= drop;
	}
	memcpy(s->said + s->nsaid, text, n);
	s->nsaid += n;
	s->said[s->nsaid] = '\0';
}

static void hear_err(struct session *s)
{
	char piece[512];
	ssize_t n = read(s->err, piece, sizeof(piece));

	if (n < 0 && errno == EINTR)
		return;
	if (n > 0) {
		keep_said(s, piece, (size_t)n);
		return;
	}
	close(s->err);
	s->err = -1;
}

void session_said(struct session *s, const char *line)
{
	keep_said(s, line, strlen(line));
	keep_said(s, "\n", 1);
}

static void hear_out(struct session *s)
{
	ssize_t n = read(s->out, s->buf + s->nbuf, sizeof(s->buf) - s->nbuf);

	if (n < 0 && errno == EINTR)
		return;
	s->idle_ns = mono_now_ns();
	if (n <= 0)
		s->out_ended = true;
	else
		s->nbuf += (size_t)n;
}

/* A line that is whole; one that is too long is cut, the rest dropped. */
static bool cut_line(struct session *s, char line[SESSION_LINE])
{
	char *end = memchr(s->buf, '\n', s->nbuf);
	size_t n, used;

	if (end == NULL && s->nbuf < sizeof(s->buf) &&
	    !(s->out_ended && s->nbuf > 0))
		return false;
	n = end != NULL ? (size_t)(end - s->buf) : s->nbuf;
	used = end != NULL ? n + 1 : n;
	if (n > SESSION_LINE - 1)
		n = SESSION_LINE - 1;
	memcpy(line, s->buf, n);
	line[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if (line[i] < ' ' || line[i] > '~')
			line[i] = '?';
	s->nbuf -= used;
	memmove(s->buf, s->buf + used, s->nbuf);
	return true;
}

static int too_late(const struct session *s, int64_t now, struct err *e)
{
	if (now >= s->end_ns)
		return err_set(e, PS_TEMPFAIL, "not done after %u s",
			       s->way->total_s);
	return err_set(e, PS_TEMPFAIL, "nothing heard for %u s",
		       s->way->idle_s);
}

/* Waits for something to do, and does it. */
static int step(struct session *s, struct err *e)
{
	int64_t now = mono_now_ns();
	int64_t idle = s->idle_ns + (int64_t)s->way->idle_s * NS_PER_S;
	int64_t end = idle < s->end_ns ? idle : s->end_ns;
	struct pollfd p[] = {{s->way->cancel_fd, POLLIN, 0},
			     {s->out, POLLIN, 0},
			     {s->err, POLLIN, 0},
			     {to_send(s) ? s->in : -1, POLLOUT, 0}};

	if (now >= end)
		return too_late(s, now, e);
	if (poll(p, 4, (int)((end - now) / 1000000 + 1)) < 0 && errno != EINTR)
		return err_sys(e, 0, "poll");
	if (p[0].revents != 0)
		return cancelled(e);
	if (p[2].revents != 0)
		hear_err(s);
	if (p[1].revents != 0)
		hear_out(s);
	return p[3].revents != 0 ? send_some(s, e) : 0;
}

int session_line(struct session *s, char line[SESSION_LINE], struct err *e)
{
	while (!cut_line(s, line)) {
		int rc;

		if (s->out_ended)
			return 0;
		rc = step(s, e);
		if (rc < 0)
			return rc;
	}
	return 1;
}

/* ---- the end ---- */

/* Waits for its end; what it says meanwhile must not hold it up. */
static bool wait_end(struct session *s, int pidfd, unsigned seconds)
{
	int64_t end = mono_now_ns() + (int64_t)seconds * NS_PER_S, left;

	while ((left = end - mono_now_ns()) > 0) {
		struct pollfd p[] = {{pidfd, POLLIN, 0}, {s->err, POLLIN, 0}};

		if (poll(p, 2, (int)(left / 1000000 + 1)) <= 0)
			continue;
		if (p[1].revents != 0)
			hear_err(s);
		if (p[0].revents != 0)
			return true;
	}
	return false;
}

/* A moment for it to end by itself, then it is told to, then it must. */
static int reap(struct session *s)
{
	int pidfd = (int)syscall(SYS_pidfd_open, s->pid, 0), status = 0;

	/* Its own group: also the helper that it runs. */
	if (pidfd < 0 || !wait_end(s, pidfd, 3)) {
		kill(-s->pid, SIGTERM);
		if (pidfd < 0 || !wait_end(s, pidfd, 2))
			kill(-s->pid, SIGKILL);
	}
	if (pidfd >= 0)
		close(pidfd);
	while (waitpid(s->pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

/* What is left in the pipe when nobody writes to it any more. */
static void drain_err(struct session *s)
{
	while (s->err >= 0) {
		struct pollfd p = {s->err, POLLIN, 0};

		if (poll(&p, 1, 0) <= 0)
			break;
		hear_err(s);
	}
}

int session_close(struct session *s)
{
	int status = 255;

	if (s->in >= 0)
		close(s->in);
	if (s->pid > 0) {
		/* Not heard to its end: nothing to wait for. */
		if (!s->out_ended)
			kill(-s->pid, SIGTERM);
		status = reap(s);
		drain_err(s);
	}
	if (s->out >= 0)
		close(s->out);
	if (s->err >= 0)
		close(s->err);
	if (s->pending != NULL)
		secret_wipe(s->pending, s->cap);
	free(s->pending);
	drop_pipe(s);
	s->in = s->out = s->err = -1;
	s->pending = NULL;
	s->pid = 0;
	return status;
}

enum push_reason session_why(const struct session *s)
{
	static const struct {
		const char *words;
		enum push_reason reason;
	} known[] = {
	    /* OpenSSH's own words; those of PAM and nologin(8) */
	    {"IDENTIFICATION HAS CHANGED", REASON_HOST_KEY},
	    {"Host key verification failed", REASON_HOST_KEY},
	    {"Too many authentication failures", REASON_TOO_MANY},
	    {"going down", REASON_NO_SSH},
	    {"booting up", REASON_NO_SSH},
	    {"expired", REASON_DISABLED},
	    {"account is currently not available", REASON_DISABLED},
	    {"account is not available", REASON_DISABLED},
	    {"Permission denied", REASON_LOGIN},
	    {"Connection refused", REASON_NO_SSH},
	    {"No route to host", REASON_NETWORK},
	    {"Network is unreachable", REASON_NETWORK},
	    {"Could not resolve hostname", REASON_UNREACHABLE},
	    {"timed out", REASON_UNREACHABLE},
	    {"Connection closed", REASON_NO_SSH},
	    {"Connection reset", REASON_NO_SSH},
	    {"kex_exchange_identification", REASON_NO_SSH},
	};

	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strstr(s->said, known[i].words) != NULL)
			return known[i].reason;
	return REASON_NONE;
}
