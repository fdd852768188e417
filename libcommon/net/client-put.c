#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"
#include "net/client-put.h"
#include "segment/reader.h"

#define CHUNK_HEAD 16 /* room for CR LF, length, CR LF before the bytes */
#define CHUNK_TAIL 8  /* and for the end of the body behind them */
#define CHUNK_SIZE (256 * 1024)
#define KEEP 4096 /* heartbeats for a day */
#define HEARTBEAT_MS 30000
#define LATER_RUN_MAX 3

/* ---- sending ---- */

static int send_piece(struct put *p, const void *buf, size_t n, struct err *e)
{
	const uint8_t *at = buf;
	int rc = 0;

	while (n > 0 && rc == 0) {
		short want = 0;
		ssize_t put = conn_try_write(&p->c.conn, at, n, &want, e);

		if (put < 0) {
			struct err why = {0};

			/* It may have said why it does not listen. */
			(void)put_take_answers(p, &why);
			if (why.code != 0 && why.code != PS_UNAVAILABLE)
				*e = why;
			return -e->code;
		}
		if (put == 0)
			rc = put_wait_conn(p, want, e);
		if (rc == 0 && p->wait.code != 0)
			return -p->wait.code;
		at += put;
		n -= (size_t)put;
	}
	return rc;
}

/* As the limit allows, while answers are taken. */
static int send_bytes(struct put *p, const uint8_t *at, size_t n, struct err *e)
{
	struct share *share = p->o->share;
	size_t piece = share_matters(share) ? share_piece(share) : n;
	int rc = 0;

	for (; n > 0 && rc == 0; at += piece, n -= piece) {
		int64_t wait = 1;

		if (piece > n)
			piece = n;
		while (rc == 0 && share_matters(share) &&
		       (wait = share_take(share, p->urgent, piece)) > 0)
			rc = put_pause(p, wait, e);
		if (rc == 0)
			rc = send_piece(p, at, piece, e);
	}
	return rc;
}

/*
 * Sends a chunk: the first n bytes of the buffer, then `more`; `end`: and the
 * end of the body (without more).
 */
static int send_chunk(struct put *p, size_t n, const uint8_t *more,
		      size_t nmore, bool end, struct err *e)
{
	char head[CHUNK_HEAD + 1];
	int h = snprintf(head, sizeof(head), "%s%zx\r\n",
			 p->first_chunk ? "" : "\r\n", n + nmore);
	uint8_t *data = p->buf + CHUNK_HEAD;
	int rc;

	p->first_chunk = false;
	memcpy(data - h, head, (size_t)h);
	if (end)
		memcpy(data + n, "\r\n0\r\n\r\n", 7);
	rc = send_bytes(p, data - h, (size_t)h + n + (end ? 7 : 0), e);
	if (rc == 0 && nmore > 0)
		rc = send_bytes(p, more, nmore, e);
	p->len -= n;
	memmove(data, data + n, p->len);
	p->totals->bytes += n + nmore;
	if (p->n > 0 && !put_newest(p)->heartbeat)
		put_newest(p)->bytes += n + nmore;
	p->o->report->bytes = p->totals->bytes;
	report_tick(p->o->report);
	return rc;
}

/* Gathers small parts, passes large ones through; keeps the last bytes. */
static int send_part(struct put *p, const uint8_t *raw, size_t n, struct err *e)
{
	int rc = 0;

	if (p->len + n > CHUNK_SIZE) {
		if (n > KEEP) {
			rc = send_chunk(p, p->len, raw, n - KEEP, false, e);
			raw += n - KEEP;
			n = KEEP;
		} else {
			rc = send_chunk(p, p->len - KEEP, NULL, 0, false, e);
		}
	}
	memcpy(p->buf + CHUNK_HEAD + p->len, raw, n);
	p->len += n;
	return rc;
}

