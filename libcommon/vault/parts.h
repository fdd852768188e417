/*
 * Parts of objects that are sent in parallel: blocks of Azure Blob, parts of
 * S3. A store has one set of threads and one budget of memory for all of its
 * objects that are under way.
 */
#ifndef PS_VAULT_PARTS_H
#define PS_VAULT_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Bytes of a part; later ones of a large object are larger. */
#define PART_SIZE (2u * 1024 * 1024)

struct parts;

/*
 * `jobs` threads, started as parts are sent; `size` is that of most parts, of
 * which some are kept to be used again.
 */
int parts_open(struct parts **ret, unsigned jobs, size_t size, struct err *e);
/* Nothing may be under way. NULL is allowed. */
void parts_close(struct parts *p);

struct part_set;

struct part {
	struct part *next;
	struct part_set *set;
	uint32_t index; /* within its object, from 0 */
	size_t len, size;
	uint8_t data[];
};

/* Sends one part; called by several threads at once. */
typedef int part_send_fn(void *ctx, const struct part *part, struct err *e);
/*
 * The part that is being filled is full, and not the last: hands it on by
 * part_send(), or drops it; `part` is then NULL and `count` one more.
 */
typedef int part_full_fn(void *ctx, struct err *e);
/* How large part number `index` is to be. */
typedef size_t part_size_fn(uint32_t index);

/* One object; to be zeroed, with the first four filled. */
struct part_set {
	part_send_fn *send;
	part_full_fn *full;
	part_size_fn *size;
	void *ctx;
	struct part *part; /* being filled, or NULL */
	uint32_t count;	   /* of parts that were handed on */
	/* private */
	unsigned under_way;
	int rc;
	struct err why;
};

/*
 * Adds bytes to the object; waits until others are sent when memory is used
 * up, unless nothing is under way: then nobody but the caller could give any
 * back, and one more part is taken. So memory is bounded by the budget, or by
 * a part for each object that is open. Fails with what a part of this object
 * that was sent before failed with.
 */
int part_write(struct parts *p, struct part_set *set, const void *buf, size_t n,
	       struct err *e);
/* The part that is being filled gets no more: its spare room is given back. */
void part_trim(struct parts *p, struct part_set *set);
/*
 * Whether the caller's thread sends that part by itself now: then others who
 * wait for memory may count on it.
 */
void part_sends(struct parts *p, struct part_set *set, bool now);
/* Gives it back unsent; NULL is allowed. */
void part_drop(struct parts *p, struct part *part);
/* Hands it to the threads. */
int part_send(struct parts *p, struct part *part, struct err *e);
/*
 * Waits until no part of the object is under way, and tells the first failure.
 * With `cancel` those that are not begun are dropped.
 */
int part_wait(struct parts *p, struct part_set *set, bool cancel,
	      struct err *e);

#endif
