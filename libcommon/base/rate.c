#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/rate.h"
#include "base/units.h"

#define BURST_NS (NS_PER_S / 4)

static void take(struct rate *r, uint64_t per_second, size_t n)
{
	int64_t now = mono_now_ns();
	struct timespec until;

	if (r->next < now - BURST_NS)
		r->next = now - BURST_NS;
	r->next += (int64_t)((double)n * NS_PER_S / (double)per_second);
	until.tv_sec = r->next / NS_PER_S;
	until.tv_nsec = r->next % NS_PER_S;
	while (r->next > now && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME,
						&until, NULL) == EINTR)
		;
}

void rate_take(struct rate *r, size_t n)
{
	/* In pieces: a new rate counts within a quarter of a second. */
	while (n > 0) {
		uint64_t per_second = atomic_load(&r->per_second);
		size_t piece = n;

		if (per_second == 0)
			return;
		if (piece > per_second / 4 + 1)
			piece = (size_t)(per_second / 4 + 1);
		take(r, per_second, piece);
		n -= piece;
	}
}

/* "20Mbit": false when the text ends in no "bit" or its figure is none. */
static bool bits(const char *text, size_t len, uint64_t *ret)
{
	static const char units[] = "kmg";
	char figure[32];
	const char *u;
	uint64_t factor = 1, v;

	if (len < 4 || len >= sizeof(figure) ||
	    strcmp(text + len - 3, "bit") != 0)
		return false;
	memcpy(figure, text, len - 3);
	figure[len - 3] = '\0';
	u = strchr(units, tolower((unsigned char)figure[len - 4]));
	if (u != NULL) {
		figure[len - 4] = '\0';
		for (u++; u > units; u--)
			factor *= 1000;
	}
	if (!parse_u64(figure, UINT64_MAX / factor, &v))
		return false;
	*ret = v * factor / 8;
	return true;
}

bool parse_rate(const char *text, uint64_t *ret)
{
	return bits(text, strlen(text), ret) || parse_size(text, ret);
}
