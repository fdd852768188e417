#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/tool.h"
#include "base/units.h"
#include "net/session.h"

#define DRAIN_MAX (128 * 1024 * 1024u) /* of a body that nobody wants */
/*
 * All but segments and digest maps is small: its body, and then its answer,
 * may each take so many times what a login may; 60 s by default. Else who
 * sends or reads a byte now and then keeps a place for as long as he likes.
 */
#define SMALL_LOGINS 3
/* A scan may find nothing for a day, and shows that it lives (cxpsclient). */
#define SEGMENT_NS (2 * 86400 * NS_PER_S)

/* ---- time ---- */

/* From now on, for what is left; the gate has the limit of the login. */
static void hurry(struct session *s)
{
	if (s->conn.plain && !s->takes_time)
		s->conn.deadline_ns = mono_now_ns() + (int64_t)s->srv->login_s *
							  SMALL_LOGINS *
							  NS_PER_S;
}

void session_take_time(struct session *s)
{
	s->takes_time = true;
	s->conn.deadline_ns = mono_now_ns() + SEGMENT_NS;
}

/* ---- answers ---- */

static void log_request(struct session *s, unsigned status)
{
	struct netlog_xfer x = {
	    .peer = s->peer,
	    .machine = s->machine,
	    .method = s->head.method != NULL ? s->head.method : "-",
	    .path = s->head.target != NULL ? s->head.target : "-",
	    .status = status,
	    .in_bytes = s->conn.in_bytes - s->in_before,
	    .out_bytes = s->conn.out_bytes - s->out_before,
	    .took_ns = mono_now_ns() - s->began_ns,
	    .seq = s->seq,
	    .digest = s->digest[0] != '\0' ? s->digest : NULL,
	};

	netlog_xfer(&s->srv->log, &x);
}

/* Milliseconds of this request in which the peer waited for us. */
static uint64_t busy_ms(const struct session *s)
{
	int64_t ns = mono_now_ns() - s->began_ns -
		     (s->conn.starved_ns - s->starved_before);

	return ns > 0 ? (uint64_t)ns / 1000000 : 0;
}

static int answer_head(const struct session *s, const struct answer *a,
		       char *out, size_t size)
{
	char date[HTTP_DATE_SIZE], extra[128] = "";

	http_date(time_now_ns() / NS_PER_S, date);
	if (a->cause != NULL)
		snprintf(extra, sizeof(extra),
			 "PS-Cause: %s\r\nRetry-After: %u\r\n", a->cause,
			 a->retry_s);
	else if (s->seq != 0)
		snprintf(extra, sizeof(extra), "PS-Busy: %" PRIu64 "\r\n",
			 busy_ms(s));
	return snprintf(out, size,
			"HTTP/1.1 %u %s\r\nDate: %s\r\nServer: %s\r\n"
			"Content-Type: %s\r\nContent-Length: %zu\r\n%s%s\r\n",
			a->status, http_reason(a->status), date, tool_name,
			a->type != NULL ? a->type : "text/tab-separated-values",
			a->len, extra, s->end ? "Connection: close\r\n" : "");
}

/* RFC 9110, 9.3.2: then the answer has no body, only its length. */
static bool asks_for_head(const struct session *s)
{
	return s->head.method != NULL && strcmp(s->head.method, "HEAD") == 0;
}

void session_answer(struct session *s, const struct answer *a)
{
	char out[4096];
	struct err e = {0};
	size_t len = asks_for_head(s) ? 0 : a->len;
	int n, rc;

	if (s->answered)
		return;
	s->answered = true;
	/* Pipelined requests are left unanswered: they are sent again. */
	s->end |= server_stopping(s->srv);
	hurry(s);
	n = answer_head(s, a, out, sizeof(out));
	if ((size_t)n + len <= sizeof(out)) { /* one record, one packet */
		if (len > 0)
			memcpy(out + n, a->body, len);
		rc = conn_write(&s->conn, out, (size_t)n + len, &e);
	} else {
		rc = conn_write(&s->conn, out, (size_t)n, &e);
		if (rc == 0)
			rc = conn_write(&s->conn, a->body, len, &e);
	}
	if (rc < 0) {
		s->end = true;
		netlog_err(&s->srv->log, s->peer, netlog_kind(&e),
			   "%s: answer not sent", e.msg);
	}
	log_request(s, a->status);
}

void session_stream(struct session *s, uint64_t len, session_send_fn *send,
		    void *ctx)
{
	const struct answer a = {
	    .status = 200, .len = len, .type = "application/octet-stream"};
	char out[1024];
	struct err e = {0};
	int n, rc;

	s->answered = true;
	s->end |= server_stopping(s->srv);
	n = answer_head(s, &a, out, sizeof(out));
	rc = conn_write(&s->conn, out, (size_t)n, &e);
	if (rc == 0)
		rc = send(ctx, &s->conn, &e);
	if (rc < 0) {
		s->end = true;
		netlog_err(&s->srv->log, s->peer, netlog_kind(&e),
			   "%s: answer not sent", e.msg);
	}
	log_request(s, a.status);
}

void session_say(struct session *s, unsigned status, const char *fmt, ...)
{
	char line[640];
	size_t n;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	n = strlen(line);
	line[n++] = '\n';
	session_answer(s, &(struct answer){status, line, n, NULL, 0, NULL});
}