static int heartbeat(struct put *p, struct err *e)
{
	int rc;

	if (p->login[0] == '\0' || p->skip != SEND)
		return 0;
	if (p->open)
		return p->len > 1 ? send_chunk(p, 1, NULL, 0, false, e) : 0;
	if (p->n == PUT_RING)
		return 0;
	rc = client_send(&p->c, "GET", "/v1/time", NULL, 0, e);
	put_add(p)->heartbeat = true;
	put_newest(p)->sent = true;
	p->since_ns = mono_now_ns();
	return rc;
}

/* ---- the input ---- */

/* Milliseconds to wait for the input, at most. */
static int input_wait(const struct put *p)
{
	int64_t wait = p->o->to->wait_ns / 1000000, left;

	if (wait > HEARTBEAT_MS)
		wait = HEARTBEAT_MS;
	if (p->later.code == 0 || p->open)
		return (int)wait;
	left = (p->until_ns - mono_now_ns()) / 1000000 + 1;
	return (int)(left < 0 ? 0 : left < wait ? left : wait);
}

/* What a silent input gives time for. */
static int while_silent(struct put *p, struct err *e)
{
	int rc = put_check_silence(p, e);

	if (rc == 0 && p->later.code != 0 && !p->open &&
	    mono_now_ns() >= p->until_ns)
		p->wait = p->later;
	return rc == 0 ? heartbeat(p, e) : rc;
}

/* io_read_fn: the stream; while it is silent, the connection is looked after */
static ssize_t read_input(void *ctx, void *buf, size_t n, struct err *e)
{
	struct put *p = ctx;

	for (;;) {
		struct pollfd fd[2] = {
		    {p->o->in_fd, POLLIN, 0},
		    {p->login[0] != '\0' ? p->c.fd : -1, POLLIN, 0}};
		int ready = poll(fd, 2, input_wait(p)), rc = 0;
		ssize_t got;

		if (ready < 0 && errno != EINTR)
			return err_sys(e, 0, "%s", p->o->in_name);
		if (ready > 0 && fd[1].revents != 0)
			rc = put_take_answers(p, e);
		else if (ready == 0)
			rc = while_silent(p, e);
		report_tick(p->o->report);
		if (rc < 0) {
			p->failed = true;
			return rc;
		}
		if (p->wait.code != 0)
			return -p->wait.code;
		if (ready <= 0 || fd[0].revents == 0)
			continue;
		got = read(p->o->in_fd, buf, n);
		if (got >= 0)
			return got;
		if (errno != EINTR && errno != EAGAIN)
			return err_sys(e, 0, "%s", p->o->in_name);
	}
}

/* ---- segments ---- */

static int finish_flights(struct put *p, struct err *e)
{
	int rc = 0;

	while (rc == 0 && p->n > 0 && p->ring[p->first].sent)
		rc = put_wait_answer(p, e);
	return rc;
}

static void disconnect(struct put *p)
{
	client_close(&p->c);
	p->login[0] = '\0';
	p->n = 0;
}

/* A login may write its own machine only: one connection for each. */
static int connect_as(struct put *p, const char *machine, struct err *e)
{
	uint8_t key[LOGIN_KEY_LEN];
	int rc = 0;

	if (strcmp(p->login, machine) == 0)
		return 0;
	report_state(p->o->report, REPORT_CONNECTING);
	if (p->login[0] != '\0') {
		rc = finish_flights(p, e);
		disconnect(p);
		if (rc == 0 && p->wait.code != 0)
			rc = -p->wait.code;
	}
	if (rc == 0)
		rc = login_key(p->o->secret, machine, key, e);
	if (rc == 0)
		rc = client_open(&p->c, p->o->to, e);
	if (rc == 0) {
		rc = client_login(&p->c, machine, key, e);
		if (rc < 0)
			client_close(&p->c);
	}
	if (rc < 0)
		report_cause(p->o->report, client_cause(&p->c, -rc), 0);
	else
		snprintf(p->login, sizeof(p->login), "%s", machine);
	secret_wipe(key, sizeof(key));
	return rc;
}

