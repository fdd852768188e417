/*
 * Who may come in: which of the strangers (connections that have not logged
 * in yet) are let in, and which must make room, so that a flood of them keeps
 * no machine out and leaves processor time for those that are in.
 *
 * Addresses are what a stranger cannot choose freely: IPv4 addresses, and
 * IPv6 networks of 64 bits. An address from which somebody has logged in is
 * known, has its own allowance, and goes before all others.
 */
#ifndef PS_NET_DOOR_H
#define PS_NET_DOOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

#define DOOR_STRANGERS 64     /* places before the login, at most */
#define DOOR_PER_ADDRESS 16   /* of them, for one address that is new */
#define DOOR_PER_KNOWN 32     /* for one that is known */
#define DOOR_RATE_ADDRESS 10  /* connections a second of a new one, */
#define DOOR_BURST_ADDRESS 40 /* after as many at once */
#define DOOR_RATE_KNOWN 100   /* of a known one */
#define DOOR_BURST_KNOWN 1000
#define DOOR_RATE_MACHINE 20   /* logins of one machine a second, */
#define DOOR_BURST_MACHINE 100 /* after so many: some for each of its disks */
#define DOOR_CHARGE 10	       /* one more counts like so many connections */
#define DOOR_RATE_TOLD 2       /* answers "come later" to one machine, */
#define DOOR_BURST_TOLD 10     /* after so many */
#define DOOR_RATE_NEW 50       /* of all new ones together */
#define DOOR_BURST_NEW 100

struct door_key {
	uint8_t bytes[16];
};

void door_key(const struct sockaddr_storage *a, struct door_key *ret);

struct door;

int door_open(struct door **ret, struct err *e);
void door_close(struct door *d);

/* May one more from this address begin a handshake now (mono_now_ns())? */
bool door_may(struct door *d, const struct door_key *k, int64_t now);
/*
 * A machine has logged in from there: false when it does so too often, which
 * its address pays for.
 */
bool door_login(struct door *d, const struct door_key *k, const char *machine,
		int64_t now);
/*
 * May a machine that has logged in and is not served be told so? Else it is
 * cut without a word: whoever does not hear takes no answer from others.
 */
bool door_tell(struct door *d, const char *machine, int64_t now);
/* Somebody has logged in from there. */
void door_known(struct door *d, const struct door_key *k, int64_t now);

/* A known address, for the time after this process. */
#define DOOR_PAST_MAX 4096
struct door_past {
	struct door_key key;
	int64_t seen_s; /* last login, seconds since 1970 */
};
/* Is there one that was not there at the last door_past()? */
bool door_has_news(const struct door *d);
/* All of them, at most DOOR_PAST_MAX: how many. */
unsigned door_past(struct door *d, struct door_past *list);
void door_remember(struct door *d, const struct door_past *p, int64_t now);

/* A stranger who is in. */
struct door_guest {
	const struct door_key *key;
	uint64_t number; /* ascending with time */
};

/*
 * Which of the n strangers has to go so that `k` can come in, of whom at most
 * `max` may be in: its place, -1: none has to, -2: `k` stays out. Of the
 * address itself when that has its share; else of the address that has most,
 * the oldest; known ones only for known ones.
 */
int door_victim(struct door *d, const struct door_guest *guests, unsigned n,
		unsigned max, const struct door_key *k);

#endif
