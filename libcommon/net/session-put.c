#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/units.h"
#include "net/session.h"

#define RETRY_SEAT_S 30 /* somebody has to seat it */

/* The body, with its first bytes looked at before. */
struct source {
	struct http_body *body;
	uint8_t first[SEG_HEADER_LEN];
	size_t len, pos;
};

static ssize_t read_source(void *ctx, void *buf, size_t n, struct err *e)
{
	struct source *src = ctx;

	if (src->pos == src->len)
		return http_body_read(src->body, buf, n, e);
	if (n > src->len - src->pos)
		n = src->len - src->pos;
	memcpy(buf, src->first + src->pos, n);
	src->pos += n;
	return (ssize_t)n;
}

/* Reads the header, which must be what the path says. */
static int look(struct session *s, struct source *src, struct err *e)
{
	struct seg_header h;
	uint64_t seq;
	int rc;

	if (!parse_u64(s->part[6], UINT64_MAX, &seq) || seq == 0)
		return err_set(e, PS_DATA, "not a sequence: %s", s->part[6]);
	while (src->len < SEG_HEADER_LEN) {
		ssize_t got = http_body_read(src->body, src->first + src->len,
					     SEG_HEADER_LEN - src->len, e);

		if (got < 0)
			return (int)got;
		if (got == 0)
			return err_set(e, PS_DATA, "no segment in the body");
		src->len += (size_t)got;
	}
	rc = seg_header_unpack(&h, src->first, e);
	if (rc < 0)
		return rc;
	s->seq = h.seq;
	if (h.seq != seq || strcmp(h.machine, s->part[2]) != 0 ||
	    strcmp(h.disk, s->part[4]) != 0)
		return err_set(e, PS_DATA,
			       "the segment is %s/%s %llu, not what the path "
			       "says",
			       h.machine, h.disk, (unsigned long long)h.seq);
	return 0;
}

/* ---- disks that have to wait ---- */

static struct stalled *find_stalled(struct session *s)
{
	unsigned i;

	for (i = 0; i < SESSION_STALLED_MAX; i++)
		if (s->stalled[i].seq != 0 &&
		    strcmp(s->stalled[i].disk, s->part[4]) == 0 &&
		    strcmp(s->stalled[i].machine, s->part[2]) == 0)
			return &s->stalled[i];
	return NULL;
}

/*
 * A segment was not taken for now. Its successor may be under way already
 * and must not be refused for the gap, which would hold the disk for good.
 */
static void stall(struct session *s)
{
	struct stalled *st = find_stalled(s);

	if (st != NULL && st->seq <= s->seq)
		return;
	if (st == NULL)
		st = &s->stalled[s->nstalled++ % SESSION_STALLED_MAX];
	snprintf(st->machine, sizeof(st->machine), "%s", s->part[2]);
	snprintf(st->disk, sizeof(st->disk), "%s", s->part[4]);
	st->seq = s->seq;
}

static void later(struct session *s, unsigned status, const char *cause,
		  unsigned retry_s, const char *words)
{
	stall(s);
	session_later(s, status, cause, retry_s, words);
}

/* ---- answers ---- */

static void answer_ack(struct session *s, unsigned status,
		       const struct ack *ack)
{
	char line[ACK_LINE_SIZE];

	hex_encode(ack->digest, SHA256_LEN, s->digest);
	ack_format(ack, line);
	session_answer(
	    s, &(struct answer){status, line, strlen(line), NULL, 0, NULL});
}

static void answer_verdict(struct session *s, enum cache_verdict verdict,
			   const struct ack *ack)
{
	struct stalled *st = find_stalled(s);

	if (st != NULL && !cache_must_wait(verdict) && ack->seq >= st->seq)
		st->seq = 0; /* what it waited for has been decided */
	switch (verdict) {
	case CACHE_DURABLE:
	case CACHE_STORED:
		s->taken = true;
		answer_ack(s, 200, ack);
		break;
	case CACHE_REFUSED:
		netlog_err(&s->srv->log, s->peer, NETLOG_SEGMENT,
			   "%s/%s %llu refused: %s", ack->machine, ack->disk,
			   (unsigned long long)ack->seq, ack->reason);
		answer_ack(s, 409, ack);
		break;
	case CACHE_HELD:
		later(s, 423, "held", RETRY_SEAT_S, ack->reason);
		break;
	case CACHE_UNSEATED:
		later(s, 503, "unseated", RETRY_SEAT_S, ack->reason);
		break;
	case CACHE_MOVING:
		later(s, 503, SESSION_MOVING, SESSION_RETRY_MOVE_S,
		      ack->reason);
		break;
	case CACHE_MOVED:
		later(s, 503, SESSION_MOVED, SESSION_RETRY_MOVE_S, ack->reason);
		break;
	case CACHE_THROTTLED:
		later(s, 503, "cache-throttle",
		      session_room_s(s, cache_excess(s->cache)), ack->reason);
		break;
	case CACHE_LIMITED:
		later(s, 503, "disk-limit",
		      session_room_s(s, cache_excess(s->cache)), ack->reason);
		break;
	}
}

static void answer_failure(struct session *s, const struct err *e)
{
	if (e->code == PS_TEMPFAIL || e->sys == ENOSPC || e->sys == EDQUOT ||
	    e->sys == EFBIG)
		stall(s);
	session_fail(s, e);
}

static int put_segment(struct session *s, struct source *src,
		       enum cache_verdict *verdict, struct ack *ack,
		       struct err *e)
{
	struct seg_reader r = {0};
	struct io_in in = {0};
	uint8_t over;
	int rc;

	rc = io_in_open(&in, read_source, src, "body", e);
	if (rc == 0)
		rc = seg_reader_open(&r, &in, e);
	if (rc == 0) {
		rc = cache_put(s->cache, &r, s->part[2], s->part[4], verdict,
			       ack, e);
		if (rc == 0)
			rc = err_set(e, PS_DATA, "no segment in the body");
	}
	if (rc > 0 && !cache_must_wait(*verdict)) {
		rc = io_in_read(&in, &over, 1, e);
		if (rc > 0)
			rc = err_set(e, PS_DATA, "bytes behind the segment");
	}
	seg_reader_close(&r);
	io_in_close(&in);
	return rc;
}

void session_put(struct session *s)
{
	struct source src = {.body = &s->body};
	enum cache_verdict verdict = CACHE_REFUSED;
	const struct stalled *st;
	struct ack ack = {0};
	struct err e = {0};

	session_take_time(s);
	if (!s->head.chunked && !s->head.has_length) {
		s->end = true;
		session_say(s, 411, "a segment needs a length or chunks");
		return;
	}
	if (look(s, &src, &e) < 0) {
		answer_failure(s, &e);
		return;
	}
	st = find_stalled(s);
	if (st != NULL && s->seq > st->seq) {
		later(s, 503, "behind", SESSION_RETRY_BUSY_S,
		      "an earlier segment of this disk was not taken");
		return;
	}
	if (put_segment(s, &src, &verdict, &ack, &e) < 0)
		answer_failure(s, &e);
	else
		answer_verdict(s, verdict, &ack);
}
