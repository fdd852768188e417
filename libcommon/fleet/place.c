#include "config.h"

#include <stdlib.h>

#include "fleet/inventory.h"
#include "fleet/place.h"

#define SEARCH_ITEMS 48
#define SEARCH_LOOKS 1000000 /* steps times rooms: some milliseconds */

/* A room that is closed still takes those that it had. */
static bool fits(const struct room *rooms, size_t i, const struct item *it)
{
	const struct room *r = &rooms[i];

	return (r->open || it->home == (int)i) && r->machines < r->most &&
	       r->churn + it->churn <= r->limit;
}

static void put(struct room *r, const struct item *it)
{
	r->churn += it->churn;
	r->machines++;
}

static void take(struct room *r, const struct item *it)
{
	r->churn -= it->churn;
	r->machines--;
}

static double load_with(const struct room *r, const struct item *it)
{
	return (r->churn + it->churn) / r->power;
}

/* The room with the lowest load; its home when that is as low. */
static int best(const struct room *rooms, size_t n, const struct item *it)
{
	int found = NO_SERVER;
	double load = 0, l;

	if (it->home != NO_SERVER && fits(rooms, (size_t)it->home, it)) {
		found = it->home;
		load = load_with(&rooms[found], it);
	}
	for (size_t i = 0; i < n; i++) {
		if (!fits(rooms, i, it))
			continue;
		l = load_with(&rooms[i], it);
		if (found == NO_SERVER || l < load) {
			found = (int)i;
			load = l;
		}
	}
	return found;
}

/* The room that has the least left then: what is large is kept for others. */
static int tightest(const struct room *rooms, size_t n, const struct item *it)
{
	int found = NO_SERVER;
	double least = 0, left;

	for (size_t i = 0; i < n; i++) {
		if (!fits(rooms, i, it))
			continue;
		left = rooms[i].limit - rooms[i].churn;
		if (found == NO_SERVER || left < least) {
			found = (int)i;
			least = left;
		}
	}
	return found;
}

/* The room with the most churn left for each of its places. */
static int roomiest(const struct room *rooms, size_t n, const struct item *it)
{
	int found = NO_SERVER;
	double most = 0, each;

	for (size_t i = 0; i < n; i++) {
		if (!fits(rooms, i, it))
			continue;
		each = (rooms[i].limit - rooms[i].churn) /
		       (rooms[i].most - rooms[i].machines);
		if (found == NO_SERVER || each > most) {
			found = (int)i;
			most = each;
		}
	}
	return found;
}

static bool greedy(struct room *rooms, size_t nrooms, struct item *items,
		   size_t n,
		   int (*choose)(const struct room *rooms, size_t n,
				 const struct item *it))
{
	size_t i;

	for (i = 0; i < n; i++) {
		items[i].to = choose(rooms, nrooms, &items[i]);
		if (items[i].to == NO_SERVER)
			break;
		put(&rooms[items[i].to], &items[i]);
	}
	if (i == n)
		return true;
	while (i-- > 0)
		take(&rooms[items[i].to], &items[i]);
	return false;
}

struct search {
	struct room *rooms;
	size_t nrooms;
	struct item *items;
	size_t n;
	unsigned long steps;
};

/* Two rooms that are alike now: trying one of them is enough. */
static bool alike(const struct room *a, const struct room *b)
{
	return a->churn == b->churn && a->limit == b->limit &&
	       a->power == b->power && a->machines == b->machines &&
	       a->most == b->most;
}

static bool tried_alike(const struct search *s, const int *tried, size_t n,
			size_t room)
{
	for (size_t i = 0; i < n; i++) {
		if (alike(&s->rooms[tried[i]], &s->rooms[room]))
			return true;
	}
	return false;
}

/* The untried room with the lowest load; NO_SERVER when there is none. */
static int next_room(const struct search *s, const struct item *it,
		     const int *tried, size_t n)
{
	int found = NO_SERVER;
	double load = 0, l;

	for (size_t i = 0; i < s->nrooms; i++) {
		if (!fits(s->rooms, i, it) || tried_alike(s, tried, n, i))
			continue;
		l = load_with(&s->rooms[i], it);
		if (found == NO_SERVER || l < load) {
			found = (int)i;
			load = l;
		}
	}
	return found;
}

/* At most SEARCH_ITEMS deep. */
static bool descend(struct search *s, size_t at) /* NOLINT(misc-no-recursion) */
{
	struct item *it = &s->items[at];
	int tried[64];
	size_t n = 0;
	int room;

	if (at == s->n)
		return true;
	while (n < 64 && s->steps > 0) {
		room = next_room(s, it, tried, n);
		if (room == NO_SERVER)
			return false;
		s->steps--;
		put(&s->rooms[room], it);
		it->to = room;
		if (descend(s, at + 1))
			return true;
		take(&s->rooms[room], it);
		tried[n++] = room;
	}
	return false;
}

static int larger_first(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	if (x->churn != y->churn)
		return x->churn < y->churn ? 1 : -1;
	return x->machine < y->machine ? -1 : x->machine > y->machine;
}

/* Whether there could be room for all, by the sums. */
static bool possible(const struct room *rooms, size_t nrooms,
		     const struct item *items, size_t n)
{
	double free_churn = 0, churn = 0;
	size_t places = 0, i;

	for (i = 0; i < nrooms; i++) {
		if (rooms[i].machines >= rooms[i].most ||
		    rooms[i].churn > rooms[i].limit)
			continue;
		places += rooms[i].most - rooms[i].machines;
		free_churn += rooms[i].limit - rooms[i].churn;
	}
	for (i = 0; i < n; i++)
		churn += items[i].churn;
	return n <= places && churn <= free_churn;
}

bool place_all(struct room *rooms, size_t nrooms, struct item *items, size_t n)
{
	struct search s = {rooms, nrooms, items, n,
			   SEARCH_LOOKS / (nrooms + 1)};

	if (n == 0)
		return true;
	if (!possible(rooms, nrooms, items, n))
		return false;
	qsort(items, n, sizeof(*items), larger_first);
	if (greedy(rooms, nrooms, items, n, best) ||
	    greedy(rooms, nrooms, items, n, roomiest) ||
	    greedy(rooms, nrooms, items, n, tightest))
		return true;
	return n <= SEARCH_ITEMS && descend(&s, 0);
}
