/* What the cache holds and no vault has: how much it is, and its way out. */
#ifndef PS_SETUP_DRAIN_H
#define PS_SETUP_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct pending {
	uint64_t segments, bytes;
	unsigned disks, machines;
	unsigned held; /* disks that a later stage has refused */
	char reason[160];
};

/* *ret_is: it is a cache at all (NULL: there is none). */
int pending_count(const char *dir, struct pending *ret, bool *ret_is,
		  struct err *e);

/*
 * One line for each machine: "web01: 3 points, 12 segments of 2 disks, 1.2
 * MB". A point is counted where a pass over a disk ends; of several disks the
 * one with the most counts.
 */
typedef int pending_fn(void *ctx, const char *line, struct err *e);
int pending_tell(const char *dir, pending_fn *fn, void *ctx, struct err *e);

/*
 * Waits until nothing is left, with a progress line. -PS_TEMPFAIL: after `s`
 * seconds there is something left; -PS_NO: what is left is on hold.
 */
int pending_wait(const char *dir, uint64_t s, struct err *e);

#endif
