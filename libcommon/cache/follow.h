/*
 * Sends what arrives: the segments of all disks as one stream, for one named
 * follower, from behind what it has acknowledged.
 */
#ifndef PS_CACHE_FOLLOW_H
#define PS_CACHE_FOLLOW_H

#include "cache/settle.h"

struct cache_follow {
	const char *follower;
	bool once; /* end when all is sent, instead of waiting for more */
	int out;
	int stop; /* readable when it is to end; -1: never */
	cache_say_fn *say;
	void *ctx;
};

/*
 * Of each disk in the order of its chain; deltas before initial replication,
 * and among disks of the same kind the one that has had the fewest bytes.
 * Each segment is checked whole before its first byte goes out; one that is
 * damaged puts its disk on hold and the others go on. Disks on hold or not
 * seated are left out. Ends at the border of a segment: 0 when stopped or
 * (once) done, -PS_TEMPFAIL when another process follows under this name or
 * the reader of `out` went away.
 */
int cache_follow(struct cache *c, const struct cache_follow *opt,
		 struct err *e);

/*
 * Sends one segment to `out`, checked like that. -PS_NOINPUT when it is not
 * there, -PS_DATA when it is damaged (nothing was sent).
 */
int cache_cat(struct cache *c, const char *machine, const char *disk,
	      uint64_t seq, int out, struct err *e);

#endif
