#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace/writebook.h"

#define BITS 64u

static uint64_t chunks_of(const struct writebook *b)
{
	return (b->size + b->chunk - 1) / b->chunk;
}

static size_t words_of(const struct writebook *b)
{
	return (size_t)((chunks_of(b) + BITS - 1) / BITS);
}

int writebook_open(struct writebook *b, uint64_t size, struct err *e)
{
	*b = (struct writebook){.size = size, .chunk = WRITEBOOK_CHUNK_MIN};
	if (size == 0 || size > INT64_MAX)
		return err_set(e, PS_DATA, "a disk of %llu bytes",
			       (unsigned long long)size);
	while (chunks_of(b) > WRITEBOOK_CHUNKS_MAX)
		b->chunk *= 2;
	b->fresh = calloc(words_of(b), sizeof(uint64_t));
	b->older = calloc(words_of(b), sizeof(uint64_t));
	if (b->fresh == NULL || b->older == NULL) {
		writebook_close(b);
		return err_set(e, PS_TEMPFAIL, "out of memory");
	}
	return 0;
}

void writebook_close(struct writebook *b)
{
	free(b->fresh);
	free(b->older);
	b->fresh = b->older = NULL;
}

void writebook_mark(struct writebook *b, uint64_t start, uint64_t end)
{
	uint64_t i, last;

	if (end > b->size)
		end = b->size;
	if (start >= end)
		return;
	last = (end - 1) / b->chunk;
	for (i = start / b->chunk; i <= last; i++)
		b->fresh[i / BITS] |= 1ull << (i % BITS);
}

static void empty(struct writebook *b, uint64_t *bits)
{
	memset(bits, 0, words_of(b) * sizeof(*bits));
}

void writebook_forget(struct writebook *b)
{
	empty(b, b->fresh);
	empty(b, b->older);
	b->base[0] = b->last[0] = '\0';
}

static bool is_set(const struct writebook *b, uint64_t i)
{
	return (b->older[i / BITS] >> (i % BITS) & 1) != 0;
}

static int tell(const struct writebook *b, struct ranges *ret, struct err *e)
{
	uint64_t i, from, n = chunks_of(b);

	for (i = 0; i < n; i++) {
		if (i % BITS == 0 && b->older[i / BITS] == 0) {
			i += BITS - 1;
			continue;
		}
		if (!is_set(b, i))
			continue;
		from = i;
		while (i < n && is_set(b, i))
			i++;
		if (ranges_add(ret, from * b->chunk,
			       i < n ? i * b->chunk : b->size, e) < 0)
			return -PS_TEMPFAIL;
		i--;
	}
	ranges_tidy(ret);
	return 0;
}

int writebook_cut(struct writebook *b, const char *to, const char *base,
		  struct ranges *ret, struct err *e)
{
	size_t i;

	if (to[0] == '\0' || strlen(to) >= WRITEBOOK_ID ||
	    strcmp(to, base) == 0)
		return err_set(e, PS_USAGE, "a cut needs a name of its own");
	if (base[0] != '\0' && strcmp(base, b->last) == 0) {
		memcpy(b->base, b->last, sizeof(b->base));
		empty(b, b->older);
	} else if (base[0] == '\0' || strcmp(base, b->base) != 0) {
		writebook_forget(b);
	}
	for (i = 0; i < words_of(b); i++)
		b->older[i] |= b->fresh[i];
	empty(b, b->fresh);
	snprintf(b->last, sizeof(b->last), "%s", to);
	if (b->base[0] == '\0')
		return 1;
	return tell(b, ret, e);
}

uint64_t writebook_fresh(const struct writebook *b)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < words_of(b); i++)
		n += (uint64_t)__builtin_popcountll(b->fresh[i]);
	return n;
}
