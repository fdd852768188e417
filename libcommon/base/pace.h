/*
 * A rate that follows the clock and the configuration: read once, set anew
 * when a rule of the schedule begins or ends, read again at SIGHUP. What is
 * under way goes on, at the new rate.
 */
#ifndef PS_BASE_PACE_H
#define PS_BASE_PACE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/hours.h"

struct pace_rates {
	uint64_t limit; /* bytes per second where no rule fits; 0: none */
	struct hours hours;
};

struct pace {
	/* Reads them; when that fails at SIGHUP the old ones stay. */
	int (*read)(void *ctx, struct pace_rates *ret, struct err *e);
	/* From now on this counts; called by one thread. */
	void (*set)(void *ctx, uint64_t per_second);
	void (*say)(void *ctx, const char *words);
	void *ctx;
	time_t (*clock)(void); /* NULL: that of the system */

	struct pace_rates rates;
	uint64_t now; /* that was set last */
	pthread_t thread;
	bool running;
	atomic_bool stop;
};

/* Reads the rates for the first time; p->now is the one that counts. */
int pace_read(struct pace *p, struct err *e);

/*
 * From here on SIGHUP waits to be taken, also where it was ignored. Called
 * before pace_read(), so that no change is missed, and before other threads
 * are made.
 */
void pace_listen(void);

/*
 * Follows the clock and SIGHUP in a thread of its own until pace_stop().
 * After pace_listen().
 */
int pace_start(struct pace *p, struct err *e);
void pace_stop(struct pace *p);

#endif
