/*
 * What was accepted of one disk since its folder was made: a small file
 * (CACHE/MACHINE/DISK/.tally) that whoever has the disk's lease rewrites with
 * each segment. Like the counters it is advice for whoever watches
 * (ps-health), never truth: it is not synced, a power loss may set it back,
 * and where it cannot be written nothing is counted.
 */
#ifndef PS_CACHE_TALLY_H
#define PS_CACHE_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "segment/format.h"

/* A point that is whole here. */
struct tally_point {
	uint64_t seq;	     /* its last segment; 0: none */
	int64_t time;	     /* seconds since 1970 */
	uint8_t consistency; /* enum seg_consistency */
};

/* So many are remembered, the newest. */
#define TALLY_POINTS 128

struct tally {
	/* Data of the disk in the whole passes behind its first point: before
	 * compression, blocks of zeros not counted. Only grows. */
	uint64_t changed;
	uint64_t pass; /* the same, of the pass that is arriving */
	/* The newest points that are at least crash-consistent, and that are
	 * app-consistent, seconds since 1970; 0: none yet. */
	int64_t crash_point, app_point;
	uint64_t size; /* of the disk, bytes; 0: not known yet */
	struct tally_point points[TALLY_POINTS]; /* the oldest first */
	unsigned npoints;
};

/* Adds a segment that is durable. `dirfd`: the folder of the disk. */
void tally_add(int dirfd, const struct seg_header *h,
	       const struct seg_trailer *t);
/* Points of these segments, which were dropped, do not exist. */
void tally_forget(int dirfd, uint64_t first_seq, uint64_t last_seq);
/* All zero when there is no file; false when it cannot be read. */
bool tally_read(int dirfd, struct tally *ret);
/*
 * The newest point up to this segment: what can be recovered when the vault
 * has so much. A crash-consistent one, if there is any, rather than a newer
 * one that is not. False: none is known, or so much waits that it is not
 * remembered any more.
 */
bool tally_point_at(const struct tally *t, uint64_t seq,
		    struct tally_point *ret);

#endif
