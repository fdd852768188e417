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

/* `jobs` threads; they are started when the first part is sent. */
int parts_open(struct parts **ret, unsigned jobs, struct err *e);
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

/* One object; to be zeroed, with the first two filled. */
struct part_set {
	part_send_fn *send;
	void *ctx;
	/* private */
	unsigned under_way;
	int rc;
	struct err why;
};

/*
 * Size of part number `index` of an object of unknown length, so that 50,000
 * of them (Azure) hold 620 GiB, and 10,000 (S3, which asks for 5 MiB and has
 * a larger `least`) many times what a segment has.
 */
size_t part_size(uint32_t index, size_t least);

/*
 * Room for a part; waits until others are sent when memory is used up. Fails
 * with what a part of this object that was sent before failed with.
 */
int part_take(struct parts *p, struct part_set *set, size_t size,
	      struct part **ret, struct err *e);
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
