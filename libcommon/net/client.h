/*
 * The source's side: a connection to a process server, the login, single
 * requests, and the sending of a stream of segments (client-put.c).
 */
#ifndef PS_NET_CLIENT_H
#define PS_NET_CLIENT_H

#include <netdb.h>
#include <stdio.h>

#include "base/share.h"
#include "net/conn.h"
#include "net/http.h"
#include "net/login.h"
#include "net/report.h"

#define CLIENT_ANSWER_MAX (32 * 1024 * 1024u)
#define CLIENT_CAUSE_SIZE REPORT_CAUSE_SIZE

/* Where to, and how long each wait may take. */
struct client_to {
	const char *host, *port;
	int64_t wait_ns;
	const char *ca; /* NULL: the login alone proves who the server is */
};

struct client {
	const struct client_to *to;
	int fd; /* -1: not connected */
	char peer[300];
	SSL_CTX *tls;
	struct conn conn;
	struct http_in in;
	struct http_head head; /* of the last answer */
	enum client_phase {
		CLIENT_REACH,
		CLIENT_TLS,
		CLIENT_LOGIN,
		CLIENT_WORK,
	} phase;		       /* how far it has come */
	char cause[CLIENT_CAUSE_SIZE]; /* of the last answer, as it was told */
	unsigned retry_s;
};

/* ---- step by step (the self-test shows each), or all at once ---- */

int client_resolve(const struct client_to *to, struct addrinfo **ret,
		   struct err *e);
/* Tries the addresses one after another. */
int client_tcp(struct client *c, const struct client_to *to,
	       const struct addrinfo *list, struct err *e);
int client_tls(struct client *c, struct err *e);
int client_open(struct client *c, const struct client_to *to, struct err *e);
/* Harmless for one that never was opened, if it is zeroed with fd -1. */
void client_close(struct client *c);
/* One word for what `code` (positive) means after what has been done. */
const char *client_cause(const struct client *c, int code);

/*
 * Logs in as `machine` with its key (login_key). -PS_NOPERM: refused, or the
 * server could not prove that it knows the key.
 */
int client_login(struct client *c, const char *machine,
		 const uint8_t key[LOGIN_KEY_LEN], struct err *e);

struct client_answer {
	unsigned status;
	char *body; /* with a NUL behind it; client_answer_free() */
	size_t len;
	unsigned retry_s;	       /* Retry-After; 0: none */
	int64_t busy_ms;	       /* PS-Busy, see session.c; -1: none */
	char cause[CLIENT_CAUSE_SIZE]; /* PS-Cause; empty: none */
};

/* Sends a request with a body of n bytes (NULL: without). */
int client_send(struct client *c, const char *method, const char *path,
		const void *body, size_t n, struct err *e);
/* Writes only the head of a request with a chunked body. */
int client_send_head(struct client *c, const char *method, const char *path,
		     struct err *e);
/* Reads one answer. */
int client_answer(struct client *c, struct client_answer *a, struct err *e);
/* The same in two halves: c->head tells what to do with the body. */
int client_answer_head(struct client *c, struct err *e);
int client_answer_body(struct client *c, struct client_answer *a,
		       struct err *e);
void client_answer_free(struct client_answer *a);
/* client_send and client_answer. */
int client_ask(struct client *c, const char *method, const char *path,
	       const void *body, size_t n, struct client_answer *a,
	       struct err *e);
/*
 * What an answer other than 2xx means to us: 0, or -CODE with the server's
 * own words in `e`.
 */
int client_judge(const struct client *c, const struct client_answer *a,
		 struct err *e);

/*
 * Fetches the digest map of a disk into a file, whole or not at all, or
 * (path NULL) to standard output. -PS_TEMPFAIL: asked for, or the disk has
 * to wait; -PS_NO: the server makes none; -PS_DATA: damaged on its way.
 */
int client_map(struct client *c, const char *machine, const char *disk,
	       const char *path, struct err *e);

/* ---- a stream of segments ---- */

struct client_put {
	const struct client_to *to;
	const struct login_secret *secret;
	const char *machine; /* log in as; NULL: as each segment says */
	int in_fd;	     /* the stream */
	const char *in_name;
	FILE *acks; /* each acknowledgement is printed as it comes */
	struct report *report;
	struct share *share; /* turns to send */
};

/* What was sent and answered. */
struct client_put_totals {
	uint64_t segments, bytes, durable, stored, refused;
};

/*
 * Sends each segment of the stream while it is read, two in flight, and
 * nothing twice: what is not acknowledged is the caller's to send again.
 * Returns 0 when all were taken, PS_NO when some were refused (later ones of
 * that disk are then dropped, with a line of their own), or -CODE. A disk that
 * has to wait (not seated, on hold) is left out without a line; the others go
 * on for as long as the server has asked to wait, then -PS_TEMPFAIL. A server
 * that can take nothing at all now: -PS_TEMPFAIL at once, cause in `e`.
 */
int client_put_stream(const struct client_put *p, struct client_put_totals *ret,
		      struct err *e);

#endif
