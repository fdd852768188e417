/*
 * A digest map on its way: a disk map as a stream, for a source that lost its
 * own. Little-endian:
 *
 *	head	256 bytes: magic, version (4), flags (4: 1 a pass was
 *		completed), disk size (8), block size (4), reserved (4),
 *		sequence (8), digest of that segment (32), reserved, machine
 *		at 112 and disk at 176 (64 each), reserved, CRC-32C at 252
 *	run	first block (8), blocks (4), CRC-32C (4) of these and of the
 *		digests that follow, 16 bytes each
 *	...	runs ascend; what stands in none is zero
 *	end	a run of no blocks at block 2^64 - 1
 *	digest	SHA-256 of all before it (32)
 *
 * Nothing stands behind it, and what is cut short is not taken.
 */
#ifndef PS_DISK_DIGESTMAP_H
#define PS_DISK_DIGESTMAP_H

#include "base/io.h"
#include "disk/map.h"

#define DIGESTMAP_HEAD_LEN 256

struct digestmap_head {
	char machine[NAME_SIZE], disk[NAME_SIZE];
	uint64_t disk_size;
	uint32_t block_size;
	uint64_t seq; /* the map is of the disk after this segment */
	uint8_t digest[SHA256_LEN];
	bool has_point;
};

/* Writes the whole of a map. -PS_DATA: entries in it are unknown. */
int digestmap_write(const struct map *m, struct io_out *out, struct err *e);

/* The first DIGESTMAP_HEAD_LEN bytes alone. -PS_DATA, -PS_PROTOCOL. */
int digestmap_head_unpack(struct digestmap_head *h,
			  const uint8_t in[DIGESTMAP_HEAD_LEN], struct err *e);

/* Who takes what is read; each may be NULL. 0, or -CODE to end. */
struct digestmap_sink {
	int (*head)(void *ctx, const struct digestmap_head *h, struct err *e);
	int (*run)(void *ctx, uint64_t first, uint64_t nblocks,
		   const uint8_t *digests, struct err *e);
	void *ctx;
};

/*
 * Reads a digest map to the end of the input. Runs come before the whole is
 * known to be good: keep nothing unless 0 comes back. -PS_DATA: damaged, or
 * cut short.
 */
int digestmap_read(struct io_in *in, const struct digestmap_sink *to,
		   struct digestmap_head *ret, struct err *e);

/*
 * Makes the map `path` from a digest map, whole or not at all; it must be of
 * this machine and disk. A map that is there and knows of segments is left
 * alone (-PS_NO) unless `replace`. The next pass reads the whole disk.
 */
int digestmap_adopt(struct io_in *in, const char *path, const char *machine,
		    const char *disk, bool replace, struct digestmap_head *ret,
		    struct err *e);

#endif
