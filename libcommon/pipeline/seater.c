#include "config.h"

#include "pipeline/seater.h"

static int consider(void *ctx, const char *machine, const char *disk,
		    const struct cache_head *h, struct err *e)
{
	struct errands *r = ctx;
	struct errand *d;

	(void)e;
	if ((h->seated && !h->held) || (h->held && !r->holds))
		return 0;
	d = errand_due(r, machine, disk);
	if (d != NULL)
		d->held = h->held;
	return 0;
}

static void find(struct errands *r, struct cache *c)
{
	(void)cache_disks(c, NULL, consider, r, NULL);
}

static void plan(const struct errands *r, const struct errand *d,
		 struct plan *ret)
{
	plan_seat(r->in, d->machine, d->disk, ret);
}

static int ended(struct errands *r, const struct errand *d, bool well)
{
	if (!well)
		return -1;
	errand_say(r, d,
		   d->held ? "hold lifted, goes on from the vault's head"
			   : "seated at the vault's head");
	return d->held ? SEATER_HOLD_S : 0;
}

/* A vault may be far away. */
static const struct errand_kind seating = {2,	 300,  "could not be seated",
					   find, plan, ended};

void seater_init(struct errands *r, const struct plan_input *in,
		 enum seat_policy policy, errand_say_fn *say, void *ctx)
{
	errands_init(r, &seating, in, say, ctx);
	r->holds = policy == SEAT_AUTO;
}
