/* What lies in the cache, for people and as JSON. */
#ifndef PS_CACHE_REPORT_H
#define PS_CACHE_REPORT_H

#include <stdio.h>

#include "cache/cache.h"
#include "cache/tally.h"

/*
 * Opens a cache to look at it, also when it is marked failed (cache_open
 * refuses that one). Nothing may be put or acknowledged then.
 */
int cache_look(struct cache **ret, const char *dir, struct err *e);

/* How the whole cache is. */
struct cache_health {
	bool failed;
	unsigned held; /* disks on hold, for all followers or for one */
	unsigned unseated;
};

/* Each disk in one line, and the totals. */
int cache_report_stat(struct cache *c, bool json, FILE *out,
		      struct cache_health *ret, struct err *e);

/* What one follower has of a disk, and what waits there for it. */
struct cache_follower_view {
	const char *name;
	bool begun;	    /* it has acknowledged something: `seq` */
	bool held;	    /* for it alone */
	const char *reason; /* of that hold */
	uint64_t seq;
	uint64_t segments, bytes;
	int64_t oldest; /* arrival of its oldest, ns since 1970; 0: none */
};

/* What the cache knows of a disk, and what waits there. */
struct cache_disk_view {
	const char *machine, *disk;
	bool seated, held, initial;
	const char *reason;	   /* of the hold */
	uint64_t accepted, stored; /* sequences */
	uint64_t segments, bytes;
	int64_t oldest; /* arrival of the oldest, ns since 1970; 0: none */
	bool tallied;	/* `tally` could be read */
	struct tally tally;
	/* Those that are registered, in order of names. */
	const struct cache_follower_view *followers;
	unsigned nfollowers;
};

typedef int cache_view_fn(void *ctx, const struct cache_disk_view *v,
			  struct err *e);
/* Each disk, in order of names. */
int cache_views(struct cache *c, cache_view_fn *fn, void *ctx, struct err *e);

/* Each segment (of a machine, of a disk, or NULL). */
int cache_report_list(struct cache *c, const char *machine, const char *disk,
		      bool json, FILE *out, struct err *e);

#endif
