#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/units.h"
#include "net/gate.h"
#include "net/keeper.h"
#include "net/session.h"

#define PIPE_SIZE (128 * 1024)
/* For the peer to take the last answer, when it is served no more. */
#define FLUSH_NS (5 * NS_PER_S)

/* One direction: what was read and not yet written. */
struct pipe {
	uint8_t *buf;
	size_t pos, end;
	bool closed; /* nothing more comes in */
	bool dead;   /* nobody reads it: dropped */
	short want;  /* what the TLS side waits for */
};

struct relay {
	struct session *s;
	int fd;
	struct pipe in, out;
	bool shut;	/* the end of `in` has been passed on */
	int64_t end_ns; /* 0: served still */
};

/* ---- from the peer ---- */

static int fill_in(struct relay *r, struct err *e)
{
	struct conn *c = &r->s->conn;
	struct pipe *p = &r->in;
	ssize_t n;

	p->want = 0;
	while (!p->closed && p->end < PIPE_SIZE) {
		n = conn_try_read(c, p->buf + p->end, PIPE_SIZE - p->end,
				  &p->want, e);
		if (n < 0)
			return (int)n;
		if (n == 0) {
			p->closed = c->eof;
			return 0;
		}
		p->end += (size_t)n;
	}
	return 0;
}

static void flush_in(struct relay *r)
{
	struct pipe *p = &r->in;
	ssize_t n;

	while (p->pos < p->end && !p->dead) {
		n = send(r->fd, p->buf + p->pos, p->end - p->pos,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0) {
			/* It has ended, or will: its answer comes yet. */
			p->dead = errno != EAGAIN && errno != EINTR;
			break;
		}
		p->pos += (size_t)n;
	}
	if (p->pos == p->end || p->dead)
		p->pos = p->end = 0;
	if (p->closed && p->end == 0 && !r->shut) {
		shutdown(r->fd, SHUT_WR);
		r->shut = true;
	}
}

/* ---- to the peer ---- */

static void fill_out(struct relay *r)
{
	struct pipe *p = &r->out;
	ssize_t n;

	if (p->closed || p->end > 0)
		return;
	n = recv(r->fd, p->buf, PIPE_SIZE, MSG_DONTWAIT);
	if (n > 0)
		p->end = (size_t)n;
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		p->closed = true;
}

static int flush_out(struct relay *r, struct err *e)
{
	struct pipe *p = &r->out;
	ssize_t n;

	p->want = 0;
	while (p->pos < p->end) {
		n = conn_try_write(&r->s->conn, p->buf + p->pos,
				   p->end - p->pos, &p->want, e);
		if (n <= 0)
			return (int)n;
		p->pos += (size_t)n;
	}
	p->pos = p->end = 0;
	return 0;
}

/* ---- both ---- */

static void wait_any(struct relay *r)
{
	struct pollfd p[3] = {
	    {r->fd, 0, 0}, {r->s->conn.rfd, 0, 0}, {r->s->conn.wfd, 0, 0}};
	short want = (short)(r->in.want | r->out.want);
	int ms = -1, i;

	if (r->in.pos < r->in.end)
		p[0].events |= POLLOUT;
	if (r->out.end == 0 && !r->out.closed)
		p[0].events |= POLLIN;
	p[1].events = (short)(want & POLLIN);
	p[2].events = (short)(want & POLLOUT);
	/* A closed end would be told again and again. */
	for (i = 0; i < 3; i++)
		if (p[i].events == 0)
			p[i].fd = -1;
	if (r->end_ns != 0)
		ms = (int)((r->end_ns - mono_now_ns()) / 1000000) + 1;
	(void)ppoll(
	    p, 3,
	    ms < 0 ? NULL : &(struct timespec){ms / 1000, ms % 1000 * 1000000L},
	    NULL);
}

static int pass(struct relay *r, struct err *e)
{
	int rc;

	for (;;) {
		rc = fill_in(r, e);
		if (rc < 0)
			return rc;
		flush_in(r);
		fill_out(r);
		rc = flush_out(r, e);
		if (rc < 0)
			return rc;
		if (r->out.closed && r->out.end == 0)
			return 0;
		if (r->out.closed && r->end_ns == 0)
			r->end_ns = mono_now_ns() + FLUSH_NS;
		if (r->end_ns != 0 && mono_now_ns() > r->end_ns)
			return 0;
		/* A full buffer that went says nothing of what is left. */
		if (r->in.end > 0 || r->in.want != 0 || r->in.closed)
			wait_any(r);
	}
}

/* What has come behind the login belongs to the other process. */
static int serve(struct session *s, int fd, struct err *e)
{
	struct relay r = {.s = s, .fd = fd};
	int rc;

	r.in.buf = malloc(PIPE_SIZE);
	r.out.buf = malloc(PIPE_SIZE);
	if (r.in.buf == NULL || r.out.buf == NULL) {
		rc = err_sys(e, PS_TEMPFAIL, "%s", s->peer);
	} else {
		r.in.end = s->in.end - s->in.pos;
		memcpy(r.in.buf, s->in.buf + s->in.pos, r.in.end);
		rc = pass(&r, e);
	}
	free(r.in.buf);
	free(r.out.buf);
	return rc;
}

void gate_run(struct server *srv, const struct gate *g)
{
	struct session *s = calloc(1, sizeof(*s));
	struct err e = {0};
	int rc;

	if (s == NULL) {
		netlog_err(&srv->log, g->peer, NETLOG_OWN, "out of memory");
		return;
	}
	s->srv = srv;
	s->peer = g->peer;
	s->keeper = g->keeper;
	keeper_use(g->keeper);
	rc = conn_open(&s->conn, srv->tls, g->rfd, g->wfd, g->peer, &e);
	if (rc == 0)
		rc = http_in_open(&s->in, conn_read, &s->conn, &e);
	if (rc == 0) {
		s->conn.stop = srv->stop;
		s->conn.mask = &srv->wait_mask;
		s->conn.deadline_ns =
		    mono_now_ns() + (int64_t)srv->login_s * NS_PER_S;
		rc = conn_accept(&s->conn, &e);
	}
	if (rc == 0 && session_login(s) == 0) {
		close(g->keeper);
		s->conn.deadline_ns = 0;
		/* The other process ends when it has to: then so do we. */
		s->conn.stop = NULL;
		rc = serve(s, g->relay, &e);
	}
	if (rc < 0)
		netlog_err(&srv->log, g->peer, netlog_kind(&e), "%s", e.msg);
	close(g->relay);
	if (s->conn.ssl != NULL)
		conn_linger(&s->conn);
	conn_close(&s->conn);
	http_in_close(&s->in);
	free(s);
}
