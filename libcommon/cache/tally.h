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

struct tally {
	/* Data of the disk in the whole passes behind its first point: before
	 * compression, blocks of zeros not counted. Only grows. */
	uint64_t changed;
	uint64_t pass; /* the same, of the pass that is arriving */
	/* The newest points that are at least crash-consistent, and that are
	 * app-consistent, seconds since 1970; 0: none yet. */
	int64_t crash_point, app_point;
	uint64_t size; /* of the disk, bytes; 0: not known yet */
};

/* Adds a segment that is durable. `dirfd`: the folder of the disk. */
void tally_add(int dirfd, const struct seg_header *h,
	       const struct seg_trailer *t);
/* All zero when there is no file; false when it cannot be read. */
bool tally_read(int dirfd, struct tally *ret);

#endif
