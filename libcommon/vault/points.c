#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "vault/point.h"
#include "vault/tails.h"

/* The disks that were read, each with its last parts. */
struct sources {
	struct vault *v;
	const struct keyring *keys;
	struct tails *items;
	size_t n, cap;
};

/* A last part, and whose it is. */
struct part {
	const struct tails *disk;
	const struct tail *tail;
};

struct parts {
	struct part *items;
	size_t n;
};

/* A point while it is put together. */
struct group {
	struct point p;
	size_t cap;
};

struct groups {
	struct group *items;
	size_t n, cap;
};

static int no_memory(struct err *e)
{
	return err_sys(e, PS_TEMPFAIL, "list of points");
}

/* ---- reading the disks ---- */

static const struct tails *find_source(const struct sources *s,
				       const char *machine, const char *disk)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (strcmp(s->items[i].machine, machine) == 0 &&
		    strcmp(s->items[i].disk, disk) == 0)
			return &s->items[i];
	return NULL;
}

static int add_source(void *ctx, const char *machine, const char *disk,
		      struct err *e)
{
	struct sources *s = ctx;
	int rc;

	if (find_source(s, machine, disk) != NULL)
		return 0;
	if (s->n == s->cap) {
		size_t cap = 2 * s->cap + 8;
		struct tails *grown = realloc(s->items, cap * sizeof(*grown));

		if (grown == NULL)
			return no_memory(e);
		s->items = grown;
		s->cap = cap;
	}
	rc = tails_load(s->v, machine, disk, s->keys, &s->items[s->n], e);
	if (rc == 0)
		s->n++;
	return rc;
}

/* Disks of other machines that share a bookmark with those at hand. */
static int add_members(struct sources *s, struct err *e)
{
	size_t i, k;
	uint32_t m;
	int rc = 0;

	/* The array may move and grow: nothing is kept over a call. */
	for (i = 0; i < s->n; i++)
		for (k = 0; k < s->items[i].n; k++)
			for (m = 0; m < s->items[i].items[k].nmembers; m++) {
				struct seg_member who =
				    s->items[i].items[k].members[m];

				rc = add_source(s, who.machine, who.disk, e);
				if (rc < 0)
					return rc;
			}
	return 0;
}

static void free_sources(struct sources *s)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		tails_free(&s->items[i]);
	free(s->items);
}

/* ---- last parts ---- */

static int by_bookmark(const void *a, const void *b)
{
	const struct part *x = a, *y = b;
	int d = strcmp(x->tail->bookmark, y->tail->bookmark);

	if (d == 0)
		d = (x->tail->time > y->tail->time) -
		    (x->tail->time < y->tail->time);
	if (d == 0)
		d = strcmp(x->disk->machine, y->disk->machine);
	if (d == 0)
		d = strcmp(x->disk->disk, y->disk->disk);
	if (d == 0)
		d = (x->tail->cover.seq > y->tail->cover.seq) -
		    (x->tail->cover.seq < y->tail->cover.seq);
	return d;
}

/*
 * The object that stands for an end: of several (a merged one and what it
 * replaces) the one that a reader takes, else the first that can be read.
 */
static bool stands_for_end(const struct tails *t, size_t i)
{
	uint64_t seq = t->items[i].cover.seq;
	size_t first = i, used = tails_find(t, seq);

	if (t->items[i].damaged || !t->items[i].last_part)
		return false;
	if (used != TAIL_NONE)
		return used == i;
	while (first > 0 && t->items[first - 1].cover.seq == seq &&
	       !t->items[first - 1].damaged)
		first--;
	return first == i;
}

static int collect(const struct sources *s, struct parts *ret, struct err *e)
{
	struct parts all = {0};
	size_t i, k, most = 0;

	for (i = 0; i < s->n; i++)
		most += s->items[i].n;
	all.items = calloc(most + 1, sizeof(*all.items));
	if (all.items == NULL)
		return no_memory(e);
	for (i = 0; i < s->n; i++)
		for (k = 0; k < s->items[i].n; k++)
			if (stands_for_end(&s->items[i], k))
				all.items[all.n++] = (struct part){
				    &s->items[i], &s->items[i].items[k]};
	if (all.n > 0)
		qsort(all.items, all.n, sizeof(*all.items), by_bookmark);
	*ret = all;
	return 0;
}

/* ---- groups ---- */

static struct point_disk *find_disk(const struct point *p, const char *machine,
				    const char *disk)
{
	size_t i;

	for (i = 0; i < p->ndisks; i++)
		if (strcmp(p->disks[i].machine, machine) == 0 &&
		    strcmp(p->disks[i].disk, disk) == 0)
			return &p->disks[i];
	return NULL;
}

