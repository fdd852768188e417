/* Places in a map file and its header slot; for map.c and build.c only. */
#ifndef PS_DISK_LAYOUT_H
#define PS_DISK_LAYOUT_H

#include "disk/map.h"

#define MAP_VERSION 1
#define MAP_PAGE 4096u
#define MAP_SLOT_LEN 512u
#define MAP_GROUPS_AT (2 * MAP_PAGE)
/* Entries that are read or written in one piece. */
#define MAP_CHUNK_ENTRIES 16384u

/* 2^30 blocks at most make at most block_size groups of 1 GiB. */
static inline uint64_t map_entries_at(uint32_t block_size)
{
	return MAP_GROUPS_AT + (uint64_t)SHA256_LEN * block_size;
}

static inline uint64_t map_entry_at(uint32_t block_size, uint64_t block)
{
	return map_entries_at(block_size) + block * BLOCK_DIGEST_LEN;
}

static inline uint64_t map_file_len(uint64_t disk_size, uint32_t block_size)
{
	return map_entry_at(block_size, seg_blocks(disk_size, block_size));
}

void map_head_pack(const struct map_head *h, uint8_t out[MAP_SLOT_LEN]);

#endif
