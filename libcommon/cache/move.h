/*
 * A machine that moves to another process server, as the cache of either of
 * the two sees it.
 *
 *	CACHE/MACHINE/.moved	"ps-cache-moved 1\nSTATE NAME\n"
 *
 * The old server writes the mark "leaving": from then on nothing of the
 * machine is taken, what is here drains into the vaults. When nothing is left
 * the mark becomes "moved" and the disks are forgotten. The new server has no
 * mark, and its disks are seated from the vault as any that it never saw.
 *
 * Each function may be interrupted anywhere and is then called again.
 */
#ifndef PS_CACHE_MOVE_H
#define PS_CACHE_MOVE_H

#include "cache/cache.h"

enum move_state {
	MOVE_NONE,    /* it is at home here, or was never here */
	MOVE_LEAVING, /* nothing more is taken, what is here drains */
	MOVE_MOVED,   /* it has gone, and nothing of it is here */
	MOVE_LEFT,    /* it has gone while this server was away */
};

struct move_mark {
	enum move_state state;
	char to[NAME_SIZE]; /* the server that has it */
};

/* -PS_DATA: there is a mark, and it cannot be understood. */
int cache_move_mark(struct cache *c, const char *machine, struct move_mark *ret,
		    struct err *e);
/* The same as words for the machine: "moved to ps2: ask ...". */
void cache_move_words(const struct move_mark *m, char out[ACK_REASON_SIZE]);

/* What is here of a machine that is not in every vault yet. */
struct move_left {
	unsigned disks; /* that have such segments */
	uint64_t segments, bytes;
	unsigned followers; /* that have to take them */
	/* "root: 3 segments, 10 to 12; ...", as much of it as fits. */
	char words[600];
	char held[NAME_SIZE + ACK_REASON_SIZE +
		  2]; /* "root: REASON"; or empty */
};

/*
 * Lets a machine go to the server `to`: 0 it has gone, 1 something has to be
 * stored first (*left says what): call it again. Who was sending is ended; a
 * segment that was half here is not taken. -PS_NO: a disk is on hold, so what
 * is here of it will never be stored, or all followers are relays, so nobody
 * says when it is; -PS_TEMPFAIL: somebody who was sending
 * could not be ended.
 */
int cache_move_out(struct cache *c, const char *machine, const char *to,
		   struct move_left *left, struct err *e);

/*
 * It has gone to `to` while this server was away. What was never stored is
 * put on hold and stays, for people to look at; all else is forgotten.
 */
int cache_move_left(struct cache *c, const char *machine, const char *to,
		    struct move_left *left, struct err *e);

/*
 * For who has taken a disk's lease and then sees that its machine has gone:
 * gives the lease back, and removes the folder that taking it made.
 */
void cache_move_sweep(struct cache *c, const char *machine, const char *disk);

/* Takes cache_move_out() back. -PS_NO: it has gone already. */
int cache_move_stay(struct cache *c, const char *machine, struct err *e);

/*
 * Takes a machine that comes from another server. -PS_NO: it is leaving, or
 * segments of it are here that were never stored; with `drop` those go.
 */
int cache_move_in(struct cache *c, const char *machine, bool drop,
		  struct move_left *left, struct err *e);

/* How many disks of a machine are seated here, and how many wait for it. */
struct move_seats {
	unsigned seated, waiting;
	char words[600]; /* "root goes on from segment 42; ..." */
};
int cache_move_seats(struct cache *c, const char *machine,
		     struct move_seats *ret, struct err *e);

#endif
