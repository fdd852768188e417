/* Ways to measure churn; rows go to a stream as ps-plan(1) has them. */
#ifndef PS_PLAN_MEASURE_H
#define PS_PLAN_MEASURE_H

#include <stdio.h>

#include "fleet/profile.h"

struct measure {
	uint64_t interval, run_for; /* seconds; run_for 0: until a signal */
	bool changed;		    /* changed blocks, too */
	/* The line that names the columns goes first, when there is something
	 * to measure at all. */
	bool header;
};

/* The disks of this machine. -PS_UNAVAILABLE: writes cannot be traced here. */
int measure_here(struct profile *p, const struct measure *m, FILE *out,
		 struct err *e);
/* What agents bring into a cache. */
int measure_cache(const char *cache, const struct measure *m, FILE *out,
		  struct err *e);
/*
 * What they brought in the last four hours, as ps-health wrote down. -PS_DATA:
 * nothing, and nothing is printed.
 */
int measure_history(const char *state, bool header, FILE *out, struct err *e);

#endif
