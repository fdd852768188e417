#include "config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/secret.h"
#include "base/units.h"
#include "push/session-start.h"
#include "push/target.h"

static int cancelled(struct err *e)
{
	int rc = err_set(e, PS_TEMPFAIL, "ended by a signal");

	e->sys = ECANCELED;
	return rc;
}

int session_open(struct session *s, const struct session_way *w,
		 const struct push_host *h, enum session_rights rights,
		 const char *words, struct err *e)
{
	struct pollfd ended = {w->cancel_fd, POLLIN, 0};
	int rc = 0;

	memset(s, 0, sizeof(*s));
	s->way = w;
	s->rights = rights;
	s->in = s->out = s->err = s->file = s->fifo_fd = -1;
	s->idle_ns = mono_now_ns();
	s->end_ns = s->idle_ns + (int64_t)w->total_s * NS_PER_S;
	if (poll(&ended, 1, 0) > 0)
		return cancelled(e);
	rc = session_send(s, push_target_text, strlen(push_target_text), e);
	if (rc == 0)
		rc = session_start(s, h, words, e);
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
	return s->ready && s->in >= 0 &&
	       (s->npending > 0 || s->file_at < s->file_end);
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

/* Is a question for the password the last thing that was said? */
static bool asked(const struct session *s)
{
	const char *line = memrchr(s->said, '\n', s->nsaid), *colon;

	/* PAM may have words of its own. */
	line = line != NULL ? line : s->said;
	colon = strrchr(line, ':');
	return strstr(line, "assword") != NULL && colon != NULL &&
	       colon[1 + strspn(colon + 1, " ")] == '\0';
}

/*
 * sudo gets the password when it asks, and only then: a shell that stands
 * there instead would take it for a command. A second question means that it
 * was wrong, and what comes next must not be tried as one.
 */
static void answer_sudo(struct session *s)
{
	const char *password = s->way->password;

	if (s->rights != SESSION_SUDO_PASSWORD || s->ready || s->in < 0 ||
	    !asked(s))
		return;
	if (s->answered ||
	    io_write_full(s->in, password, strlen(password)) < 0 ||
	    io_write_full(s->in, "\n", 1) < 0) {
		close(s->in);
		s->in = -1;
	}
	s->answered = true;
	keep_said(s, "\n", 1);
}

static void hear_err(struct session *s)
{
	char piece[512];
	ssize_t n = read(s->err, piece, sizeof(piece));

	if (n < 0 && errno == EINTR)
		return;
	if (n > 0) {
		keep_said(s, piece, (size_t)n);
		answer_sudo(s);
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
	for (;;) {
		while (!cut_line(s, line)) {
			int rc;

			if (s->out_ended)
				return 0;
			rc = step(s, e);
			if (rc < 0)
				return rc;
		}
		if (s->ready || strcmp(line, SESSION_READY) != 0)
			return 1;
		s->ready = true;
	}
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
	session_drop_pipe(s);
	s->in = s->out = s->err = -1;
	s->pending = NULL;
	s->pid = 0;
	return status;
}

/* The line around a place in what was said. */
static void line_of(const struct session *s, const char *at, char *line,
		    size_t size)
{
	size_t n = strcspn(at, "\r\n");

	while (at > s->said && at[-1] != '\n') {
		at--;
		n++;
	}
	while (n > 0 && (at[n - 1] == '.' || at[n - 1] == ' '))
		n--;
	snprintf(line, size, "%.*s", (int)n, at);
	for (; *line != '\0'; line++)
		if (*line < ' ' || *line > '~')
			*line = '?';
}

enum push_reason session_why(const struct session *s, char *line, size_t size)
{
	static const struct {
		const char *words;
		enum push_reason reason;
	} known[] = {
	    /* OpenSSH's own words; those of PAM and nologin(8) */
	    {"IDENTIFICATION HAS CHANGED", REASON_HOST_KEY},
	    {"Host key verification failed", REASON_HOST_KEY},
	    {"Too many authentication failures", REASON_TOO_MANY},
	    {"System is going down", REASON_NO_SSH},
	    {"System is booting up", REASON_NO_SSH},
	    {"account has expired", REASON_DISABLED},
	    {"password has expired", REASON_DISABLED},
	    {"Password change required", REASON_DISABLED},
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
	size_t n;

	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		const char *at = strstr(s->said, known[i].words);

		if (at != NULL) {
			line_of(s, at, line, size);
			return known[i].reason;
		}
	}
	for (n = s->nsaid; n > 0 && strchr("\r\n", s->said[n - 1]) != NULL;)
		n--;
	line_of(s, s->said + n, line, size);
	return REASON_NONE;
}