void session_drain(struct session *s)
{
	uint64_t until = s->body.read + DRAIN_MAX;
	static char drop[64 * 1024];
	struct err e = {0};
	ssize_t got = 1;

	while (!s->end && !s->body.done && got > 0) {
		got = http_body_read(&s->body, drop, sizeof(drop), &e);
		if (got < 0)
			netlog_err(&s->srv->log, s->peer, netlog_kind(&e), "%s",
				   e.msg);
		if (got < 0 || s->body.read > until)
			s->end = true;
	}
}

void session_later(struct session *s, unsigned status, const char *cause,
		   unsigned retry_s, const char *words)
{
	char line[640];
	int n = snprintf(line, sizeof(line), "%.600s\n", words);

	session_answer(
	    s, &(struct answer){status, line, (size_t)n, cause, retry_s, NULL});
}

/* ---- requests ---- */

static void head_begun(void *ctx)
{
	struct session *s = ctx;

	/* Now it may not trickle in at will. */
	conn_busy(&s->conn);
	if (s->machine[0] != '\0')
		s->conn.deadline_ns =
		    mono_now_ns() + (int64_t)s->srv->login_s * NS_PER_S;
	s->began_ns = mono_now_ns();
	s->starved_before = s->conn.starved_ns;
}

/* A request that is not HTTP as we want it: say so once, and end. */
static void bad_request(struct session *s, const struct err *e)
{
	netlog_err(&s->srv->log, s->peer, netlog_kind(e), "%s", e->msg);
	s->head.method = s->head.target = NULL;
	s->answered = false;
	s->end = true;
	if (!s->conn.broken)
		session_say(s, 400, "Bad Request");
}

int session_next(struct session *s)
{
	struct err e = {0};
	int rc;

	s->seq = 0;
	s->digest[0] = '\0';
	s->answered = s->taken = s->takes_time = s->conn.busy = false;
	s->in_before = s->conn.in_bytes;
	s->out_before = s->conn.out_bytes;
	s->began_ns = mono_now_ns();
	if (s->machine[0] != '\0')
		s->conn.deadline_ns = 0;
	if (server_stopping(s->srv))
		return 0;
	rc = http_read_head(&s->in, HTTP_REQUEST, &s->head, head_begun, s, &e);
	hurry(s);
	if (rc == 0)
		return 0;
	if (rc < 0) {
		if (s->conn.busy)
			bad_request(s, &e);
		else if (!server_stopping(s->srv))
			netlog_err(&s->srv->log, s->peer, netlog_kind(&e), "%s",
				   e.msg);
		return 0;
	}
	http_body_begin(&s->body, &s->in, &s->head, UINT64_MAX);
	snprintf(s->path, sizeof(s->path), "%s", s->head.target);
	s->nparts = http_split(s->path, s->part, 8);
	s->end = s->head.close;
	return 1;
}

/* Seconds of processor time of this process. */
static double own_time(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) < 0)
		return 0;
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Nobody asks without end: what waits meanwhile waits at the peer. */
static void pace(struct session *s, double used)
{
	uint64_t bytes = s->conn.in_bytes - s->in_before;
	double cost = 1 + used * PACE_CPU;
	int64_t now = mono_now_ns(), end;

	if (s->taken)
		cost = bytes >= PACE_FREE ? 0 : PACE_SMALL;
	end = now + pace_take(&s->pace, now, cost);
	s->conn.busy = false;
	while (!s->end && !server_stopping(s->srv) &&
	       (now = mono_now_ns()) < end) {
		struct timespec ts = {(end - now) / NS_PER_S,
				      (end - now) % NS_PER_S};

		(void)ppoll(NULL, 0, &ts, &s->srv->wait_mask);
	}
}

static void serve(struct session *s, const struct session_work *w)
{
	double before = own_time();

	while (!s->end && session_next(s) > 0) {
		w->answer(s);
		session_drain(s);
		pace(s, own_time() - before);
		before = own_time();
	}
}

int session_run(struct server *srv, int fd, const char *machine,
		const char *peer, const struct session_work *w)
{
	struct session *s = calloc(1, sizeof(*s));
	struct err e = {0};
	int rc;

	if (s == NULL) {
		netlog_err(&srv->log, peer, NETLOG_OWN, "out of memory");
		return PS_OK;
	}
	s->srv = srv;
	s->peer = peer;
	s->ctx = w->ctx;
	s->pace.nth = srv->nth;
	snprintf(s->machine, sizeof(s->machine), "%s", machine);
	rc = conn_open_plain(&s->conn, fd, peer, &e);
	if (rc == 0)
		rc = http_in_open(&s->in, conn_read, &s->conn, &e);
	if (rc == 0)
		rc = w->enter(s, &e);
	if (rc < 0) {
		netlog_err(&srv->log, peer, netlog_kind(&e), "%s", e.msg);
	} else {
		s->conn.stop = srv->stop;
		s->conn.mask = &srv->wait_mask;
		s->conn.idle_ns = (int64_t)srv->idle_s * NS_PER_S;
		serve(s, w);
	}
	/* Whether this is news, the listener knows. */
	rc = server_stopping(srv) && !s->conn.eof ? SESSION_ENDED : PS_OK;
	if (w->leave != NULL)
		w->leave(s);
	http_in_close(&s->in);
	free(s);
	return rc;
}
