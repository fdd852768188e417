/*
 * A pool of threads whose results come back in the order of submission, with
 * a bound on what is under way. One thread (the owner) fills, submits, takes
 * and releases; the workers only run `work` on a slot.
 *
 *	for (each piece) {
 *		while ((s = pool_slot(p)) == NULL)
 *			write out pool_take(p) and pool_release(p);
 *		fill s; pool_submit(p);
 *	}
 *	while ((s = pool_take(p)) != NULL)
 *		write out s and pool_release(p);
 */
#ifndef PS_BASE_POOL_H
#define PS_BASE_POOL_H

#include <stddef.h>

#include "base/err.h"

struct pool;

typedef void pool_work_fn(void *slot, void *ctx);

/*
 * `threads` workers (0: one for each processor available to the process) and
 * `depth` slots of `slot_size` zeroed bytes each (depth 0: twice the threads).
 */
int pool_new(struct pool **ret, unsigned threads, unsigned depth,
	     size_t slot_size, pool_work_fn *work, void *ctx, struct err *e);

/* The next free slot, keeping what was in it; NULL when all are under way. */
void *pool_slot(struct pool *p);
/* Hands the slot of the last pool_slot() to the workers. */
void pool_submit(struct pool *p);
/* Waits for the oldest submitted slot; NULL when none is under way. */
void *pool_take(struct pool *p);
/* The oldest submitted slot if its work is done, else NULL; never waits. */
void *pool_peek(struct pool *p);
/* Makes the slot of the last pool_take() or pool_peek() free again. */
void pool_release(struct pool *p);

unsigned pool_depth(const struct pool *p);
/* Slot number i (0..depth-1), to prepare or free what slots own. */
void *pool_at(struct pool *p, unsigned i);

/* Waits for the workers and frees the pool; NULL is allowed. */
void pool_free(struct pool *p);

/* Processors available to this process. */
unsigned pool_cpus(void);

#endif
