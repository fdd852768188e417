#include "config.h"

#include <sys/random.h>

#include "agent/backoff.h"
#include "base/units.h"

#define FIRST_S 1

void backoff_fail(struct backoff *b, uint64_t least_s, uint64_t max_s)
{
	uint64_t wait = b->wait_s == 0 ? FIRST_S : b->wait_s;
	uint32_t r = 0;
	double ns;

	if (wait > max_s)
		wait = max_s;
	b->wait_s = 2 * wait;
	(void)getrandom(&r, sizeof(r), 0);
	/* Between 3/4 and 5/4: many agents must not march in step. */
	ns = (double)wait * NS_PER_S * (0.75 + (double)r / UINT32_MAX / 2);
	if (least_s > 0 && ns < (double)least_s * NS_PER_S)
		ns = (double)least_s * NS_PER_S *
		     (1 + (double)r / UINT32_MAX / 10);
	b->next = mono_now_ns() + (int64_t)ns;
}

void backoff_clear(struct backoff *b)
{
	*b = (struct backoff){0};
}
