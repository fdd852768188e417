/*
 * Scrubbing: each pass with a change list also reads a slice of the disk, one
 * after another, and sees whether the list missed something. Where it stands,
 * and what it has found so far, lies in the file `scrub` of the journal's
 * folder:
 *
 *	ps-scrub 1 POSITION ROUNDS FOUND
 *
 * Numbers in decimal: byte of the disk where the next slice begins, times
 * that the end was reached, blocks that a list had missed. A file that cannot
 * be read counts as none: scrubbing begins anew.
 *
 * Of a disk in use a block may differ because it was written after the list
 * was made. It is sent, and is a suspect until the next list: if that one does
 * not name it, the list before had missed it. Suspects lie in the file
 * `suspects` beside, a line "START LENGTH" for each range behind the line
 * "ps-suspects 1"; one that cannot be read counts as none.
 */
#ifndef PS_DISK_SCRUB_H
#define PS_DISK_SCRUB_H

#include "disk/journal.h"
#include "disk/ranges.h"

#define SCRUB_SHOWN 16u
#define SCRUB_SUSPECTS 4096u /* ranges that are kept at most */

struct scrub_state {
	uint64_t position, rounds, found;
};

/* What one pass has found. */
struct scrub_found {
	uint64_t blocks;
	uint64_t ranges;	      /* they are side by side in so many */
	struct range at[SCRUB_SHOWN]; /* the first of these */
	uint64_t
	    unjudged; /* ranges that waited for a list, which did not come */
	struct ranges *suspects; /* gets the first of them, too; or NULL */
};

/* "K/N", 1 <= K <= N. */
bool scrub_parse(const char *text, uint64_t *ret_k, uint64_t *ret_n);

/* All zero when there is none. */
void scrub_load(const struct journal *j, struct scrub_state *ret);
int scrub_save(struct journal *j, const struct scrub_state *s, struct err *e);

/*
 * The slice that is next: K Nths of the disk, whole blocks, cut at its end.
 */
struct range scrub_slice(const struct scrub_state *s, uint64_t disk_size,
			 uint32_t block_size, uint64_t k, uint64_t n);
/* Behind that slice; at the end of the disk a new round begins. */
void scrub_advance(struct scrub_state *s, const struct range *slice,
		   uint64_t disk_size);

/*
 * A stretch of blocks differs from the map: those of its blocks that no range
 * of `dirty` (tidy) touches were missed. Calls ascend; *hint begins with 0.
 */
void scrub_note(struct scrub_found *f, const struct ranges *dirty, size_t *hint,
		uint32_t block_size, uint64_t from, uint64_t to);

/* Adds those that are on record to `ret`. */
int suspects_load(const struct journal *j, struct ranges *ret, struct err *e);
/* None: the file goes. */
int suspects_save(struct journal *j, const struct ranges *r, struct err *e);

#endif
