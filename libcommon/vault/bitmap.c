#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "vault/bitmap.h"

#define WORD 64

int bitmap_new(struct bitmap *b, uint64_t bits, struct err *e)
{
	b->bits = bits;
	b->words = calloc((size_t)DIV_ROUND_UP(bits, WORD) + 1, WORD / 8);
	return b->words == NULL ? err_sys(e, PS_TEMPFAIL, "bitmap") : 0;
}

void bitmap_free(struct bitmap *b)
{
	free(b->words);
	b->words = NULL;
}

void bitmap_clear(struct bitmap *b, uint64_t n)
{
	uint64_t last = n / WORD;

	memset(b->words, 0, (size_t)last * (WORD / 8));
	if (n % WORD != 0)
		b->words[last] &= ~0ull << n % WORD;
}

/* The bits of word number `w` that lie in first .. end - 1. */
static uint64_t mask_of(uint64_t w, uint64_t first, uint64_t end)
{
	uint64_t mask = ~0ull;

	if (w == first / WORD)
		mask &= ~0ull << first % WORD;
	if (w == end / WORD)
		mask &= ~(~0ull << end % WORD);
	return mask;
}

uint64_t bitmap_set(struct bitmap *b, uint64_t first, uint64_t n)
{
	uint64_t end = first + n, w, fresh = 0;

	for (w = first / WORD; w * WORD < end; w++) {
		uint64_t mask = mask_of(w, first, end);

		fresh += (unsigned)__builtin_popcountll(mask & ~b->words[w]);
		b->words[w] |= mask;
	}
	return fresh;
}

uint64_t bitmap_count(const struct bitmap *b, uint64_t n)
{
	uint64_t w, count = 0;

	for (w = 0; w * WORD < n; w++)
		count += (unsigned)__builtin_popcountll(b->words[w] &
							mask_of(w, 0, n));
	return count;
}

/* The first bit that differs from all bits of `same`. */
static uint64_t next(const struct bitmap *b, uint64_t from, uint64_t end,
		     uint64_t same)
{
	uint64_t w;

	for (w = from / WORD; w * WORD < end; w++) {
		uint64_t x = (b->words[w] ^ same) & mask_of(w, from, end);

		if (x != 0)
			return w * WORD + (unsigned)__builtin_ctzll(x);
	}
	return end;
}

uint64_t bitmap_next_clear(const struct bitmap *b, uint64_t from, uint64_t end)
{
	return next(b, from, end, ~0ull);
}

uint64_t bitmap_next_set(const struct bitmap *b, uint64_t from, uint64_t end)
{
	return next(b, from, end, 0);
}
