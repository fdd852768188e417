/*
 * How much of a disk, or of all disks of a machine, changes in each second. A
 * pass brings at once what changed since the pass before, so its bytes are
 * spread over the minutes since then; and a window is judged by its mean,
 * whatever the rule for samples is.
 */
#ifndef PS_HEALTH_CHURN_H
#define PS_HEALTH_CHURN_H

#include "health/disks.h"

/* The minutes up to `now`; [0] is now, [1] the one before. */
struct churn {
	int64_t now; /* minute since 1970 */
	uint64_t bytes[DISK_MINUTES];
	bool known[DISK_MINUTES];
};

void churn_clear(struct churn *c, int64_t minute);
/* Adds the minutes of a disk. */
void churn_add(struct churn *c, const struct disk_record *r);
/* Adds those of another one, of the same `now`. */
void churn_join(struct churn *c, const struct churn *other);

/*
 * Bytes per second in the `minutes` that end `ago` minutes ago. False when
 * less than two thirds of them are known, or they are not kept so long.
 */
bool churn_rate(const struct churn *c, unsigned ago, unsigned minutes,
		int64_t *ret);
/* Since when each such window has been over `limit`: seconds since 1970. */
int64_t churn_since(const struct churn *c, unsigned minutes, int64_t limit);

/*
 * The window in percent of the mean of all that is known before it. False
 * when that is less than an hour.
 */
bool churn_spike(const struct churn *c, unsigned minutes, int64_t *ret_percent,
		 int64_t *ret_before);

#endif
