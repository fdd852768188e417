/*
 * What comes back from later stages: acknowledgements, holds, and the vault's
 * head that seats a disk.
 */
#ifndef PS_CACHE_SETTLE_H
#define PS_CACHE_SETTLE_H

#include "cache/cache.h"

/* Words for the administrator about one disk or line. */
typedef void cache_say_fn(void *ctx, const char *words);

struct cache_settle {
	const char *follower; /* whose acknowledgements they are */
	/*
	 * The level that counts: ACK_STORED, or ACK_DURABLE (and stored) for
	 * a relay whose next stage is another cache.
	 */
	enum ack_level level;
	int in, out; /* lines are read here, and passed on there */
	cache_say_fn *say;
	void *ctx;
};

/*
 * Reads acknowledgements to the end of the input. Each counts for its
 * follower, segments that all followers have are removed, `refused` puts its
 * disk on hold; lines that were acted on are passed on. As many lines as can
 * be had at once cost one write of each head. Returns 0; 1 when a disk was
 * put on hold; -PS_DATA when a line is none, or (at the end of the input)
 * when one named another content than what is here: its disk is on hold too.
 */
int cache_ack(struct cache *c, const struct cache_settle *s, struct err *e);

/*
 * Reads lines `stored M D SEQ DIGEST`: the vault's heads. A disk that fits is
 * only moved on. Else its writer is ended and the disk seated: what continues
 * the vault's head stays (but never from a segment on that put the disk on
 * hold), all others go, and the hold is lifted. Prints to `out` one line for
 * each: seated|kept, machine, disk, sequence, digest, segments kept and
 * dropped. Returns 0 or -CODE.
 */
int cache_seat(struct cache *c, const struct cache_settle *s, struct err *e);

/* Puts a disk on hold by hand. -PS_NOINPUT when there is no such disk. */
int cache_hold(struct cache *c, const char *machine, const char *disk,
	       const char *reason, struct err *e);

#endif
