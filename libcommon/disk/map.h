/*
 * The disk map: what the other side has of a disk after segment N. One file:
 *
 *	0	slot 0 of the header	machine, disk, sizes, sequence, ...
 *	4096	slot 1 of the header
 *	8192	group digests, 32 bytes for each GiB (disk/digest.h)
 *	...	entries, 16 bytes for each block
 *
 * Little-endian; sparse where blocks are zero. The group digests begin behind
 * the header and have room for the largest disk of this block size (32 *
 * block size bytes), so entries stay where they are when a disk grows. A group
 * digest of zeros stands for a group of zero blocks, whatever its length.
 *
 * The header has a generation number and a CRC-32C in each slot and is written
 * to the slots in turn, after everything else was synced: after a power loss
 * one slot is whole. Entries are changed in place and may be half-way between
 * two sequences then; the journal tells how to go on or back.
 */
#ifndef PS_DISK_MAP_H
#define PS_DISK_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "segment/format.h"

#define MAP_ID_LEN 16

struct map_head {
	char machine[NAME_SIZE];
	char disk[NAME_SIZE];
	uint8_t id[MAP_ID_LEN]; /* random; new with each new file */
	uint64_t generation;	/* of the header; one more each time */
	uint64_t disk_size;
	uint32_t block_size;
	uint64_t seq;		    /* 0: the other side has nothing */
	uint8_t digest[SHA256_LEN]; /* of segment seq; zeros for 0 */
	bool has_point; /* a pass was completed since the newest base */
	bool restart;	/* the next segment must be a base */
};

struct map {
	int fd;
	char *path;
	struct map_head head;
};

/*
 * Opens a map. -PS_NOINPUT: there is none; -PS_DATA: not a map, or damaged;
 * -PS_PROTOCOL: made by a newer version.
 */
int map_open(struct map *m, const char *path, bool writable, struct err *e);
void map_close(struct map *m); /* a map of zero bytes may be closed too */

/*
 * Syncs entries and groups, then makes `h` the header (id and generation are
 * filled in) and syncs that. m->head is changed only on success.
 */
int map_commit(struct map *m, const struct map_head *h, struct err *e);

static inline uint64_t map_blocks(const struct map *m)
{
	return seg_blocks(m->head.disk_size, m->head.block_size);
}

/* Before a base the disk counts as all zero, whatever the entries say. */
static inline bool map_counts_as_zero(const struct map *m)
{
	return m->head.seq == 0 || m->head.restart;
}

/* ---- entries ---- */

/*
 * An entry of which nobody knows what the other side has: equal to no block,
 * so the block is sent. All bits set.
 */
bool map_entry_unknown(const uint8_t entry[BLOCK_DIGEST_LEN]);

/* n entries from block `first`; zeros behind the end of the file. */
int map_read(const struct map *m, uint64_t first, uint64_t n, uint8_t *out,
	     struct err *e);
int map_write(struct map *m, uint64_t first, uint64_t n, const uint8_t *entries,
	      struct err *e);
int map_write_zero(struct map *m, uint64_t first, uint64_t n, struct err *e);
int map_write_unknown(struct map *m, uint64_t first, uint64_t n, struct err *e);

/*
 * The first block at or behind `block` whose entry may not be zero, found
 * without reading; UINT64_MAX: none.
 */
uint64_t map_next_data(const struct map *m, uint64_t block);

/*
 * All entries and group digests become zero; room for a disk of this size.
 * The header is not touched.
 */
int map_reset(struct map *m, uint64_t disk_size, struct err *e);
/* Cuts off or adds entries, and brings the groups from there on up to date. */
int map_resize(struct map *m, uint64_t disk_size, struct err *e);

/* ---- group digests ---- */

/*
 * The group digests of a disk of this size as they are stored: zeros stand
 * for a zero group. `out` has disk_groups(disk_size) * SHA256_LEN bytes.
 */
int map_groups_read(const struct map *m, uint64_t disk_size, uint8_t *out,
		    struct err *e);
/* Recomputes those of the groups from..to (included) from the entries. */
int map_groups_update(struct map *m, uint64_t disk_size, uint64_t from,
		      uint64_t to, struct err *e);

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
/*
 * After segment `seq` with this digest; has_point: a pass was completed. The
 * dirty list of a map that had the name is not for the new one: the next scan
 * reads the whole disk. Frees b on success; after a failure abort it.
 */
int map_build_commit(struct map_build *b, uint64_t seq,
		     const uint8_t digest[SHA256_LEN], int has_point,
		     struct err *e);
void map_build_abort(struct map_build *b);

/*
 * The same without a name, in $TMPDIR or /var/tmp, gone when it is closed;
 * nothing of it is synced. Instead of a commit the open map is handed over
 * (its header only in memory, without group digests); that frees b.
 */
int map_build_anonymous(struct map_build **ret, const char *machine,
			const char *disk, uint64_t disk_size,
			uint32_t block_size, struct err *e);
void map_build_hand_over(struct map_build *b, uint64_t seq,
			 const uint8_t digest[SHA256_LEN], int has_point,
			 struct map *ret);

/* A map of a disk of which nothing was sent yet; -PS_NO when one exists. */
int map_create(const char *path, const char *machine, const char *disk,
	       uint64_t disk_size, uint32_t block_size, struct err *e);

#endif
