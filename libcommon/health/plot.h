/* A curve over time as inline SVG: no script, no network, no font. */
#ifndef PS_HEALTH_PLOT_H
#define PS_HEALTH_PLOT_H

#include <stdint.h>
#include <stdio.h>

#include "health/metric.h"

/* How the samples of one step of the curve become one value. */
enum plot_how { PLOT_MAX, PLOT_MIN, PLOT_MEAN };

struct plot_curve {
	enum metric metric;
	enum plot_how how;
	const char *name; /* in the legend */
};

struct plot {
	const char *title;
	/* Of the values on the left: bytes per second, seconds, percent. */
	enum { PLOT_RATE, PLOT_SECONDS, PLOT_PERCENT } unit;
	const struct plot_curve *curves;
	unsigned n; /* at most 2 */
};

/*
 * `samples` in order of time; the curve ends at `now` and spans so many hours.
 * Where there is no sample there is a gap.
 */
void plot_svg(const struct plot *p, const struct sample *samples, size_t n,
	      int64_t now, unsigned hours, FILE *f);

#endif
