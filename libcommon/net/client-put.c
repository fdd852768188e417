#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/units.h"
#include "net/client.h"
#include "segment/ack.h"
#include "segment/reader.h"

/*
 * One thread, one poll: while a segment is read and sent, answers to earlier
 * ones are taken as they come, so that neither side ever waits for the other
 * to read.
 *
 * A scan may find nothing new for an hour in the middle of a segment. So the
 * last bytes of what was read are kept back, and one of them is sent, as a
 * chunk of its own, whenever the input is silent for HEARTBEAT_MS; between
 * segments a small request does the same.
 */
#define CHUNK_HEAD 16 /* room for CR LF, length, CR LF before the bytes */
#define CHUNK_TAIL 8  /* and for the end of the body behind them */
#define CHUNK_SIZE (256 * 1024)
#define KEEP 4096 /* heartbeats for a day */
#define HEARTBEAT_MS 30000
#define IN_FLIGHT 2
#define RING 4 /* the segments in flight, and heartbeats */

struct flight {
	bool heartbeat;
	bool sent; /* all of it */
	char machine[NAME_SIZE], disk[NAME_SIZE];
	uint64_t seq;
	uint8_t digest[SHA256_LEN]; /* when sent */
};

struct disk_name {
	char machine[NAME_SIZE], disk[NAME_SIZE];
};

struct put {
	const struct client_put *o;
	struct client_put_totals *totals;
	struct client c;
	char login[NAME_SIZE]; /* logged in as; empty: not connected */
	bool failed;	       /* the connection, not the input */
	struct err wait;       /* the server wants us to wait: code != 0 */
	struct flight ring[RING];
	unsigned first, n;
	int64_t since_ns; /* of the last answer, or the end of a request */
	struct disk_name *refused;
	size_t nrefused;
	/* the segment that is being sent */
	bool open; /* a request has begun and not ended */
	bool skip; /* its disk was refused: read and drop */
	bool first_chunk;
	uint8_t *buf; /* CHUNK_HEAD, bytes, CHUNK_TAIL */
	size_t len;
};

static struct flight *newest(struct put *p)
{
	return &p->ring[(p->first + p->n - 1) % RING];
}

static struct flight *add_flight(struct put *p)
{
	struct flight *f;

	p->n++;
	f = newest(p);
	*f = (struct flight){0};
	return f;
}

static unsigned segments_in_flight(const struct put *p)
{
	unsigned i, n = 0;

	for (i = 0; i < p->n; i++)
		n += !p->ring[(p->first + i) % RING].heartbeat;
	return n;
}

/* ---- answers ---- */

static bool is_refused(const struct put *p, const char *machine,
		       const char *disk)
{
	size_t i;

	for (i = 0; i < p->nrefused; i++)
		if (strcmp(p->refused[i].disk, disk) == 0 &&
		    strcmp(p->refused[i].machine, machine) == 0)
			return true;
	return false;
}

static int add_refused(struct put *p, const char *machine, const char *disk,
		       struct err *e)
{
	struct disk_name *grown;

	if (is_refused(p, machine, disk))
		return 0;
	grown = realloc(p->refused, (p->nrefused + 1) * sizeof(*grown));
	if (grown == NULL)
		return err_sys(e, PS_TEMPFAIL, "refused disks");
	p->refused = grown;
	grown += p->nrefused++;
	snprintf(grown->machine, sizeof(grown->machine), "%s", machine);
	snprintf(grown->disk, sizeof(grown->disk), "%s", disk);
	return 0;
}

static int print_ack(struct put *p, const struct ack *a, struct err *e)
{
	p->totals->durable += a->level == ACK_DURABLE;
	p->totals->stored += a->level == ACK_STORED;
	p->totals->refused += a->level == ACK_REFUSED;
	return ack_print(p->o->acks, a, e);
}

/* An acknowledgement must be for what was sent, all of it. */
static int take_ack(struct put *p, const struct flight *f,
		    const struct client_answer *a, struct err *e)
{
	bool good = a->status == 200;
	struct ack ack;

	if (ack_parse(&ack, a->body, e) < 0 || ack.head ||
	    good != (ack.level != ACK_REFUSED) ||
	    strcmp(ack.machine, f->machine) != 0 ||
	    strcmp(ack.disk, f->disk) != 0 || ack.seq != f->seq ||
	    (good &&
	     (!f->sent || memcmp(ack.digest, f->digest, SHA256_LEN) != 0)))
		return err_set(e, PS_PROTOCOL,
			       "%s: an acknowledgement of something else",
			       p->c.peer);
	if (good)
		return print_ack(p, &ack, e);
	/* Not taken for now, and so not refused for the gap behind it. */
	if (p->wait.code != 0)
		return 0;
	if (add_refused(p, ack.machine, ack.disk, e) < 0)
		return -PS_TEMPFAIL;
	return print_ack(p, &ack, e);
}

