/* A set of block numbers, kept as one bit for each. */
#ifndef PS_VAULT_BITMAP_H
#define PS_VAULT_BITMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct bitmap {
	uint64_t *words;
	uint64_t bits;
};

/* All bits are clear; memory is only taken where bits are set. */
int bitmap_new(struct bitmap *b, uint64_t bits, struct err *e);
void bitmap_free(struct bitmap *b);

/* Clears the bits 0 .. n - 1. */
void bitmap_clear(struct bitmap *b, uint64_t n);
/* Sets n bits from `first`; gives how many of them were clear. */
uint64_t bitmap_set(struct bitmap *b, uint64_t first, uint64_t n);
/* How many of the bits 0 .. n - 1 are set. */
uint64_t bitmap_count(const struct bitmap *b, uint64_t n);

/* The first bit in from .. end - 1 that is set or clear; `end`: none. */
uint64_t bitmap_next_clear(const struct bitmap *b, uint64_t from, uint64_t end);
uint64_t bitmap_next_set(const struct bitmap *b, uint64_t from, uint64_t end);

#endif
