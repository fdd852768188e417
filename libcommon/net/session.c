#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"
#include "cache/move.h"
#include "net/channel.h"
#include "net/sandbox.h"
#include "net/session.h"

#define DRAIN_MAX (128 * 1024 * 1024u) /* of a body that nobody wants */
/* A scan may find nothing for a day, and shows that it lives (cxpsclient). */
#define REQUEST_NS (2 * 86400 * NS_PER_S)
#define LIST_MAX (16 * 1024 * 1024u)

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

static int answer_head(const struct session *s, const struct answer *a,
		       char *out, size_t size)
{
	char date[HTTP_DATE_SIZE], extra[128] = "";

	http_date(time_now_ns() / NS_PER_S, date);
	if (a->cause != NULL)
		snprintf(extra, sizeof(extra),
			 "PS-Cause: %s\r\nRetry-After: %u\r\n", a->cause,
			 a->retry_s);
	return snprintf(out, size,
			"HTTP/1.1 %u %s\r\nDate: %s\r\nServer: ps-receive\r\n"
			"Content-Type: %s\r\nContent-Length: %zu\r\n%s%s\r\n",
			a->status, http_reason(a->status), date,
			a->binary ? "application/octet-stream"
				  : "text/tab-separated-values",
			a->len, extra, s->end ? "Connection: close\r\n" : "");
}

void session_answer(struct session *s, const struct answer *a)
{
	char out[4096];
	struct err e = {0};
	int n, rc;

	if (s->answered)
		return;
	s->answered = true;
	/* Pipelined requests are left unanswered: they are sent again. */
	s->end |= server_stopping(s->srv);
	n = answer_head(s, a, out, sizeof(out));
	if ((size_t)n + a->len <= sizeof(out)) { /* one record, one packet */
		if (a->len > 0)
			memcpy(out + n, a->body, a->len);
		rc = conn_write(&s->conn, out, (size_t)n + a->len, &e);
	} else {
		rc = conn_write(&s->conn, out, (size_t)n, &e);
		if (rc == 0)
			rc = conn_write(&s->conn, a->body, a->len, &e);
	}
	if (rc < 0) {
		s->end = true;
		netlog_err(&s->srv->log, s->peer, "answer not sent: %s", e.msg);
	}
	log_request(s, a->status);
}

void session_stream(struct session *s, uint64_t len, session_send_fn *send,
		    void *ctx)
{
	const struct answer a = {.status = 200, .len = len, .binary = true};
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
		netlog_err(&s->srv->log, s->peer, "answer not sent: %s", e.msg);
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
	session_answer(s, &(struct answer){status, line, n, NULL, 0, false});
}

void session_drain(struct session *s)
{
	uint64_t until = s->body.read + DRAIN_MAX;
	static char drop[64 * 1024];
	struct err e = {0};
	ssize_t got = 1;

	while (!s->end && !s->body.done && got > 0) {
		got = http_body_read(&s->body, drop, sizeof(drop), &e);
		if (got < 0 || s->body.read > until)
			s->end = true;
	}
}

void session_later(struct session *s, unsigned status, const char *cause,
		   unsigned retry_s, const char *words)
{
	char line[640];
	int n = snprintf(line, sizeof(line), "%.600s\n", words);

	session_answer(s, &(struct answer){status, line, (size_t)n, cause,
					   retry_s, false});
}

unsigned session_room_s(struct session *s, uint64_t bytes)
{
	struct drain *d = &s->srv->drain;
	int64_t now = mono_now_ns();
	uint64_t drained;

	if (s->cache == NULL)
		return DRAIN_MAX_S;
	drained = cache_drained(s->cache);
	drain_see(d, now, drained);
	return drain_wait_s(d, now, drained, bytes);
}

void session_fail(struct session *s, const struct err *e)
{
	netlog_err(&s->srv->log, s->peer, "%s", e->msg);
	if (s->conn.broken || s->conn.eof) {
		s->end = true;
	} else if (e->sys == ENOSPC || e->sys == EDQUOT) {
		session_later(s, 507, "cache-full",
			      session_room_s(s, SEG_DATA_DEFAULT), e->msg);
	} else if (e->code == PS_TEMPFAIL) {
		session_later(s, 503, "busy", SESSION_RETRY_BUSY_S, e->msg);
	} else {
		s->end = true;
		session_say(
		    s, e->code == PS_DATA || e->code == PS_PROTOCOL ? 400 : 500,
		    "%s", e->msg);
	}
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
}

