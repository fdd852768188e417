/*
 * The desk: the one process of the configuration server that has the registry.
 * It is forked before the listener hears anybody. The worker of a connection
 * has a channel of its own to it, which belongs to one login for good: what
 * that login may ask and see is decided here, and never in a worker, so that
 * who takes a connection over can do no more than before.
 *
 * A request and its answer are a head and a body, of bounded length; a channel
 * that sends anything else is closed. Requests are served one after another.
 * When the database does not answer, they are told so (503) at once, until it
 * does.
 */
#ifndef PS_CONFIG_DESK_H
#define PS_CONFIG_DESK_H

#include "config/registry.h"
#include "net/keeper.h"
#include "net/sandbox.h"

#define DESK_BODY_MAX (1024 * 1024u)	    /* of a request */
#define DESK_ANSWER_MAX (16 * 1024 * 1024u) /* of an answer */
#define DESK_HOLD_S 50	  /* a request that waits for news, at most */
#define DESK_DATABASE_S 5 /* how long a request waits for the database */

struct server;

enum desk_what {
	DESK_REGISTER = 1,
	DESK_HEARTBEAT,
	DESK_LEAVE, /* up to here they have a body */
	DESK_NEWS,  /* held until there is something new */
	DESK_MACHINE,
	DESK_SERVERS,
	DESK_STATUS,
	DESK_JOBS,
	DESK_END, /* behind the last */
};

struct desk {
	pid_t pid;
	int fd; /* the listener's line to it */
};

struct desk_place {
	const struct reg_where *where;
	const struct sandbox_user *user;
	const char *alt;  /* more names of our own certificate, or NULL */
	const char *cert; /* NULL: one of the site's own authority */
	const char *version;
	uint64_t interval; /* of heartbeats: seconds */
	uint64_t cert_s;   /* for which certificates are made */
};

/* Our own certificate and its key, below the folder of the registry. */
#define DESK_SERVE "serve" /* what the listener may see */
#define DESK_CERT DESK_SERVE "/server.crt"
#define DESK_KEY "server.key"

/*
 * Forks the desk and waits until it has opened the registry (as `user`), and
 * has made a certificate if one is needed; *ret_roots is for the keeper. Its
 * errors are ours.
 */
int desk_start(struct desk *ret, const struct desk_place *p, int *ret_roots,
	       struct err *e);

/* lend() of struct server_work; ctx is the desk. */
int desk_channel(void *ctx, const struct keeper_notice *who, struct err *e);

/* ---- in a worker ---- */

struct desk_answer {
	unsigned status;
	unsigned retry_s; /* 0: none */
	char cause[32];	  /* empty: none */
	char *body;	  /* JSON, with a NUL behind it; for free(3) */
	size_t len;
};

/*
 * Asks, and waits for the answer; gives up when the connection `peer` has
 * ended, or the server `srv` was told to end. -PS_TEMPFAIL.
 */
int desk_ask(int fd, enum desk_what what, const char *name, const void *body,
	     size_t n, int peer, const struct server *srv,
	     struct desk_answer *ret, struct err *e);

#endif
