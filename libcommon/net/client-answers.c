#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "net/client-put.h"

#define OTHERS_MIN_S 10 /* for the rest of a stream, when one disk waits */

struct flight *put_newest(struct put *p)
{
	return &p->ring[(p->first + p->n - 1) % PUT_RING];
}

struct flight *put_add(struct put *p)
{
	struct flight *f;

	p->n++;
	f = put_newest(p);
	*f = (struct flight){0};
	return f;
}

bool put_is_full(const struct put *p)
{
	uint64_t bytes = 0;
	unsigned i, n = 0;

	for (i = 0; i < p->n; i++) {
		n += !p->ring[(p->first + i) % PUT_RING].heartbeat;
		bytes += p->ring[(p->first + i) % PUT_RING].bytes;
	}
	if (p->totals->durable == 0 || bytes >= PUT_BYTES_IN_FLIGHT)
		return n >= PUT_IN_FLIGHT;
	return p->n >= PUT_RING - 2; /* room for a heartbeat */
}

/* ---- answers ---- */

static struct left_out *find_out(const struct put *p, const char *machine,
				 const char *disk)
{
	size_t i;

	for (i = 0; i < p->nout; i++)
		if (strcmp(p->out[i].disk, disk) == 0 &&
		    strcmp(p->out[i].machine, machine) == 0)
			return &p->out[i];
	return NULL;
}

enum put_skip put_left_out(const struct put *p, const char *machine,
			   const char *disk)
{
	const struct left_out *out = find_out(p, machine, disk);

	if (out == NULL)
		return SEND;
	return out->refused ? SKIP_REFUSED : SKIP_WAITS;
}

static int leave_out(struct put *p, const struct flight *f, bool refused,
		     struct err *e)
{
	struct left_out *grown;

	if (find_out(p, f->machine, f->disk) != NULL)
		return 0;
	grown = realloc(p->out, (p->nout + 1) * sizeof(*grown));
	if (grown == NULL)
		return err_sys(e, PS_TEMPFAIL, "disks that are left out");
	p->out = grown;
	grown += p->nout++;
	memcpy(grown->machine, f->machine, NAME_SIZE);
	memcpy(grown->disk, f->disk, NAME_SIZE);
	grown->refused = refused;
	return 0;
}

int put_print(struct put *p, const struct ack *a, struct err *e)
{
	struct report *r = p->o->report;

	p->totals->durable += a->level == ACK_DURABLE;
	p->totals->stored += a->level == ACK_STORED;
	p->totals->refused += a->level == ACK_REFUSED;
	if (a->level != ACK_REFUSED && strcmp(a->disk, r->disk) == 0 &&
	    strcmp(a->machine, r->machine) == 0)
		r->acked_seq = a->seq;
	report_tick(r);
	return ack_print(p->o->acks, a, e);
}

/* An acknowledgement must be for what was sent, all of it. */
static int take_ack(struct put *p, const struct flight *f,
		    const struct client_answer *a, struct err *e)
{
	bool good = a->status == 200;
	const struct left_out *out;
	struct ack ack;
	int rc;

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
		return put_print(p, &ack, e);
	/* Not taken for now, and so not refused for the gap behind it. */
	out = find_out(p, f->machine, f->disk);
	if (p->wait.code != 0 || (out != NULL && !out->refused))
		return 0;
	rc = leave_out(p, f, true, e);
	snprintf(p->o->report->error, sizeof(p->o->report->error), "%s",
		 ack.reason);
	report_cause(p->o->report, "refused", 0);
	return rc < 0 ? rc : put_print(p, &ack, e);
}

/*
 * Is it this disk alone that the server cannot take now? Initial replication
 * is put off while there is room for the others.
 */
static bool is_about_disk(const struct flight *f, const struct client_answer *a)
{
	return a->status == 423 || strcmp(a->cause, "unseated") == 0 ||
	       strcmp(a->cause, "behind") == 0 ||
	       strcmp(a->cause, "disk-limit") == 0 ||
	       strcmp(a->cause, "too-large") == 0 ||
	       (f->initial && strcmp(a->cause, "cache-throttle") == 0);
}