/*
 * Is the segment's disk left out? A stream that has nothing else any more,
 * and one whose time is over, ends here.
 */
static int check_left_out(struct put *p, const struct seg_header *h)
{
	p->skip = put_left_out(p, h->machine, h->disk);
	if (p->later.code == 0)
		return 0;
	p->later_run = p->skip != SEND ? p->later_run + 1 : 0;
	if (p->later_run < LATER_RUN_MAX && mono_now_ns() < p->until_ns)
		return 0;
	p->wait = p->later;
	return -p->wait.code;
}

/* Room for one more, and a connection that may send it. */
static int prepare_segment(struct put *p, const struct seg_header *h,
			   struct err *e)
{
	int rc = connect_as(
	    p, p->o->machine != NULL ? p->o->machine : h->machine, e);

	while (rc == 0 && p->wait.code == 0 && put_is_full(p))
		rc = put_wait_answer(p, e);
	if (rc == 0 && p->wait.code != 0)
		rc = -p->wait.code;
	return rc;
}

/* The report is about the disk that is being sent. */
static void report_segment(struct put *p, const struct seg_header *h)
{
	struct report *r = p->o->report;

	if (strcmp(r->disk, h->disk) != 0 ||
	    strcmp(r->machine, h->machine) != 0)
		r->acked_seq = 0;
	memcpy(r->machine, h->machine, NAME_SIZE);
	memcpy(r->disk, h->disk, NAME_SIZE);
	r->seq = h->seq;
	if (r->served_ns == 0)
		r->served_ns = mono_now_ns();
	report_state(r, p->later.code != 0 ? REPORT_WAITING : REPORT_SENDING);
}

static int begin_segment(struct put *p, const struct seg_header *h,
			 struct err *e)
{
	char path[256];
	struct flight *f;
	int rc = check_left_out(p, h);

	if (rc < 0 || p->skip != SEND)
		return rc;
	rc = prepare_segment(p, h, e);
	if (rc < 0)
		return rc;
	/* One of the answers may have been about this disk. */
	p->skip = put_left_out(p, h->machine, h->disk);
	if (p->skip != SEND)
		return 0;
	snprintf(path, sizeof(path), "/v1/machines/%s/disks/%s/segments/%llu",
		 h->machine, h->disk, (unsigned long long)h->seq);
	rc = client_send_head(&p->c, "PUT", path, e);
	f = put_add(p);
	memcpy(f->machine, h->machine, NAME_SIZE);
	memcpy(f->disk, h->disk, NAME_SIZE);
	f->seq = h->seq;
	f->initial = h->initial;
	p->open = p->first_chunk = true;
	p->urgent = !h->initial;
	p->len = 0;
	report_segment(p, h);
	return rc;
}

/* The request may have been answered (refused) before its end. */
static bool still_in_flight(struct put *p, const struct seg_header *h)
{
	struct flight *f = put_newest(p);

	return p->n > 0 && !f->sent && f->seq == h->seq &&
	       strcmp(f->disk, h->disk) == 0 &&
	       strcmp(f->machine, h->machine) == 0;
}

/* A line for each segment that is dropped because of a refusal. */
static int end_skipped(struct put *p, const struct seg_reader *r, struct err *e)
{
	struct ack ack = {.level = ACK_REFUSED, .seq = r->header.seq};
	bool refused = p->skip == SKIP_REFUSED;

	p->skip = SEND;
	if (!refused)
		return 0;
	memcpy(ack.machine, r->header.machine, NAME_SIZE);
	memcpy(ack.disk, r->header.disk, NAME_SIZE);
	memcpy(ack.digest, r->trailer.digest, SHA256_LEN);
	snprintf(ack.reason, sizeof(ack.reason),
		 "an earlier segment was refused");
	return put_print(p, &ack, e);
}

