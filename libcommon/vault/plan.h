/*
 * The plan of a restore: which blocks come from which record, made from the
 * indexes alone.
 *
 * A plan is made for a window of the disk that begins and ends on a border of
 * a digest group (1 GiB) or at the end of the disk. The objects are walked
 * newest first with a bitmap of blocks done, so each block is taken from the
 * newest record that has it and records that are wholly superseded never
 * appear. What is left is zero.
 *
 * The first window tried is the whole disk. When the plan outgrows its limit
 * the window is cut in half and what lies behind is planned later, so memory
 * is bounded for any disk, a sparse disk of any size needs one walk, and a
 * full one as few as memory allows. Because the plan holds the digests of its
 * blocks in order, the group digests, and from them the disk digest, come out
 * of it without a map of the whole disk; they are known before the first
 * block is read.
 */
#ifndef PS_VAULT_PLAN_H
#define PS_VAULT_PLAN_H

#include "vault/bitmap.h"
#include "vault/restore-chain.h"

/* A run of blocks that one DATA record provides. */
struct plan_item {
	uint64_t pos;	    /* of the record, in its object */
	uint64_t offset;    /* of the record, in the disk */
	uint32_t object;    /* number in the chain */
	uint32_t record_no; /* in its object */
	uint32_t raw_len, stored_len;
	uint32_t digest; /* number of the first digest, of `count` */
	uint16_t first;	 /* block in the record */
	uint16_t count;
	uint8_t codec;
};

struct plan {
	struct chain *chain; /* borrowed */
	uint64_t start, end; /* the window, bytes of the disk */
	/* Newest object first, in an object by place. */
	struct plan_item *items;
	uint32_t nitems;
	uint8_t *digests; /* BLOCK_DIGEST_LEN for each block of the items */
	uint32_t ndigests;
	uint32_t *order;     /* numbers of the items, by place on the disk */
	uint64_t data_bytes; /* of the disk, that the items provide */
	/* private */
	uint32_t items_cap, digests_cap, limit;
	uint64_t try_bytes; /* size of the next window to try */
	uint64_t ndone;	    /* bits set in `done` */
	struct bitmap done; /* blocks, from `start` */
};

/*
 * `limit` bounds how many items a plan may hold (digests: four times as
 * many); 0: the default, about 64 MiB with all there is. One group of the
 * disk is always planned whole.
 */
void plan_init(struct plan *p, uint32_t limit);
void plan_free(struct plan *p); /* a zeroed one is allowed */

/* Plans the window that begins at `start`; the plan tells where it ends. */
int plan_window(struct plan *p, struct chain *c, uint64_t start, struct err *e);

/* Where the blocks of an item begin in the disk, and how long they are. */
uint64_t plan_item_offset(const struct plan *p, const struct plan_item *it);
uint64_t plan_item_len(const struct plan *p, const struct plan_item *it);

/*
 * The group digests of the window (disk/digest.h): `out` has room for the
 * groups of the whole disk, those of the window are filled in.
 */
int plan_group_digests(const struct plan *p, uint8_t *out, struct err *e);

#endif
