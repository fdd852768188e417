/*
 * Book of what was written to a disk, in chunks, between cuts. Two bitmaps:
 * what was written since the last cut, and what was written between the base
 * and that cut. A cut names its base: the last cut, or the one that was base
 * before (the pass after the last cut failed, its chunks are told again). Any
 * other base is not known: the whole disk has to be read.
 *
 * It lies in memory only. What dies with the process is not known afterwards,
 * so nothing on a disk can ever be older than it looks.
 */
#ifndef PS_TRACE_WRITEBOOK_H
#define PS_TRACE_WRITEBOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "disk/ranges.h"

#define WRITEBOOK_ID 80 /* bytes of an id, with its end */
/* The smallest chunk: the block size of ps-scan(1). */
#define WRITEBOOK_CHUNK_MIN 65536u
/* At most as many chunks: 4 TiB of the smallest; two bitmaps of 8 MiB. */
#define WRITEBOOK_CHUNKS_MAX (1u << 26)

struct writebook {
	uint64_t size; /* of the disk, bytes */
	uint64_t chunk;
	uint64_t *fresh, *older; /* since the last cut; from base to it */
	char base[WRITEBOOK_ID], last[WRITEBOOK_ID]; /* empty: none */
};

int writebook_open(struct writebook *b, uint64_t size, struct err *e);
void writebook_close(struct writebook *b);

/* Bytes start..end were written; what lies outside of the disk is cut off. */
void writebook_mark(struct writebook *b, uint64_t start, uint64_t end);

/* Something was not seen: nothing is known of the time until now. */
void writebook_forget(struct writebook *b);

/*
 * Cuts: `to` is now. Adds to `ret` what was written since `base` (empty: no
 * base). Returns 1: not known, `ret` has nothing. -PS_USAGE: `to` is the name
 * of the base. Either way book is kept from `to` on.
 */
int writebook_cut(struct writebook *b, const char *to, const char *base,
		  struct ranges *ret, struct err *e);

/* Chunks written since the last cut. */
uint64_t writebook_fresh(const struct writebook *b);

#endif
