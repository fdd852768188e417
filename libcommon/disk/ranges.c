#include "config.h"

#include <assert.h>
#include <stdlib.h>

#include "disk/ranges.h"

#define GRAIN_FIRST (128 * 1024ull)

static int by_start(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static void merge(struct ranges *r)
{
	size_t i, n = 0;

	for (i = 0; i < r->n; i++) {
		struct range *last = n > 0 ? &r->items[n - 1] : NULL;

		if (last == NULL || r->items[i].start > last->end)
			r->items[n++] = r->items[i];
		else if (r->items[i].end > last->end)
			last->end = r->items[i].end;
	}
	r->n = n;
}

/* Widens each range to multiples of `grain`. */
static void coarsen(struct ranges *r, uint64_t grain)
{
	size_t i;

	for (i = 0; i < r->n; i++) {
		struct range *x = &r->items[i];

		x->start -= x->start % grain;
		if (x->end % grain != 0 && x->end < UINT64_MAX - grain)
			x->end += grain - x->end % grain;
	}
	merge(r);
}

void ranges_tidy(struct ranges *r)
{
	uint64_t grain;

	if (r->n == 0)
		return;
	assert(r->items != NULL);
	qsort(r->items, r->n, sizeof(*r->items), by_start);
	merge(r);
	for (grain = GRAIN_FIRST; r->n > RANGES_MAX; grain *= 2)
		coarsen(r, grain);
}

int ranges_add(struct ranges *r, uint64_t start, uint64_t end, struct err *e)
{
	struct range *last = r->n > 0 ? &r->items[r->n - 1] : NULL;

	if (start >= end)
		return 0;
	if (last != NULL && start >= last->start && start <= last->end) {
		if (end > last->end)
			last->end = end;
		return 0;
	}
	if (r->n == r->cap && r->cap == 2 * RANGES_MAX)
		ranges_tidy(r);
	if (r->n == r->cap) {
		size_t cap = r->cap == 0 ? 16 : 2 * r->cap;
		struct range *p = realloc(r->items, cap * sizeof(*p));

		if (p == NULL)
			return err_sys(e, PS_TEMPFAIL, "list of ranges");
		r->items = p;
		r->cap = cap;
	}
	assert(r->items != NULL);
	r->items[r->n++] = (struct range){start, end};
	return 0;
}

int ranges_add_all(struct ranges *r, const struct ranges *from, struct err *e)
{
	size_t i;

	for (i = 0; i < from->n; i++)
		if (ranges_add(r, from->items[i].start, from->items[i].end, e) <
		    0)
			return -PS_TEMPFAIL;
	return 0;
}

uint64_t ranges_bytes(const struct ranges *r)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < r->n; i++)
		sum += r->items[i].end - r->items[i].start;
	return sum;
}

void ranges_clear(struct ranges *r)
{
	r->n = 0;
}

void ranges_free(struct ranges *r)
{
	free(r->items);
	*r = (struct ranges){0};
}