/* The disk in the point, added as missing if it is new. */
static struct point_disk *name_disk(struct group *g, const char *machine,
				    const char *disk)
{
	struct point *p = &g->p;
	struct point_disk *d = find_disk(p, machine, disk);

	if (d != NULL)
		return d;
	if (p->ndisks == g->cap) {
		size_t cap = 2 * g->cap + 2;

		d = realloc(p->disks, cap * sizeof(*d));
		if (d == NULL)
			return NULL;
		p->disks = d;
		g->cap = cap;
	}
	d = &p->disks[p->ndisks++];
	*d = (struct point_disk){0};
	snprintf(d->machine, sizeof(d->machine), "%s", machine);
	snprintf(d->disk, sizeof(d->disk), "%s", disk);
	return d;
}

/* Does the part name any disk that is in the group already? */
static bool names_any(const struct tail *t, const struct point *p)
{
	uint32_t i;

	for (i = 0; i < t->nmembers; i++) {
		const struct point_disk *d =
		    find_disk(p, t->members[i].machine, t->members[i].disk);

		if (d != NULL)
			return true;
	}
	return false;
}

/*
 * The point that a part belongs to, from the newest back: one that names its
 * disk, or whose disks it names. Where its disk is there already, its
 * bookmark's name is being used again.
 */
static struct group *group_of(struct groups *all, size_t begin,
			      const struct part *x)
{
	size_t i;

	for (i = all->n; i-- > begin;) {
		struct point *p = &all->items[i].p;
		const struct point_disk *d =
		    find_disk(p, x->disk->machine, x->disk->disk);

		if (d != NULL && d->seq != 0)
			return NULL;
		if (d != NULL || names_any(x->tail, p))
			return &all->items[i];
	}
	return NULL;
}

static struct group *new_group(struct groups *all, const struct part *x)
{
	struct group *g;

	if (all->n == all->cap) {
		size_t cap = 2 * all->cap + 16;

		g = realloc(all->items, cap * sizeof(*g));
		if (g == NULL)
			return NULL;
		all->items = g;
		all->cap = cap;
	}
	g = &all->items[all->n++];
	*g = (struct group){0};
	snprintf(g->p.id, sizeof(g->p.id), "%s", x->tail->bookmark);
	g->p.consistency = x->tail->consistency;
	g->p.authenticated = true;
	g->p.time = x->tail->time;
	g->p.change_time = x->tail->change_time;
	return g;
}

static int join(struct group *g, const struct part *x, struct err *e)
{
	const struct tail *t = x->tail;
	struct point *p = &g->p;
	struct point_disk *d;
	uint32_t i;

	for (i = 0; i < t->nmembers; i++)
		if (name_disk(g, t->members[i].machine, t->members[i].disk) ==
		    NULL)
			return no_memory(e);
	d = name_disk(g, x->disk->machine, x->disk->disk);
	if (d == NULL)
		return no_memory(e);
	d->seq = t->cover.seq;
	d->size = t->disk_size;
	d->covered = t->covered;
	p->sealed = p->sealed || t->sealed;
	p->unsealed = p->unsealed || !t->sealed;
	/* Beside sealed disks one that is not may come from anybody. */
	p->authenticated = p->authenticated && t->chain_authentic &&
			   !(p->sealed && p->unsealed);
	if (t->consistency < p->consistency)
		p->consistency = t->consistency;
	if (t->time > p->time)
		p->time = t->time;
	if (t->change_time > p->change_time)
		p->change_time = t->change_time;
	return 0;
}

static int put_together(const struct parts *parts, struct groups *ret,
			struct err *e)
{
	size_t i, begin = 0;