/* A request that is not HTTP as we want it: say so once, and end. */
static void bad_request(struct session *s, const struct err *e)
{
	netlog_err(&s->srv->log, s->peer, "%s", e->msg);
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
	s->answered = s->taken = s->conn.busy = false;
	s->in_before = s->conn.in_bytes;
	s->out_before = s->conn.out_bytes;
	s->began_ns = mono_now_ns();
	if (s->machine[0] != '\0')
		s->conn.deadline_ns = 0;
	if (server_stopping(s->srv))
		return 0;
	rc = http_read_head(&s->in, HTTP_REQUEST, &s->head, head_begun, s, &e);
	if (s->machine[0] != '\0')
		s->conn.deadline_ns = mono_now_ns() + REQUEST_NS;
	if (rc == 0)
		return 0;
	if (rc < 0) {
		if (s->conn.busy)
			bad_request(s, &e);
		else if (!server_stopping(s->srv))
			netlog_err(&s->srv->log, s->peer, "%s", e.msg);
		return 0;
	}
	http_body_begin(&s->body, &s->in, &s->head, UINT64_MAX);
	snprintf(s->path, sizeof(s->path), "%s", s->head.target);
	s->nparts = http_split(s->path, s->part, 8);
	s->end = s->head.close;
	return 1;
}

bool session_may(const struct session *s, const char *machine, bool write)
{
	if (strcmp(s->machine, LOGIN_OPERATOR) == 0)
		return !write;
	return strcmp(s->machine, machine) == 0;
}

/* ---- heads ---- */

static void put_line(FILE *f, struct ack *a, enum ack_level level, uint64_t seq,
		     const uint8_t digest[SHA256_LEN])
{
	char line[ACK_LINE_SIZE];

	a->level = level;
	a->seq = seq;
	memcpy(a->digest, digest, SHA256_LEN);
	ack_format(a, line);
	fputs(line, f);
}

static int print_head(void *ctx, const char *machine, const char *disk,
		      const struct cache_head *h, struct err *e)
{
	static const uint8_t none[SHA256_LEN];
	struct ack a = {0};
	FILE *f = ctx;

	snprintf(a.machine, sizeof(a.machine), "%s", machine);
	snprintf(a.disk, sizeof(a.disk), "%s", disk);
	if (h->seated) {
		a.head = true;
		put_line(f, &a, ACK_DURABLE, h->seq, h->digest);
		put_line(f, &a, ACK_STORED, h->stored_seq, h->stored_digest);
		a.head = false;
	} else {
		snprintf(a.reason, sizeof(a.reason), "unseated");
		put_line(f, &a, ACK_REFUSED, 0, none);
	}
	if (h->held) { /* sequence 0 would say that it is not seated */
		snprintf(a.reason, sizeof(a.reason), "held: %.240s", h->reason);
		put_line(f, &a, ACK_REFUSED, h->seq > 0 ? h->seq : 1,
			 h->digest);
	}
	if (ferror(f) || ftell(f) > (long)LIST_MAX)
		return err_set(e, PS_TEMPFAIL, "list of heads too long");
	return 0;
}

static void answer_text(struct session *s, FILE *f, char **text, size_t *len,
			int rc, const struct err *e)
{
	if (fclose(f) != 0 && rc == 0)
		rc = -PS_TEMPFAIL;
	if (rc == 0) {
		session_answer(
		    s, &(struct answer){200, *text, *len, NULL, 0, false});
	} else {
		session_fail(s, e);
	}
	free(*text);
}

void session_head(struct session *s)
{
	const char *machine = s->part[2], *disk = s->part[4];
	struct cache_head h;
	struct err e = {0};
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	int rc = 0;

	if (f == NULL) {
		session_say(s, 500, "out of memory");
		return;
	}
	/*
	 * For the machine itself the answer is final: nothing that an older
	 * connection has not put yet comes later. Whoever seats disks sees by
	 * the same that this one is asked for.
	 */
	if (session_may(s, machine, true))
		rc = cache_fence(s->cache, machine, disk, &e);
	if (rc == 0)
		rc = cache_head(s->cache, machine, disk, &h, &e);
	if (rc == 0)
		rc = print_head(f, machine, disk, &h, &e);
	answer_text(s, f, &text, &len, rc, &e);
}

void session_list(struct session *s, const char *machine)
{
	struct err e = {0};
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	int rc;

	if (f == NULL) {
		session_say(s, 500, "out of memory");
		return;
	}
	rc = cache_disks(s->cache, machine, print_head, f, &e);
	answer_text(s, f, &text, &len, rc, &e);
}

/*
 * A machine that has gone to another server is told so. Asked before its disk
 * is looked for: that would make it one that waits for a seat here.
 */
static bool answer_moved(struct session *s, const char *machine)
{
	char words[ACK_REASON_SIZE];
	struct move_mark m;
	struct err e = {0};

	if (cache_move_mark(s->cache, machine, &m, &e) < 0) {
		session_fail(s, &e);
		return true;
	}
	if (m.state == MOVE_NONE)
		return false;
	cache_move_words(&m, words);
	session_later(s, 503,
		      m.state == MOVE_LEAVING ? SESSION_MOVING : SESSION_MOVED,
		      SESSION_RETRY_MOVE_S, words);
	return true;
}

/* ---- the way to each of them ---- */

static bool is_part(const struct session *s, int i, const char *word)
{
	return i < s->nparts && strcmp(s->part[i], word) == 0;
}

