/*
 * What the parts of one server connection share, both in the process that
 * does its TLS and login (gate.c, session-login.c) and in the one that serves
 * who has logged in (session.c; of a process server: session-cache.c,
 * session-put.c, session-map.c, probe.c). For servers only.
 */
#ifndef PS_NET_SESSION_H
#define PS_NET_SESSION_H

#include "cache/cache.h"
#include "net/conn.h"
#include "net/http.h"
#include "net/login.h"
#include "net/pace.h"
#include "net/probe.h"
#include "net/server.h"

#define SESSION_STALLED_MAX 64
#define SESSION_RETRY_BUSY_S 10

/* Causes that send an agent to its configuration server. */
#define SESSION_MOVING "moving" /* not yet: what is here is being stored */
#define SESSION_MOVED "moved"
#define SESSION_RETRY_MOVE_S 5

/* A disk whose last segment was not taken for now: later ones must wait. */
struct stalled {
	char machine[NAME_SIZE], disk[NAME_SIZE];
	uint64_t seq; /* 0: free */
};

struct session {
	struct server *srv;
	const char *peer;
	struct conn conn;
	struct http_in in;
	struct http_head head; /* of the request */
	struct http_body body;
	char path[HTTP_HEAD_MAX]; /* the target, cut into parts */
	char *part[8];
	int nparts;
	char machine[NAME_SIZE]; /* logged in as; empty: not yet */
	bool end;		 /* the connection ends after the answer */
	int keeper;		 /* in the gate: channel of the login */
	void *ctx;		 /* of the work */
	/* of a process server (session-cache.c) */
	struct cache *cache; /* NULL: `why` */
	struct err why;
	struct probes probes;
	struct stalled stalled[SESSION_STALLED_MAX];
	unsigned nstalled;
	struct pace pace;
	/* of the request, for the log */
	int64_t began_ns, starved_before;
	uint64_t in_before, out_before;
	uint64_t seq;
	char digest[SHA256_HEX];
	bool answered;
	bool taken;	 /* a segment, durable now or before */
	bool takes_time; /* may last for days */
};

/* An answer; body may be NULL, cause and retry_s are for 503 and 507. */
struct answer {
	unsigned status;
	const void *body;
	size_t len;
	const char *cause;
	unsigned retry_s;
	const char *type; /* NULL: lines of text */
};

/*
 * Sends an answer and writes the line in cxps.xfer. A failure ends the
 * session. Called once for each request.
 */
void session_answer(struct session *s, const struct answer *a);
/* An answer of one line of words. */
void session_say(struct session *s, unsigned status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* An answer that says to come again: why, and after how many seconds. */
void session_later(struct session *s, unsigned status, const char *cause,
		   unsigned retry_s, const char *words);

/* This request is no small one: a segment or a digest map. */
void session_take_time(struct session *s);

/* Reads and drops what is left of the request's body, else ends. */
void session_drain(struct session *s);

/*
 * What a worker does for who has logged in, over a descriptor that speaks
 * plain HTTP, until its end. Returns the exit code of the process: PS_OK, or
 * SESSION_ENDED when it was told to end before the peer had closed.
 */
struct session_work {
	/* Opens what this login may see, and locks the door behind us. */
	int (*enter)(struct session *s, struct err *e);
	void (*answer)(struct session *s); /* one request */
	void (*leave)(struct session *s);  /* NULL: nothing to do */
	void *ctx;			   /* becomes s->ctx */
};
int session_run(struct server *s, int fd, const char *machine, const char *peer,
		const struct session_work *w);

/* Until the peer has logged in: 0, or -1 when the session is over. */
int session_login(struct session *s);

/*
 * Answers 200 with a body of `len` bytes, which `send` writes to the
 * connection.
 */
typedef int session_send_fn(void *ctx, struct conn *conn, struct err *e);
void session_stream(struct session *s, uint64_t len, session_send_fn *send,
		    void *ctx);

/* Reads the next request: 1, 0 when the session is over. */
int session_next(struct session *s);

/* ---- of a process server ---- */

/* After how many seconds there may be room for `bytes` in the cache. */
unsigned session_room_s(struct session *s, uint64_t bytes);
/* What a failure of ours or of the body means to the peer; logs it. */
void session_fail(struct session *s, const struct err *e);

/* True when this login may act for the machine (operator: read only). */
bool session_may(const struct session *s, const char *machine, bool write);

/* GET of a digest map. */
void session_map(struct session *s);
/* PUT of a segment. */
void session_put(struct session *s);
/* Everything under /v1/probe. */
void session_probe(struct session *s);
/* Heads: of one disk, of a machine's disks, of all that may be seen. */
void session_head(struct session *s);
void session_list(struct session *s, const char *machine);

#endif
