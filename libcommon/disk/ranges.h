/*
 * A bounded set of byte ranges. When there would be too many, it becomes
 * coarser, never smaller: what was added is always covered.
 */
#ifndef PS_DISK_RANGES_H
#define PS_DISK_RANGES_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Ranges kept at most after ranges_tidy(). */
#define RANGES_MAX 65536u

struct range {
	uint64_t start, end; /* end is behind the last byte */
};

/* Begins as `{0}`. Sorted and merged only after ranges_tidy(). */
struct ranges {
	struct range *items;
	size_t n, cap;
};

/* Adds start..end; nothing when it is empty. */
int ranges_add(struct ranges *r, uint64_t start, uint64_t end, struct err *e);
int ranges_add_all(struct ranges *r, const struct ranges *from, struct err *e);

/* Sorts, merges what touches, and keeps to RANGES_MAX. */
void ranges_tidy(struct ranges *r);

/* Bytes covered; needs ranges_tidy(). */
uint64_t ranges_bytes(const struct ranges *r);

void ranges_clear(struct ranges *r);
void ranges_free(struct ranges *r);

#endif
