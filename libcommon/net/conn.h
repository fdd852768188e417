/*
 * One TLS connection over descriptors that never block: every wait has a
 * deadline. Reading and writing are for one thread; a client that must do
 * both at once uses the try functions and one poll.
 */
#ifndef PS_NET_CONN_H
#define PS_NET_CONN_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "base/err.h"

#define CONN_EXPORTER_LEN 32

struct conn {
	SSL *ssl;	     /* NULL when plain */
	bool plain;	     /* inside the server: somebody else does the TLS */
	int rfd, wfd;	     /* the caller's; may be the same */
	const char *peer;    /* for messages; the caller's */
	int64_t deadline_ns; /* of mono_now_ns(); 0: none */
	int64_t idle_ns;     /* longest wait without a byte; 0: none */
	bool eof;	     /* the peer has closed its side */
	bool broken;	     /* an error: nothing more can be sent */
	uint64_t in_bytes, out_bytes; /* inside TLS */
	/*
	 * New keys that the peer has sent (RFC 8446, 4.6.3). OpenSSL goes on
	 * to read behind one, without an end and past any deadline, while they
	 * come; so there may be CONN_KEYS and one more for each
	 * CONN_KEYS_BYTES, which is more often than any cipher needs it.
	 */
	uint64_t keys;
	bool floods;
	/*
	 * Server only (else NULL): set by the handler of SIGTERM, which is
	 * blocked but in waits, where `mask` lets it in. A wait outside of a
	 * request then fails; inside of one (busy) it goes on for at most
	 * CONN_STOP_NS, and only as long as bytes come.
	 */
	const volatile sig_atomic_t *stop;
	const sigset_t *mask;
	bool busy;
	/*
	 * Inside of a request (busy): so many waits may bring so few bytes
	 * only if they take longer than CONN_WAITS_NS or idle_ns. Signs of life
	 * are seldom, and any line brings more than a byte at a time.
	 */
	unsigned waits;	    /* since the last look */
	uint64_t had_bytes; /* then */
	int64_t looked_ns;
	int64_t starved_ns; /* all waits for bytes of the peer together */
	int64_t stop_ns;    /* when the stop was seen; 0: not yet */
};

#define CONN_KEYS 16
#define CONN_KEYS_BYTES (16 * 1024 * 1024)
#define CONN_WAITS 64
#define CONN_WAITS_BYTES 4096
#define CONN_WAITS_NS (300 * INT64_C(1000000000))
#define CONN_STOP_NS (20 * INT64_C(1000000000))
#define CONN_STOP_IDLE_NS (2 * INT64_C(1000000000))

/*
 * Takes descriptors over which TLS is spoken, and makes them non-blocking. The
 * connection stays where it is until conn_close().
 */
int conn_open(struct conn *c, SSL_CTX *ctx, int rfd, int wfd, const char *peer,
	      struct err *e);
/* The same without TLS, over one descriptor. */
int conn_open_plain(struct conn *c, int fd, const char *peer, struct err *e);
/* -PS_PROTOCOL when the peer speaks no TLS 1.3; else as conn_read. */
int conn_accept(struct conn *c, struct err *e);
/* `host` is the name to verify when the context verifies. */
int conn_connect(struct conn *c, const char *host, struct err *e);
/* Frees the state; the descriptors stay open. Says goodbye when it can. */
void conn_close(struct conn *c);
/*
 * Sends what there is, then reads and drops what the peer still sends, for
 * at most two seconds and 16 MiB: a close with unread bytes would make the
 * peer's kernel throw away our last answer.
 */
void conn_linger(struct conn *c);

/* The TLS exporter of RFC 9266: the same on both ends, new each time. */
int conn_exporter(struct conn *c, uint8_t out[CONN_EXPORTER_LEN],
		  struct err *e);

/*
 * io_read_fn; ctx is the connection: 1..n bytes, 0 when the peer has closed,
 * -PS_UNAVAILABLE for a deadline or a broken connection.
 */
ssize_t conn_read(void *conn, void *buf, size_t n, struct err *e);
/* All n bytes, with a deadline. */
int conn_write(struct conn *c, const void *buf, size_t n, struct err *e);

/*
 * Without waiting: bytes moved, or 0 with the poll events to wait for in
 * *want (POLLIN, POLLOUT), or -CODE. At the end of input: 0 and c->eof.
 */
ssize_t conn_try_read(struct conn *c, void *buf, size_t n, short *want,
		      struct err *e);
ssize_t conn_try_write(struct conn *c, const void *buf, size_t n, short *want,
		       struct err *e);

/* A request has begun: what it brings is looked at from now on. */
void conn_busy(struct conn *c);

/* Waits for events on the connection: 0, or -PS_UNAVAILABLE. */
int conn_wait(struct conn *c, short want, struct err *e);

#endif
