#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/units.h"
#include "config/desk-private.h"
#include "net/channel.h"
#include "net/server.h"

#define ASK_NS ((DESK_HOLD_S + 100) * NS_PER_S)

/* ---- begin ---- */

int desk_start(struct desk *ret, const struct desk_place *p, int *ret_roots,
	       struct err *e)
{
	struct err theirs = {0};
	int pair[2] = {-1, -1}, roots[2] = {-1, -1};
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, roots) < 0)
		return err_sys(e, PS_TEMPFAIL, "registry");
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		desk_run(p, pair[1], roots[1]);
	close(pair[1]);
	close(roots[1]);
	if (pid < 0) {
		int rc = err_sys(e, PS_TEMPFAIL, "registry");

		close(pair[0]);
		close(roots[0]);
		return rc;
	}
	if (recv(pair[0], &theirs, sizeof(theirs), 0) != sizeof(theirs))
		theirs = (struct err){.code = PS_SOFTWARE,
				      .msg = "the process of the registry did "
					     "not start"};
	if (theirs.code != 0) {
		close(pair[0]);
		close(roots[0]);
		if (e != NULL)
			*e = theirs;
		return -theirs.code;
	}
	*ret = (struct desk){pid, pair[0]};
	*ret_roots = roots[0];
	return 0;
}

int desk_channel(void *ctx, const struct keeper_notice *who, struct err *e)
{
	const struct desk *d = ctx;

	return channel_pass(d->fd, SOCK_STREAM, who, sizeof(*who), e);
}

/* ---- in a worker ---- */

struct asking {
	int fd, peer;
	const struct server *srv;
	int64_t end_ns;
};

/* Until `want` is possible: 0 or -CODE. */
static int wait_for(const struct asking *a, short want, struct err *e)
{
	struct pollfd p[2] = {{a->fd, want, 0}, {a->peer, POLLRDHUP, 0}};

	for (;;) {
		int n =
		    ppoll(p, 2, &(struct timespec){1, 0}, &a->srv->wait_mask);

		if (n > 0 && p[0].revents != 0)
			return 0;
		if (n > 0 || *a->srv->stop)
			return err_set(e, PS_TEMPFAIL, "nobody waits for it");
		if (mono_now_ns() > a->end_ns)
			return err_set(e, PS_TEMPFAIL,
				       "the registry does not answer");
	}
}

static int put(const struct asking *a, const void *buf, size_t n, struct err *e)
{
	const uint8_t *p = buf;
	int rc = 0;

	while (n > 0 && rc == 0) {
		ssize_t put = send(a->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (put > 0) {
			p += put;
			n -= (size_t)put;
		} else if (put < 0 && errno != EAGAIN && errno != EINTR) {
			rc = err_sys(e, PS_TEMPFAIL, "registry");
		} else {
			rc = wait_for(a, POLLOUT, e);
		}
	}
	return rc;
}

static int get(const struct asking *a, void *buf, size_t n, struct err *e)
{
	uint8_t *p = buf;
	int rc = 0;

	while (n > 0 && rc == 0) {
		ssize_t got = recv(a->fd, p, n, MSG_DONTWAIT);

		if (got > 0) {
			p += got;
			n -= (size_t)got;
		} else if (got == 0) {
			rc = err_set(e, PS_TEMPFAIL, "the registry has ended");
		} else if (errno != EAGAIN && errno != EINTR) {
			rc = err_sys(e, PS_TEMPFAIL, "registry");
		} else {
			rc = wait_for(a, POLLIN, e);
		}
	}
	return rc;
}

static int take_answer(const struct asking *a, struct desk_answer *ret,
		       struct err *e)
{
	struct desk_reply r;
	int rc = get(a, &r, sizeof(r), e);

	if (rc == 0 && r.len > DESK_ANSWER_MAX)
		rc = err_set(e, PS_SOFTWARE, "an answer of %u bytes", r.len);
	if (rc < 0)
		return rc;
	*ret = (struct desk_answer){
	    .status = r.status, .retry_s = r.retry_s, .len = r.len};
	snprintf(ret->cause, sizeof(ret->cause), "%.31s", r.cause);
	ret->body = malloc(ret->len + 1);
	if (ret->body == NULL)
		return err_sys(e, PS_TEMPFAIL, "answer");
	rc = get(a, ret->body, ret->len, e);
	ret->body[ret->len] = '\0';
	if (rc < 0)
		free(ret->body);
	return rc;
}

int desk_ask(int fd, enum desk_what what, const char *name, const void *body,
	     size_t n, int peer, const struct server *srv,
	     struct desk_answer *ret, struct err *e)
{
	const struct asking a = {fd, peer, srv, mono_now_ns() + ASK_NS};
	struct desk_head h = {.what = what, .len = (uint32_t)n};
	int rc;

	snprintf(h.name, sizeof(h.name), "%s", name);
	rc = put(&a, &h, sizeof(h), e);
	if (rc == 0)
		rc = put(&a, body, n, e);
	return rc < 0 ? rc : take_answer(&a, ret, e);
}