static int handle(struct put *p, const struct client_answer *a, struct err *e)
{
	struct flight f;

	if (p->n == 0)
		return err_set(e, PS_PROTOCOL, "%s: an answer to nothing",
			       p->c.peer);
	f = p->ring[p->first];
	p->first = (p->first + 1) % RING;
	p->n--;
	p->since_ns = mono_now_ns();
	if (!f.heartbeat &&
	    (a->status == 200 || a->status == 409 || a->status == 423))
		return take_ack(p, &f, a, e);
	if (a->status == 503 || a->status == 507) {
		if (p->wait.code == 0) {
			client_judge(&p->c, a, &p->wait);
			if (!f.heartbeat)
				err_prefix(&p->wait, "%s/%s %llu", f.machine,
					   f.disk, (unsigned long long)f.seq);
		}
		return 0;
	}
	return client_judge(&p->c, a, e);
}

/* Takes every answer that is there, without waiting for another. */
static int take_answers(struct put *p, struct err *e)
{
	struct http_in *in = &p->c.in;
	struct client_answer a;
	int rc = 0;

	while (rc == 0) {
		if (in->pos == in->end) {
			short want;
			ssize_t got = conn_try_read(&p->c.conn, in->buf,
						    HTTP_IN_SIZE, &want, e);

			if (got < 0)
				return (int)got;
			if (got == 0 && p->c.conn.eof)
				return err_set(e, PS_UNAVAILABLE,
					       "%s: the server closed the "
					       "connection",
					       p->c.peer);
			if (got == 0)
				return 0;
			in->pos = 0;
			in->end = (size_t)got;
		}
		rc = client_answer(&p->c, &a, e);
		if (rc == 0) {
			rc = handle(p, &a, e);
			client_answer_free(&a);
		}
	}
	return rc;
}

/* Waits for the connection; takes answers when there are any. */
static int wait_conn(struct put *p, short want, struct err *e)
{
	struct pollfd fd = {p->c.fd, (short)(want | POLLIN), 0};
	int n = poll(&fd, 1, (int)(p->o->to->wait_ns / 1000000));

	if (n < 0 && errno != EINTR)
		return err_sys(e, 0, "%s", p->c.peer);
	if (n == 0)
		return err_set(e, PS_UNAVAILABLE, "%s: no answer within %lld s",
			       p->c.peer,
			       (long long)(p->o->to->wait_ns / NS_PER_S));
	return (fd.revents & ~POLLOUT) != 0 ? take_answers(p, e) : 0;
}

static int wait_answer(struct put *p, struct err *e)
{
	unsigned before = p->n;
	int rc = 0;

	while (rc == 0 && p->n == before)
		rc = wait_conn(p, 0, e);
	return rc;
}

/* ---- sending ---- */