static int end_segment(struct put *p, const struct seg_reader *r, struct err *e)
{
	if (p->skip != SEND)
		return end_skipped(p, r, e);
	if (still_in_flight(p, &r->header)) {
		struct flight *f = put_newest(p);

		memcpy(f->digest, r->trailer.digest, SHA256_LEN);
		f->sent = true;
	}
	p->open = false;
	p->totals->segments++;
	p->o->report->segments = p->totals->segments;
	p->since_ns = mono_now_ns();
	return send_chunk(p, p->len, NULL, 0, true, e);
}

/* It was answered already: the rest would only fill the line. */
static int stop_early(struct put *p, struct err *e)
{
	const char *end = p->first_chunk ? "0\r\n\r\n" : "\r\n0\r\n\r\n";

	p->skip = SKIP_REST;
	p->open = false;
	p->len = 0;
	return send_piece(p, end, strlen(end), e);
}

static int send_segments(struct put *p, struct seg_reader *r, struct err *e)
{
	struct seg_item item;
	int rc;

	while ((rc = seg_reader_next(r, &item, e)) > 0) {
		rc = 0;
		if (item.part == SEG_PART_HEADER)
			rc = begin_segment(p, &r->header, e);
		if (rc == 0 && p->skip == SEND)
			rc = send_part(p, item.raw, item.raw_len, e);
		if (rc == 0 && p->open && !still_in_flight(p, &r->header))
			rc = stop_early(p, e);
		if (rc == 0 && item.part == SEG_PART_TRAILER)
			rc = end_segment(p, r, e);
		if (rc < 0) {
			/* What failed is the connection, or a wait. */
			p->failed = p->wait.code == 0;
			return rc;
		}
	}
	return rc;
}

/* Collects what is still to be answered, whatever ended the stream. */
static int finish(struct put *p, int rc, struct err *e)
{
	struct err late = {0};
	int rc2 = 0;

	if (p->login[0] != '\0' && !p->failed)
		rc2 = finish_flights(p, &late);
	if (rc == 0 && rc2 < 0) {
		*e = late;
		rc = rc2;
	}
	if (p->wait.code == 0)
		p->wait = p->later;
	/* Who says so may close the connection while we send. */
	if (p->wait.code != 0 &&
	    (rc == 0 || rc == -p->wait.code || rc == -PS_UNAVAILABLE)) {
		*e = p->wait;
		rc = -p->wait.code;
	}
	return rc;
}

int client_put_stream(const struct client_put *o, struct client_put_totals *ret,
		      struct err *e)
{
	struct put *p = calloc(1, sizeof(*p));
	struct seg_reader r = {0};
	struct io_in in = {0};
	int rc = -PS_TEMPFAIL;

	*ret = (struct client_put_totals){0};
	if (p != NULL)
		p->buf = malloc(CHUNK_HEAD + CHUNK_SIZE + CHUNK_TAIL);
	if (p == NULL || p->buf == NULL) {
		free(p);
		return err_sys(e, PS_TEMPFAIL, "%s", o->in_name);
	}
	p->o = o;
	o->report->state = REPORT_CONNECTING;
	report_tick(o->report);
	p->totals = ret;
	p->c.fd = -1;
	io_grow_pipe(o->in_fd);
	rc = io_in_open(&in, read_input, p, o->in_name, e);
	if (rc == 0)
		rc = seg_reader_open(&r, &in, e);
	if (rc == 0)
		rc = send_segments(p, &r, e);
	rc = finish(p, rc, e);
	if (rc == -PS_UNAVAILABLE)
		report_cause(o->report, client_cause(&p->c, PS_UNAVAILABLE), 0);
	client_close(&p->c);
	seg_reader_close(&r);
	io_in_close(&in);
	free(p->out);
	free(p->buf);
	free(p);
	return rc == 0 && ret->refused > 0 ? PS_NO : rc;
}
