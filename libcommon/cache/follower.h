/*
 * Followers: readers of the cache by name ("default", "site2"). One is
 * registered by its file CACHE/followers/NAME from its first use on; a
 * segment is removed when all that are registered have acknowledged it, and
 * counts as stored when cache_limits.stored_after of them have.
 * Where each is stands in the heads.
 */
#ifndef PS_CACHE_FOLLOWER_H
#define PS_CACHE_FOLLOWER_H

#include "cache/folder.h"

#define FOLLOWER_DEFAULT "default"

struct follower_list {
	char names[HEAD_FOLLOWERS_MAX][NAME_SIZE];
	unsigned n;
};

/* In order of names. */
int follower_list(struct cache *c, struct follower_list *ret, struct err *e);

/* Registers a name; it may be registered already. */
int follower_register(struct cache *c, const char *name, struct err *e);

/*
 * Notes at what level the acknowledgements of a follower count: those of a
 * relay say that another cache has it, and nobody here knows when the vault
 * does. Kept in its file.
 */
int follower_set_relay(struct cache *c, const char *name, bool relay,
		       struct err *e);
/* 1, 0 (also when there is no such follower), -CODE. */
int follower_is_relay(struct cache *c, const char *name, struct err *e);

/*
 * Registers a name and claims it for this process: a descriptor that holds
 * the claim, or -PS_TEMPFAIL when another process follows under this name.
 */
int follower_claim(struct cache *c, const char *name, struct err *e);

/*
 * Forgets a follower, and removes the segments that only it still needed.
 * -PS_NOINPUT when there is none; -PS_TEMPFAIL when it is running.
 */
int follower_drop(struct cache *c, const char *name, struct err *e);

/* Is a process following under this name now? 1, 0, -CODE. */
int follower_runs(struct cache *c, const char *name, struct err *e);

/* Where a follower is in a disk. */
struct follower_at {
	bool begun; /* it has acknowledged something: `at` */
	struct mark at;
	bool held; /* it alone; the reason: */
	char reason[ACK_REASON_SIZE];
};
/* 1, or 0 when there is no such disk. */
int follower_at(struct cache *c, const char *machine, const char *disk,
		const char *name, struct follower_at *ret, struct err *e);

/*
 * How many followers must have a segment before it counts as stored (0: all).
 * Kept in the cache; what counts now for disks that are idle is told at once.
 * What was told as stored once stays so.
 */
int follower_stored_after(const char *dir, unsigned n, struct err *e);

/*
 * What is behind `name` refuses segment `seq` of the disk. The other
 * followers go on; the disk itself is on hold when none is left.
 */
int follower_refuse(struct head *h, const struct follower_list *all,
		    const char *name, uint64_t seq, const char *reason,
		    struct err *e);

/*
 * Ends a change of a head: takes over what the folder knows of the last
 * segment, writes the head, then removes segments that all of `all` have.
 * The caller holds the lock exclusively and has changed s->head.
 */
int follower_retire(struct folder *f, struct folder_state *s,
		    const struct follower_list *all, struct err *e);

#endif
