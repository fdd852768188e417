/*
 * The listener's list of connections: who is in, which processes are theirs,
 * what those ask for. Private to libcommon/net (server.c).
 */
#ifndef PS_NET_GUESTS_H
#define PS_NET_GUESTS_H

#include <netinet/in.h>
#include <sys/stat.h>

#include "net/door.h"
#include "net/hush.h"
#include "net/keeper.h"
#include "net/server.h"

#define PEER_SIZE 80

/* Of one machine, so that none takes the places of all. */
#define GUESTS_PER_MACHINE 64
/* Bytes of probes in the memory of all connections together. */
#define GUESTS_PROBES (64 * 1024 * 1024u)

/* What an event belongs to, if to no guest. */
#define GUESTS_LISTEN UINT64_MAX
#define GUESTS_KEEPER (UINT64_MAX - 1)
#define GUESTS_LIFE (UINT64_MAX - 2) /* of whom the workers need */

struct helper {
	pid_t pid; /* 0: none */
	int fd;	   /* its channel; -1: closed */
};

struct guest {
	uint64_t number; /* ascending; 0: free */
	struct helper gate, worker;
	int relay; /* the worker's end, until there is one; else -1 */
	struct door_key key;
	char peer[PEER_SIZE];
	char machine[NAME_SIZE]; /* empty: a stranger */
	uint64_t probes;	 /* bytes */
};

struct guests {
	struct server *srv;
	struct guest *slots;
	unsigned max, n;	   /* slots, and those that are taken */
	unsigned known, strangers; /* of them */
	uint64_t begun;
	int64_t look_next; /* at the cache */
	int64_t save_next; /* who is known */
	int64_t cert_next; /* look at the certificate */
	struct stat cert;  /* as it was read */
	int epoll, null;
	struct door *door;
	struct hush *hush;
};

int guests_open(struct guests *g, struct server *s, int listen_fd,
		struct err *e);
void guests_close(struct guests *g);

/* A place for a new connection; NULL: it stays out, and the log knows. */
struct guest *guests_admit(struct guests *g, const struct sockaddr_storage *a,
			   const char *peer);
void guests_free(struct guests *g, struct guest *it);
/* Listens to a channel from now on. */
void guests_hear(struct guests *g, struct guest *it, struct helper *h, int fd);

/* What the keeper says; NULL when there is no place for a machine. */
struct guest *guests_logged_in(struct guests *g, uint64_t number,
			       const char *machine);

/* How many connections a machine has. */
unsigned guests_of_machine(const struct guests *g, const char *machine);

/* Something has come on a channel. */
void guests_event(struct guests *g, uint64_t data);
/* Lets go who has ended. */
void guests_reap(struct guests *g);
void guests_signal(const struct guests *g, int sig);

/* A line about a guest, or about none (NULL), unless it is one too many. */
void guests_log(struct guests *g, const struct guest *it, pid_t pid,
		enum netlog_kind kind, const char *words);

#endif
