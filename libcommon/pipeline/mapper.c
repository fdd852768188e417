#include "config.h"

#include <string.h>
#include <sys/wait.h>

#include "base/units.h"
#include "cache/follower.h"
#include "cache/mapfile.h"
#include "pipeline/mapper.h"

struct looking {
	struct errands *r;
	struct cache *c;
};

/*
 * A map is of the head that the server tells. So what the cache still holds
 * has to be in a vault first: a source without a map sends nothing, and
 * the chain stores the rest meanwhile. These vaults have all.
 */
static unsigned have_all(const struct looking *l, const struct mapfile_state *s)
{
	const struct plan_input *in = l->r->in;
	const struct cache_head *h = &s->head;
	struct follower_at at;
	unsigned i, set = 0;

	if (!h->seated || h->held || h->seq == 0)
		return 0;
	for (i = 0; i < in->nvaults; i++)
		if (follower_at(l->c, s->machine, s->disk, in->vaults[i].name,
				&at, NULL) > 0 &&
		    at.begun && at.at.seq == h->seq)
			set |= 1u << i;
	return set;
}

/* After each failure the next one of the set. */
static const struct plan_vault *choose(const struct errands *r,
				       const struct errand *d)
{
	unsigned n = (unsigned)__builtin_popcount(d->vaults), i = 0, skip;

	for (skip = d->tries % n; (d->vaults >> i & 1) == 0 || skip > 0; i++)
		skip -= d->vaults >> i & 1;
	return &r->in->vaults[i];
}

static int consider(void *ctx, const struct mapfile_state *s, struct err *e)
{
	struct looking *l = ctx;
	struct errand *d;
	unsigned vaults;

	(void)e;
	if (s->have && !s->fits && !s->wanted)
		(void)cache_map_drop(l->c, s->machine, s->disk,
				     s->refused ? s->why : NULL, NULL);
	if (!s->wanted)
		return 0;
	if (time_now_ns() - s->seen > MAPFILE_NOBODY_S / 4 * NS_PER_S)
		(void)cache_map_seen(l->c, s->machine, s->disk, NULL);
	vaults = have_all(l, s);
	if (vaults == 0)
		return 0;
	d = errand_due(l->r, s->machine, s->disk);
	if (d != NULL) {
		d->seq = s->head.seq;
		d->vaults = vaults;
	}
	return 0;
}

static void find(struct errands *r, struct cache *c)
{
	struct looking l = {r, c};

	(void)cache_maps(c, NULL, consider, &l, NULL);
}

static void plan(struct errands *r, const struct errand *d, struct plan *ret)
{
	plan_map(r->in, choose(r, d), d->machine, d->disk, d->seq, ret);
}

/* Why ps-vault cannot ever make it, by its exit code; NULL: it may later. */
static const char *hopeless(const struct chain *c)
{
	int status = c->stages[0].status;

	if (!WIFEXITED(status))
		return NULL;
	if (WEXITSTATUS(status) == PS_NOPERM)
		return "sealed with a key that this server does not have";
	if (WEXITSTATUS(status) == PS_DATA)
		return "the vault's objects are damaged";
	if (WEXITSTATUS(status) == PS_NO)
		return "the vault has no unbroken chain that leads to it";
	return NULL;
}

static void refuse(struct errands *r, const struct errand *d, const char *why)
{
	struct cache *c;

	if (cache_open(&c, r->in->cache, NULL) < 0)
		return;
	(void)cache_map_drop(c, d->machine, d->disk, why, NULL);
	cache_close(c);
	errand_say(r, d, why);
}

static int ended(struct errands *r, const struct errand *d, bool well)
{
	bool last = d->tries + 1 >= (unsigned)__builtin_popcount(d->vaults);
	const char *why = well || !last ? NULL : hopeless(&r->chain);

	if (well)
		errand_say(r, d, "digest map made");
	if (why != NULL)
		refuse(r, d, why);
	return well || why != NULL ? 0 : -1;
}

/* Indexes of a large disk's whole chain are read. */
static const struct errand_kind mapping = {
    2, 3600, "no digest map could be made", find, plan, ended};

void mapper_init(struct errands *r, const struct plan_input *in,
		 errand_say_fn *say, void *ctx)
{
	errands_init(r, &mapping, in, say, ctx);
}
