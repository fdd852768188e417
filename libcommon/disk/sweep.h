/*
 * One sweep over the dirty ranges of a disk, in ascending order: reads them
 * (holes are not read), hashes each block on all processors, compares with
 * the map, and hands out what differs together with the very bytes that were
 * hashed. At its end it knows the disk digest: of the blocks it read, and of
 * the map for all others.
 *
 * Each group's entries are read from the map once, before anything of that
 * group is handed out, so commits of what this sweep handed out may run beside
 * it.
 */
#ifndef PS_DISK_SWEEP_H
#define PS_DISK_SWEEP_H

#include "disk/map.h"
#include "disk/ranges.h"
#include "disk/source.h"

struct sweep {
	struct source *src;
	const struct map *map;	     /* NULL: all counts as zero */
	const struct ranges *ranges; /* tidy */
	uint32_t block_size;
	unsigned threads;   /* 0: by the processors */
	uint64_t read_rate; /* bytes per second; 0: no limit */

	/* Blocks that differ, side by side, at most 1 MiB. May be NULL. */
	int (*data)(void *ctx, uint64_t offset, uint32_t len, const void *bytes,
		    const uint8_t *digests, struct err *e);
	/* Blocks that are zero now and were something else in the map. */
	int (*zero)(void *ctx, uint64_t offset, uint64_t len, struct err *e);
	void *ctx;
};

int sweep_run(const struct sweep *s, uint8_t ret_disk_digest[SHA256_LEN],
	      struct err *e);

#endif
