/*
 * The server's side, as processes that trust each other as little as can be.
 * What a worker does is a parameter (struct server_work); the rest is the
 * same for a process server and the configuration server:
 *
 *	listener  accepts, decides who may come in (door.h), writes the logs;
 *		  hears no byte of a peer
 *	keeper	  one; holds the private key and the root of the logins
 *		  (keeper.h)
 *	gate	  one for each connection; TLS and login (gate.h), has no files
 *	worker	  one for each connection that has logged in; serves it. Of a
 *		  process server (session-cache.c): has its machine's folder
 *
 * Blocking code; crash, memory and rights of a connection are its own.
 *
 * Before login a peer may log in, and nothing else: everything else is
 * answered 400, which is also what administrators look for with a browser.
 * A process server then knows:
 *
 *	POST   /v1/login				net/login.h
 *	PUT    /v1/machines/M/disks/D/segments/SEQ	one segment
 *	GET    /v1/machines/M/disks/D			its head
 *	GET    /v1/machines/M/disks/D/map		its digest map
 *	GET    /v1/machines/M, /v1/machines		all heads
 *	GET    /v1/probe				ids of the probes
 *	PUT    /v1/probe/ID, GET, DELETE		for the self-test
 *	GET    /v1/time				heartbeat; the clock
 *
 * Answers are lines of tab-separated text. A head is the line `durable` and
 * the line `stored`, both marked as heads (segment/ack.h); or the line
 * `refused M D 0 0... unseated`. When the disk is on hold, a line `refused`
 * with the reason ("held: ...") follows.
 *
 * A digest map is answered 200 with the file, 202 (Retry-After) when it was
 * asked for, 404 when nobody makes it or it cannot be made.
 *
 * Status of a PUT, and what it means for the sender:
 *
 *	200	durable or stored: the body is the acknowledgement
 *	400	damaged, or not what the path says; the connection ends
 *	403	not this login's machine
 *	409	refused: the body is the acknowledgement, with the reason
 *	423	later: the disk is on hold (Retry-After, PS-Cause: held)
 *	500	stable storage failed; the connection ends
 *	503	later (Retry-After, PS-Cause: unseated, cache-throttle,
 *		disk-limit, busy, behind: an earlier one of this disk was not
 *		taken)
 *	507	no room (Retry-After, PS-Cause: cache-full, too-large: there
 *		never will be)
 *
 * Who has to come again is told so while the segment is still being sent. It
 * should then end the body there (the last chunk), and may go on with another
 * request; what comes of the body until then is dropped.
 */
#ifndef PS_NET_SERVER_H
#define PS_NET_SERVER_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <openssl/ssl.h>

#include "net/drain.h"
#include "net/keeper.h"
#include "net/log.h"

/* One for each disk of 225 machines with four disks, and some to spare. */
#define SERVER_CONNECTIONS 1024
#define SERVER_LOGIN_S 20 /* from accept until logged in */
#define SERVER_IDLE_S 300 /* without one byte from the peer */
#define SERVER_STOP_S 30  /* for connections to finish after SIGTERM */
#define SERVER_PROBE_MAX (16 * 1024 * 1024u) /* bytes, of a connection */

struct server;

/* What is done for who has logged in. */
struct server_work {
	/*
	 * The process of a worker, from its first line to its exit code. `fd`
	 * speaks plain HTTP; `lent` is what lend() gave, or -1.
	 */
	int (*run)(struct server *s, int fd, int lent,
		   const struct keeper_notice *who, const char *peer);
	/*
	 * In the listener: a descriptor for this worker alone, or -CODE, and
	 * then the connection ends. NULL: it needs none.
	 */
	int (*lend)(void *ctx, const struct keeper_notice *who, struct err *e);
	void *ctx;
	/* Whoever is behind it has ended when it can be read; -1: nobody. */
	int life;
};

struct server {
	const struct server_work *work;
	const char *dir;   /* of what the listener remembers */
	const char *cache; /* folder; NULL: no process server */
	const char *cert;  /* a new file of this name is used at once */
	SSL_CTX *tls;	   /* of `cert`; its key is the keeper's */
	const struct keeper *keeper;
	struct netlog log;
	unsigned max_connections; /* logged in; strangers come on top */
	uint64_t login_s, idle_s;
	struct drain drain; /* of the listener; a connection has a copy */
	unsigned nth; /* of a connection: how many its machine had, with it */
	/* set by server_signals() */
	const volatile sig_atomic_t *stop;
	sigset_t wait_mask; /* SIGTERM and SIGCHLD come in during waits only */
};

/*
 * Blocks SIGTERM, SIGINT and SIGCHLD but in waits; SIGTERM and SIGINT set
 * *s->stop.
 */
void server_signals(struct server *s);
/* Lets pending signals in: true when this process was asked to end. */
bool server_stopping(const struct server *s);

/*
 * Opens a listening socket on "[ADDR:]PORT" (an IPv6 address in brackets;
 * without ADDR: all, IPv6 and IPv4). Gives the port, also when it was 0.
 */
int server_listen(const char *where, int *ret_fd, unsigned *ret_port,
		  struct err *e);

/*
 * Serves until SIGTERM or SIGINT, then waits for the connections to finish
 * what is in flight (at most SERVER_STOP_S, then they are killed). 0 or -CODE.
 */
int server_run(struct server *s, int listen_fd, struct err *e);

/* The same for one connection that is there. */
int server_one(struct server *s, int rfd, int wfd, struct err *e);

/* ps-receive's own: server_run() with it is a process server. */
int session_cache_run(struct server *s, int fd, int lent,
		      const struct keeper_notice *who, const char *peer);

/* Exit code of a worker that was told to end before its peer had closed. */
#define SESSION_ENDED PS_NO

#endif