static void machines(struct session *s)
{
	bool get = strcmp(s->head.method, "GET") == 0;
	bool put = strcmp(s->head.method, "PUT") == 0;
	const char *machine = s->nparts > 2 ? s->part[2] : NULL;
	bool all = strcmp(s->machine, LOGIN_OPERATOR) == 0;

	if (machine != NULL && !name_ok(machine))
		session_say(s, 400, "not the name of a machine");
	else if (machine != NULL && !session_may(s, machine, put))
		session_say(s, 403, "not for the login '%s'", s->machine);
	else if (s->nparts <= 3 && get)
		session_list(s, machine != NULL ? machine
				: all		? NULL
						: s->machine);
	else if (s->nparts < 5 || !is_part(s, 3, "disks"))
		session_say(s, 404, "no such place");
	else if (!name_ok(s->part[4]))
		session_say(s, 400, "not the name of a disk");
	else if (get && !all && answer_moved(s, machine))
		return;
	else if (s->nparts == 5 && get)
		session_head(s);
	else if (s->nparts == 6 && is_part(s, 5, "map") && get)
		session_map(s);
	else if (s->nparts == 7 && is_part(s, 5, "segments") && put)
		session_put(s);
	else
		session_say(s, s->nparts == 5 || s->nparts == 7 ? 405 : 404,
			    "no such place or method");
}

static void dispatch(struct session *s)
{
	char now[TIME_TEXT];

	if (s->nparts < 1) { /* what a browser asks for */
		session_say(s, 400, "Bad Request");
	} else if (!is_part(s, 0, "v1")) {
		session_say(s, 404, "no such place");
	} else if (is_part(s, 1, "machines")) {
		machines(s);
	} else if (is_part(s, 1, "probe")) {
		session_probe(s);
	} else if (is_part(s, 1, "time") && s->nparts == 2 &&
		   strcmp(s->head.method, "GET") == 0) {
		format_time(time_now_ns(), now);
		session_say(s, 200, "time\t%s", now);
	} else {
		session_say(s, 404, "no such place");
	}
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

static void serve(struct session *s, const struct err *why)
{
	double before = own_time();

	while (!s->end && session_next(s) > 0) {
		if (s->cache == NULL) {
			s->end = true;
			session_say(s, 500, "%s", why->msg);
			break;
		}
		dispatch(s);
		session_drain(s);
		pace(s, own_time() - before);
		before = own_time();
	}
}

/* ---- the process ---- */

static int end_holder(void *ctx, const char *disk, bool force, struct err *e)
{
	const struct session *s = ctx;

	return channel_ask(s->srv->log.channel, CHANNEL_END_HOLDER, force, disk,
			   e);
}

static void storage_failed(void *ctx, const char *words)
{
	const struct session *s = ctx;

	(void)channel_ask(s->srv->log.channel, CHANNEL_FAILED, 0, words, NULL);
}

/* Opens what this login may see, and locks the door behind us. */
static int enter(struct session *s, struct err *why, struct err *e)
{
	bool all = strcmp(s->machine, LOGIN_OPERATOR) == 0;
	enum sandbox_role role = all ? SANDBOX_OPERATOR : SANDBOX_WORKER;
	int dirfd = -1, rc;

	if (cache_open(&s->cache, s->srv->cache, why) < 0) {
		netlog_err(&s->srv->log, s->peer, "%s", why->msg);
		s->cache = NULL;
	} else {
		cache_help(s->cache,
			   &(struct cache_help){s, end_holder, storage_failed});
		dirfd = cache_folder(s->cache, all ? NULL : s->machine, NULL);
	}
	/* A name that no machine can have here has no folder. */
	rc = sandbox_enter(dirfd >= 0 ? role : SANDBOX_GATE, dirfd, e);
	if (dirfd >= 0)
		close(dirfd);
	return rc;
}

int session_run(struct server *srv, int fd, const char *machine,
		const char *peer)
{
	struct session *s = calloc(1, sizeof(*s));
	struct err e = {0}, why = {0};
	int rc;

	if (s == NULL) {
		netlog_err(&srv->log, peer, "out of memory");
		return PS_OK;
	}
	s->srv = srv;
	s->peer = peer;
	s->pace.nth = srv->nth;
	snprintf(s->machine, sizeof(s->machine), "%s", machine);
	rc = conn_open_plain(&s->conn, fd, peer, &e);
	if (rc == 0)
		rc = http_in_open(&s->in, conn_read, &s->conn, &e);
	if (rc == 0)
		rc = enter(s, &why, &e);
	if (rc < 0) {
		netlog_err(&srv->log, peer, "%s", e.msg);
	} else {
		s->conn.stop = srv->stop;
		s->conn.mask = &srv->wait_mask;
		s->conn.idle_ns = (int64_t)srv->idle_s * NS_PER_S;
		serve(s, &why);
	}
	/* Whether this is news, the listener knows. */
	rc = server_stopping(srv) && !s->conn.eof ? SESSION_ENDED : PS_OK;
	if (s->cache != NULL)
		cache_close(s->cache);
	http_in_close(&s->in);
	probes_free(&s->probes);
	free(s);
	return rc;
}
