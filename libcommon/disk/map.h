/*
 * The disk map: what the other side has of a disk after segment N. A file of
 * 16-byte block digests behind a header page; sparse where blocks are zero.
 */
#ifndef PS_DISK_MAP_H
#define PS_DISK_MAP_H

#include <stdint.h>

#include "segment/format.h"

/* ---- building a map from elsewhere (the vault's indexes) ---- */

struct map_build;

/*
 * Begins a new map file at `path` (made whole or not at all: it gets its name
 * at commit, replacing what has it). All blocks count as zero at first.
 */
int map_build_begin(struct map_build **ret, const char *path,
		    const char *machine, const char *disk, uint64_t disk_size,
		    uint32_t block_size, struct err *e);
/* Sets the digests of nblocks blocks from block number `first`. */
int map_build_put(struct map_build *b, uint64_t first, uint64_t nblocks,
		  const uint8_t *digests, struct err *e);
/* After segment `seq` with this digest; has_point: a pass was completed. */
int map_build_commit(struct map_build *b, uint64_t seq,
		     const uint8_t digest[SHA256_LEN], int has_point,
		     struct err *e);
void map_build_abort(struct map_build *b);

#endif