static int send_bytes(struct put *p, const void *buf, size_t n, struct err *e)
{
	const uint8_t *at = buf;
	int rc = 0;

	while (n > 0 && rc == 0) {
		short want = 0;
		ssize_t put = conn_try_write(&p->c.conn, at, n, &want, e);

		if (put < 0) {
			struct err why = {0};

			/* It may have said why it does not listen. */
			rc = take_answers(p, &why);
			if (why.code != 0 && why.code != PS_UNAVAILABLE)
				*e = why;
			return -e->code;
		}
		if (put == 0)
			rc = wait_conn(p, want, e);
		if (rc == 0 && p->wait.code != 0)
			return -p->wait.code;
		at += put;
		n -= (size_t)put;
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

	if (p->login[0] == '\0' || p->skip)
		return 0;
	if (p->open)
		return p->len > 1 ? send_chunk(p, 1, NULL, 0, false, e) : 0;
	if (p->n == RING)
		return 0;
	rc = client_send(&p->c, "GET", "/v1/time", NULL, 0, e);
	add_flight(p)->heartbeat = true;
	newest(p)->sent = true;
	p->since_ns = mono_now_ns();
	return rc;
}

/* ---- the input ---- */

/* Is the server silent for too long about what it has got? */
static int check_silence(struct put *p, struct err *e)
{
	if (p->n == 0 || !p->ring[p->first].sent ||
	    mono_now_ns() - p->since_ns < p->o->to->wait_ns)
		return 0;
	return err_set(e, PS_UNAVAILABLE, "%s: no answer within %lld s",
		       p->c.peer, (long long)(p->o->to->wait_ns / NS_PER_S));
}

/* io_read_fn: the stream; while it is silent, the connection is looked after */
static ssize_t read_input(void *ctx, void *buf, size_t n, struct err *e)
{
	struct put *p = ctx;

	for (;;) {
		struct pollfd fd[2] = {
		    {p->o->in_fd, POLLIN, 0},
		    {p->login[0] != '\0' ? p->c.fd : -1, POLLIN, 0}};
		int64_t wait = p->o->to->wait_ns / 1000000;
		int ready, rc = 0;
		ssize_t got;

		ready =
		    poll(fd, 2, wait < HEARTBEAT_MS ? (int)wait : HEARTBEAT_MS);
		if (ready < 0 && errno != EINTR)
			return err_sys(e, 0, "%s", p->o->in_name);
		if (ready > 0 && fd[1].revents != 0)
			rc = take_answers(p, e);
		else if (ready == 0)
			rc = check_silence(p, e);
		if (rc == 0 && ready == 0)
			rc = heartbeat(p, e);
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
		rc = wait_answer(p, e);
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
	if (rc == 0)
		snprintf(p->login, sizeof(p->login), "%s", machine);
	secret_wipe(key, sizeof(key));
	return rc;
}

static int begin_segment(struct put *p, const struct seg_header *h,
			 struct err *e)
{
	const char *machine =
	    p->o->machine != NULL ? p->o->machine : h->machine;
	char path[256];
	struct flight *f;
	int rc;

	p->skip = is_refused(p, h->machine, h->disk);
	if (p->skip)
		return 0;
	rc = connect_as(p, machine, e);
	while (rc == 0 && p->wait.code == 0 &&
	       (segments_in_flight(p) >= IN_FLIGHT || p->n == RING))
		rc = wait_answer(p, e);
	if (rc == 0 && p->wait.code != 0)
		rc = -p->wait.code;
	if (rc < 0)
		return rc;
	/* One of the answers may have been a refusal of this disk. */
	p->skip = is_refused(p, h->machine, h->disk);
	if (p->skip)
		return 0;
	snprintf(path, sizeof(path), "/v1/machines/%s/disks/%s/segments/%llu",
		 h->machine, h->disk, (unsigned long long)h->seq);
	rc = client_send_head(&p->c, "PUT", path, e);
	f = add_flight(p);
	snprintf(f->machine, sizeof(f->machine), "%s", h->machine);
	snprintf(f->disk, sizeof(f->disk), "%s", h->disk);
	f->seq = h->seq;
	p->open = p->first_chunk = true;
	p->len = 0;
	return rc;
}

/* The request may have been answered (refused) before its end. */
static bool still_in_flight(struct put *p, const struct seg_header *h)
{
	struct flight *f = newest(p);

	return p->n > 0 && !f->sent && f->seq == h->seq &&
	       strcmp(f->disk, h->disk) == 0 &&
	       strcmp(f->machine, h->machine) == 0;
}

static int end_segment(struct put *p, const struct seg_reader *r, struct err *e)
{
	struct ack ack = {.level = ACK_REFUSED, .seq = r->header.seq};

	if (p->skip) {
		p->skip = false;
		snprintf(ack.machine, NAME_SIZE, "%s", r->header.machine);
		snprintf(ack.disk, NAME_SIZE, "%s", r->header.disk);
		memcpy(ack.digest, r->trailer.digest, SHA256_LEN);
		snprintf(ack.reason, sizeof(ack.reason),
			 "an earlier segment was refused");
		return print_ack(p, &ack, e);
	}
	if (still_in_flight(p, &r->header)) {
		struct flight *f = newest(p);

		memcpy(f->digest, r->trailer.digest, SHA256_LEN);
		f->sent = true;
	}
	p->open = false;
	p->totals->segments++;
	p->since_ns = mono_now_ns();
	return send_chunk(p, p->len, NULL, 0, true, e);
}

static int send_segments(struct put *p, struct seg_reader *r, struct err *e)
{
	struct seg_item item;
	int rc;

	while ((rc = seg_reader_next(r, &item, e)) > 0) {
		rc = 0;
		if (item.part == SEG_PART_HEADER)
			rc = begin_segment(p, &r->header, e);
		if (rc == 0 && !p->skip)
			rc = send_part(p, item.raw, item.raw_len, e);
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
	if (p->wait.code != 0 && (rc == 0 || rc == -p->wait.code)) {
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
	p->totals = ret;
	p->c.fd = -1;
	io_grow_pipe(o->in_fd);
	rc = io_in_open(&in, read_input, p, o->in_name, e);
	if (rc == 0)
		rc = seg_reader_open(&r, &in, e);
	if (rc == 0)
		rc = send_segments(p, &r, e);
	rc = finish(p, rc, e);
	client_close(&p->c);
	seg_reader_close(&r);
	io_in_close(&in);
	free(p->refused);
	free(p->buf);
	free(p);
	return rc == 0 && ret->refused > 0 ? PS_NO : rc;
}