/*
 * 503 and 507. When it is about one disk, the others use the time that this
 * one has to wait; a whole cache that is full ends the stream at once.
 */
static int put_off(struct put *p, const struct flight *f,
		   const struct client_answer *a, struct err *e)
{
	struct err *why = is_about_disk(f, a) ? &p->later : &p->wait;

	if (why->code == 0 && p->wait.code == 0) {
		p->o->report->state = REPORT_WAITING;
		report_cause(p->o->report, a->cause, a->retry_s);
	}
	if (why->code == 0) {
		client_judge(&p->c, a, why);
		why->code = PS_TEMPFAIL;
		err_prefix(why, "%s/%s %llu", f->machine, f->disk,
			   (unsigned long long)f->seq);
		/* The others get some time, however soon this one may come. */
		p->until_ns =
		    mono_now_ns() +
		    (a->retry_s > OTHERS_MIN_S ? a->retry_s : OTHERS_MIN_S) *
			NS_PER_S;
	}
	return why == &p->later ? leave_out(p, f, false, e) : 0;
}

static int handle(struct put *p, const struct client_answer *a, struct err *e)
{
	struct flight f;

	if (p->n == 0)
		return err_set(e, PS_PROTOCOL, "%s: an answer to nothing",
			       p->c.peer);
	f = p->ring[p->first];
	p->first = (p->first + 1) % PUT_RING;
	p->n--;
	p->since_ns = mono_now_ns();
	if (f.heartbeat)
		return client_judge(&p->c, a, e);
	if (a->busy_ms >= 0)
		report_server(p->o->report, a->busy_ms);
	switch (a->status) {
	case 200:
	case 409:
		return take_ack(p, &f, a, e);
	case 423:
	case 503:
	case 507:
		return put_off(p, &f, a, e);
	default:
		return client_judge(&p->c, a, e);
	}
}

int put_take_answers(struct put *p, struct err *e)
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
		/* Nothing more comes: what is left is sent another time. */
		if (rc == 0 && p->wait.code != 0 && p->c.head.close) {
			p->n = 0;
			break;
		}
	}
	return rc;
}

int put_wait_conn(struct put *p, short want, struct err *e)
{
	struct pollfd fd = {p->c.fd, (short)(want | POLLIN), 0};
	int n = poll(&fd, 1, (int)(p->o->to->wait_ns / 1000000));

	if (n < 0 && errno != EINTR)
		return err_sys(e, 0, "%s", p->c.peer);
	if (n == 0)
		return err_set(e, PS_UNAVAILABLE, "%s: no answer within %lld s",
			       p->c.peer,
			       (long long)(p->o->to->wait_ns / NS_PER_S));
	return (fd.revents & ~POLLOUT) != 0 ? put_take_answers(p, e) : 0;
}

int put_check_silence(const struct put *p, struct err *e)
{
	if (p->n == 0 || !p->ring[p->first].sent ||
	    mono_now_ns() - p->since_ns < p->o->to->wait_ns)
		return 0;
	return err_set(e, PS_UNAVAILABLE, "%s: no answer within %lld s",
		       p->c.peer, (long long)(p->o->to->wait_ns / NS_PER_S));
}

int put_wait_answer(struct put *p, struct err *e)
{
	unsigned before = p->n;
	int rc = 0;

	while (rc == 0 && p->n == before) {
		rc = put_wait_conn(p, 0, e);
		/* Bytes that trickle in may be no answer for hours. */
		if (rc == 0 && p->n == before)
			rc = put_check_silence(p, e);
	}
	return rc;
}

int put_pause(struct put *p, int64_t ns, struct err *e)
{
	struct timespec ts = {ns / NS_PER_S, ns % NS_PER_S};
	struct pollfd fd = {p->c.fd, POLLIN, 0};
	int n = ppoll(&fd, 1, &ts, NULL), rc = 0;

	if (n < 0 && errno != EINTR)
		return err_sys(e, 0, "%s", p->c.peer);
	if (n > 0)
		rc = put_take_answers(p, e);
	report_tick(p->o->report);
	return rc == 0 && p->wait.code != 0 ? -p->wait.code : rc;
}
