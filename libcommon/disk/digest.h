/*
 * The disk digest: one string that says whether two disks are equal.
 *
 * A group is 1 GiB of disk. Group digest = SHA-256 over the 16-byte block
 * digests of its blocks (the last group may have fewer). Disk digest =
 * SHA-256 over "psdisk1\n", the size (8 bytes), the block size (4 bytes,
 * little-endian) and all group digests. The tail block is hashed as if
 * filled with zeros.
 */
#ifndef PS_DISK_DIGEST_H
#define PS_DISK_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "segment/format.h"

#define DISK_GROUP_BYTES (1ull << 30)

static inline uint32_t disk_group_blocks(uint32_t block_size)
{
	return (uint32_t)(DISK_GROUP_BYTES / block_size);
}

/* Groups of a disk; 0 for an empty one. */
static inline uint64_t disk_groups(uint64_t disk_size)
{
	return disk_size / DISK_GROUP_BYTES +
	       (disk_size % DISK_GROUP_BYTES != 0);
}

/* Blocks in group number `group` of a disk. */
uint32_t disk_blocks_in_group(uint64_t disk_size, uint32_t block_size,
			      uint64_t group);

/* `entries` holds nblocks block digests. */
void disk_group_digest(const uint8_t *entries, uint32_t nblocks,
		       uint8_t out[SHA256_LEN]);
/* The same for blocks that are all zero; kept after the first call. */
void disk_group_zero(uint32_t nblocks, uint8_t out[SHA256_LEN]);

/* `groups` holds disk_groups(size) group digests. */
void disk_digest_of(uint64_t disk_size, uint32_t block_size,
		    const uint8_t *groups, uint8_t out[SHA256_LEN]);

#endif
