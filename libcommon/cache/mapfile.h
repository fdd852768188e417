/*
 * Digest maps for sources that lost theirs (disk/digestmap.h), and the
 * requests for them: small files in the folder of a disk.
 *
 *	map.want	asked for; its time is when somebody who makes maps
 *			last saw it
 *	map		the digest map, of the disk after one segment
 *	map.refused	it cannot be made; why
 *
 * At most one of each for a disk. A map counts only while it is of the very
 * segment that the head names; whoever makes maps removes old ones.
 */
#ifndef PS_CACHE_MAPFILE_H
#define PS_CACHE_MAPFILE_H

#include "base/io.h"
#include "cache/cache.h"
#include "disk/digestmap.h"

/* A request that nobody has seen for so long: nobody makes maps here. */
#define MAPFILE_NOBODY_S 120
/* A refusal counts for so long: a key may have been given since. */
#define MAPFILE_REFUSED_S 3600

enum mapfile_answer {
	MAPFILE_READY,	 /* here it is */
	MAPFILE_ASKED,	 /* it is being made: come again */
	MAPFILE_NOBODY,	 /* nobody here makes any */
	MAPFILE_REFUSED, /* it cannot be made; why */
	MAPFILE_NONE,	 /* nothing was accepted of this disk yet */
	MAPFILE_HELD,	 /* the disk is on hold, or not seated */
};

struct mapfile {
	enum mapfile_answer answer;
	struct cache_head head;
	int fd; /* READY: the caller closes it; else -1 */
	uint64_t bytes;
	char why[ACK_REASON_SIZE]; /* REFUSED */
};

/*
 * Gives the map of a disk at its head, or notes that it is wanted. A disk
 * that nobody knows is not noted: MAPFILE_HELD.
 */
int cache_map_ask(struct cache *c, const char *machine, const char *disk,
		  struct mapfile *ret, struct err *e);

/*
 * Reads a digest map to its end and keeps it, if it is whole and of the
 * head; that answers the request. -PS_NO: the head is another one by now.
 */
int cache_map_put(struct cache *c, const char *machine, const char *disk,
		  struct io_in *in, struct err *e);

/* Drops map and request; `why` (or NULL) is what askers are told then. */
int cache_map_drop(struct cache *c, const char *machine, const char *disk,
		   const char *why, struct err *e);

/* What lies in the folder of a disk. */
struct mapfile_state {
	const char *machine, *disk;
	bool wanted;
	int64_t seen;	/* ns since 1970: wanted, last seen by a maker */
	bool have;	/* a map, damaged or not */
	uint64_t seq;	/* of it; 0: damaged */
	uint64_t bytes; /* of it */
	bool fits;	/* it is of the head */
	bool refused;
	char why[ACK_REASON_SIZE];
	struct cache_head head;
};
typedef int cache_map_fn(void *ctx, const struct mapfile_state *s,
			 struct err *e);

/* Each disk that has any of these files. */
int cache_maps(struct cache *c, const char *machine, cache_map_fn *fn,
	       void *ctx, struct err *e);

/* Somebody who makes maps has seen the request. */
int cache_map_seen(struct cache *c, const char *machine, const char *disk,
		   struct err *e);

#endif