	for (i = 0; i < parts->n; i++) {
		const struct part *x = &parts->items[i];
		struct group *g;
		int rc;

		if (i > 0 && strcmp(x->tail->bookmark,
				    parts->items[i - 1].tail->bookmark) != 0)
			begin = ret->n;
		g = group_of(ret, begin, x);
		if (g == NULL)
			g = new_group(ret, x);
		rc = g == NULL ? no_memory(e) : join(g, x, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static void free_groups(struct groups *all)
{
	size_t i;

	for (i = 0; i < all->n; i++)
		free(all->items[i].p.disks);
	free(all->items);
}

/* ---- the list ---- */

static int by_disk(const void *a, const void *b)
{
	const struct point_disk *x = a, *y = b;
	int d = strcmp(x->machine, y->machine);

	return d != 0 ? d : strcmp(x->disk, y->disk);
}

static int by_time(const void *a, const void *b)
{
	const struct point *x = a, *y = b;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	if (strcmp(x->id, y->id) != 0)
		return strcmp(x->id, y->id);
	return by_disk(&x->disks[0], &y->disks[0]);
}

/* Does the point belong to this machine (NULL: any)? */
static bool of_machine(const struct point *p, const char *machine)
{
	size_t i;

	for (i = 0; i < p->ndisks; i++)
		if (machine == NULL ||
		    strcmp(p->disks[i].machine, machine) == 0)
			return true;
	return false;
}

static int take_groups(struct groups *all, const char *machine,
		       struct points *ret, struct err *e)
{
	size_t i, k;

	ret->items = calloc(all->n + 1, sizeof(*ret->items));
	if (ret->items == NULL)
		return no_memory(e);
	for (i = 0; i < all->n; i++) {
		struct point *p = &all->items[i].p;

		if (!of_machine(p, machine))
			continue;
		qsort(p->disks, p->ndisks, sizeof(*p->disks), by_disk);
		p->complete = true;
		for (k = 0; k < p->ndisks; k++)
			p->complete = p->complete && p->disks[k].covered;
		ret->items[ret->n++] = *p;
		p->disks = NULL;
	}
	if (ret->n > 0)
		qsort(ret->items, ret->n, sizeof(*ret->items), by_time);
	return 0;
}

static void count_damage(const struct sources *s, struct points *ret)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		const struct tails *t = &s->items[i];

		if (ret->damaged == 0 && t->damaged > 0)
			memcpy(ret->damage, t->damage, sizeof(ret->damage));
		ret->damaged += t->damaged;
	}
}

int points_list(struct vault *v, const char *machine,
		const struct keyring *keys, struct points *ret, struct err *e)
{
	struct sources s = {.v = v, .keys = keys};
	struct parts parts = {0};
	struct groups groups = {0};
	struct points p = {0};
	int rc = vault_disks(v, machine, add_source, &s, e);

	if (rc == 0)
		rc = add_members(&s, e);
	if (rc == 0)
		rc = collect(&s, &parts, e);
	if (rc == 0)
		rc = put_together(&parts, &groups, e);
	if (rc == 0)
		rc = take_groups(&groups, machine, &p, e);
	if (rc == 0) {
		count_damage(&s, &p);
		*ret = p;
	}
	free_groups(&groups);
	free(parts.items);
	free_sources(&s);
	return rc;
}

void points_free(struct points *p)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		free(p->items[i].disks);
	free(p->items);
	*p = (struct points){0};
}

/* ---- choosing ---- */

/* Is the disk there, and one of those that are asked for? */
static bool is_meant(const struct point_disk *d, const char *machine,
		     const char *disk)
{
	return d->seq != 0 &&
	       (machine == NULL || strcmp(d->machine, machine) == 0) &&
	       (disk == NULL || strcmp(d->disk, disk) == 0);
}

/* Does the point hold what is asked for? */
static bool holds(const struct point *p, const char *machine, const char *disk)
{
	size_t i;

	for (i = 0; i < p->ndisks; i++)
		if (is_meant(&p->disks[i], machine, disk))
			return true;
	return false;
}

static bool fits(const struct point *p, const char *what, int64_t at)
{
	if (what == NULL)
		return p->complete && (at == 0 || p->time <= at);
	if (strcmp(what, "latest") == 0)
		return p->complete;
	if (strcmp(what, "latest-app") == 0)
		return p->complete && p->consistency == SEG_CONSISTENCY_APP;
	return strcmp(p->id, what) == 0;
}

/*
 * Was `a` taken after `b`? The sequences of a disk that is in both tell: the
 * clock of a source may have gone back. Without such a disk only time does.
 */
static bool later(const struct point *a, const struct point *b,
		  const char *machine, const char *disk)
{
	size_t i;

	for (i = 0; i < a->ndisks; i++) {
		const struct point_disk *x = &a->disks[i], *y;

		if (!is_meant(x, machine, disk))
			continue;
		y = find_disk(b, x->machine, x->disk);
		if (y != NULL && y->seq != 0)
			return x->seq > y->seq;
	}
	return a->time >= b->time;
}

int points_choose(const struct points *p, const char *machine, const char *disk,
		  const char *what, int64_t at, const struct point **ret,
		  struct err *e)
{
	const struct point *best = NULL;
	char when[TIME_TEXT];
	size_t i;

	for (i = 0; i < p->n; i++)
		if (holds(&p->items[i], machine, disk) &&
		    fits(&p->items[i], what, at) &&
		    (best == NULL || what == NULL ||
		     later(&p->items[i], best, machine, disk)))
			best = &p->items[i];
	if (best != NULL) {
		*ret = best;
		return 0;
	}
	if (what == NULL && at != 0) {
		format_time(at, when);
		err_set(e, PS_NO, "no complete recovery point at or before %s",
			when);
	} else if (what == NULL || strcmp(what, "latest") == 0 ||
		   strcmp(what, "latest-app") == 0) {
		err_set(e, PS_NO, "no complete %srecovery point",
			what != NULL && strcmp(what, "latest-app") == 0
			    ? "application-consistent "
			    : "");
	} else {
		err_set(e, PS_NO, "no recovery point '%.80s'", what);
	}
	if (machine != NULL)
		err_prefix(e, "%s%s%s", machine, disk != NULL ? "/" : "",
			   disk != NULL ? disk : "");
	err_hint(e, "see what there is: ps-vault list VAULT");
	return -PS_NO;
}
