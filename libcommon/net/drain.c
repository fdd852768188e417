#include "config.h"

#include "base/units.h"
#include "net/drain.h"

static const struct drain_look *look(const struct drain *d, unsigned i)
{
	return &d->looks[i % DRAIN_LOOKS];
}

void drain_see(struct drain *d, int64_t now, uint64_t bytes)
{
	if (d->n > 0 && now - look(d, d->n - 1)->at < DRAIN_EVERY_NS)
		return;
	/* Set back by a power loss: what was seen before tells nothing. */
	if (d->n > 0 && bytes < look(d, d->n - 1)->bytes)
		d->n = 0;
	d->looks[d->n++ % DRAIN_LOOKS] = (struct drain_look){now, bytes};
}

unsigned drain_wait_s(const struct drain *d, int64_t now, uint64_t bytes,
		      uint64_t excess)
{
	const struct drain_look *then;
	double rate, s;

	if (d->n == 0)
		return DRAIN_UNKNOWN_S;
	then = look(d, d->n > DRAIN_LOOKS ? d->n - DRAIN_LOOKS : 0);
	if (now - then->at < NS_PER_S || bytes < then->bytes)
		return DRAIN_UNKNOWN_S;
	rate = (double)(bytes - then->bytes) /
	       ((double)(now - then->at) / (double)NS_PER_S);
	if (rate > 0)
		s = (double)excess / rate + 1;
	else /* for so long: how much longer is a guess */
		s = (double)(now - then->at) / (double)NS_PER_S;
	if (rate <= 0 && s < DRAIN_UNKNOWN_S)
		s = DRAIN_UNKNOWN_S;
	return s < DRAIN_MIN_S	 ? DRAIN_MIN_S
	       : s > DRAIN_MAX_S ? DRAIN_MAX_S
				 : (unsigned)s;
}
