/*
 * Figures by the minute, and how they are spread. A series grows at both ends
 * and knows minutes without a figure from those with zero.
 */
#ifndef PS_FLEET_SERIES_H
#define PS_FLEET_SERIES_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* A year: what a plan is made from. */
#define SERIES_MINUTES_MAX (366 * 1440)

struct series {
	int64_t first; /* minute since 1970 */
	size_t n, cap;
	float *v; /* NAN: none */
};

/*
 * Adds to the figure of a minute. -PS_DATA when the series would get longer
 * than a year.
 */
int series_add(struct series *s, int64_t minute, double value, struct err *e);
void series_free(struct series *s);
/* Minutes that have a figure, and their sum. */
size_t series_count(const struct series *s, double *sum);
/*
 * The figure that `percent` of the minutes do not exceed (nearest rank), of
 * those that have one; 0 for none. -1: out of memory.
 */
double series_percentile(const struct series *s, double percent);
/*
 * The largest sum of `minutes` in a row; a minute without a figure counts 0. A
 * series that is shorter is taken to go on in the same way.
 */
double series_most(const struct series *s, size_t minutes);

/*
 * The same in bounded memory, within 1 %: how often values of each magnitude
 * came.
 */
#define SPREAD_BUCKETS 2800 /* 1.01 ** 2800 is above 2 ** 40 */
struct spread {
	uint32_t n[SPREAD_BUCKETS];
	uint64_t count;
	double sum;
};

/* `times`: how often it came. */
void spread_add(struct spread *s, double value, uint32_t times);
double spread_percentile(const struct spread *s, double percent);

#endif
