#include "config.h"

#include <string.h>

#include "health/churn.h"

#define BEFORE_MIN 60
#define PERCENT_MAX 1000000

void churn_clear(struct churn *c, int64_t minute)
{
	memset(c, 0, sizeof(*c));
	c->now = minute;
}

/* Over the minutes from .. to. */
static void spread(struct churn *c, int from, int to, uint64_t bytes)
{
	int i;

	for (i = from; i < to; i++)
		c->bytes[i] += bytes / (unsigned)(to - from);
}

void churn_add(struct churn *c, const struct disk_record *r)
{
	struct disk_minute m;
	int i, before = 0; /* the first one behind the pass before, or of all */

	for (i = DISK_MINUTES - 1; i >= 0; i--) {
		if (!disk_minute(r, c->now - i, &m))
			continue;
		c->known[i] = true;
		if (before == 0)
			before = i + 1;
		if (m.changed == 0)
			continue;
		spread(c, i, before, m.changed);
		before = i;
	}
}

void churn_join(struct churn *c, const struct churn *other)
{
	int i;

	for (i = 0; i < DISK_MINUTES; i++) {
		c->bytes[i] += other->bytes[i];
		c->known[i] |= other->known[i];
	}
}

/* Bytes of the minutes from .. to, and how many of them are known. */
static double sum(const struct churn *c, unsigned from, unsigned to,
		  unsigned *ret_known)
{
	double bytes = 0;

	*ret_known = 0;
	for (; from < to; from++) {
		bytes += (double)c->bytes[from];
		*ret_known += c->known[from];
	}
	return bytes;
}

bool churn_rate(const struct churn *c, unsigned ago, unsigned minutes,
		int64_t *ret)
{
	unsigned known;
	double bytes;

	if (minutes == 0 || minutes > DISK_MINUTES ||
	    ago > DISK_MINUTES - minutes)
		return false;
	bytes = sum(c, ago, ago + minutes, &known);
	if (known * 3 < minutes * 2)
		return false;
	*ret = (int64_t)(bytes / (minutes * 60.0));
	return true;
}

int64_t churn_since(const struct churn *c, unsigned minutes, int64_t limit)
{
	unsigned ago = 0;
	int64_t rate;

	while (churn_rate(c, ago, minutes, &rate) && rate > limit)
		ago++;
	/* The oldest window that was over it became so with its last minute. */
	return (c->now - (ago > 0 ? ago - 1 : 0)) * 60;
}

bool churn_spike(const struct churn *c, unsigned minutes, int64_t *ret_percent,
		 int64_t *ret_before)
{
	unsigned known;
	int64_t now;
	double before;

	if (!churn_rate(c, 0, minutes, &now))
		return false;
	before = sum(c, minutes, DISK_MINUTES, &known);
	if (known < BEFORE_MIN)
		return false;
	before /= known * 60.0;
	*ret_before = (int64_t)before;
	*ret_percent = before * PERCENT_MAX <= (double)now * 100
			   ? (now > 0 ? PERCENT_MAX : 0)
			   : (int64_t)((double)now * 100 / before);
	return true;
}
