/*
 * Shared by the two halves of client_put_stream(): answers
 * (client-answers.c), and the stream that is sent (client-put.c).
 *
 * One thread, one poll: while a segment is read and sent, answers to earlier
 * ones are taken as they come, so that neither side ever waits for the other
 * to read.
 *
 * A scan may find nothing new for an hour in the middle of a segment. So the
 * last bytes of what was read are kept back, and one of them is sent, as a
 * chunk of its own, whenever the input is silent for HEARTBEAT_MS; between
 * segments a small request does the same.
 */
#ifndef PS_NET_CLIENT_PUT_H
#define PS_NET_CLIENT_PUT_H

#include "base/units.h"
#include "net/client.h"
#include "segment/ack.h"

/*
 * Two segments, so that the line is not idle while the older one is answered;
 * more when they are so small that a long line would be, once the server has
 * taken one.
 */
#define PUT_IN_FLIGHT 2
#define PUT_BYTES_IN_FLIGHT (16 * 1024 * 1024u) /* 1 Gbit/s for 130 ms */
#define PUT_RING 34 /* the segments in flight, and heartbeats */

struct flight {
	bool heartbeat;
	bool sent; /* all of it */
	bool initial;
	uint64_t bytes; /* of it, sent */
	char machine[NAME_SIZE], disk[NAME_SIZE];
	uint64_t seq;
	uint8_t digest[SHA256_LEN]; /* when sent */
};

/* A disk that is left out from now on. */
struct left_out {
	char machine[NAME_SIZE], disk[NAME_SIZE];
	bool refused; /* else it has to wait */
};

/* What happens to the segment that is being read. */
enum put_skip {
	SEND,
	SKIP_REFUSED, /* its disk was refused: dropped, with a line */
	SKIP_WAITS,   /* its disk has to wait: dropped */
	SKIP_REST,    /* it has been answered before its end */
};

struct put {
	const struct client_put *o;
	struct client_put_totals *totals;
	struct client c;
	char login[NAME_SIZE]; /* logged in as; empty: not connected */
	bool failed;	       /* the connection, not the input */
	struct err wait;       /* the server wants us to wait: code != 0 */
	struct flight ring[PUT_RING];
	unsigned first, n;
	int64_t since_ns; /* of the last answer, or the end of a request */
	struct left_out *out;
	size_t nout;
	struct err later; /* why the first of them has to wait: code != 0 */
	int64_t until_ns; /* time to end, and be started again, for its sake */
	unsigned later_run; /* segments left out one after another */
	/* the segment that is being sent */
	bool open; /* a request has begun and not ended */
	enum put_skip skip;
	bool first_chunk;
	bool urgent;  /* no initial replication: it goes before that */
	uint8_t *buf; /* CHUNK_HEAD, bytes, CHUNK_TAIL */
	size_t len;
};

/* The request that was begun last; add: a new one. */
struct flight *put_newest(struct put *p);
struct flight *put_add(struct put *p);
/* Is there room for one more segment? */
bool put_is_full(const struct put *p);

/* SEND when the disk is not left out. */
enum put_skip put_left_out(const struct put *p, const char *machine,
			   const char *disk);
/* Prints an acknowledgement and counts it. */
int put_print(struct put *p, const struct ack *a, struct err *e);

/* Takes every answer that is there, without waiting for another. */
int put_take_answers(struct put *p, struct err *e);
/*
 * Waits for the connection (POLLOUT in `want`: also for room to write) and
 * takes the answers that are there. -PS_UNAVAILABLE after to->wait_ns.
 */
int put_wait_conn(struct put *p, short want, struct err *e);
/* Takes answers for so long, and no longer. */
int put_pause(struct put *p, int64_t ns, struct err *e);
/* -PS_UNAVAILABLE: to->wait_ns without an answer to what was sent. */
int put_check_silence(const struct put *p, struct err *e);
/* Waits until the oldest request is answered. */
int put_wait_answer(struct put *p, struct err *e);

#endif
