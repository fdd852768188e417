#include "config.h"

#include <math.h>

#include "base/chart.h"
#include "health/plot.h"

static void gather(const struct plot_curve *c, const struct sample *samples,
		   size_t n, int64_t begin, int64_t span,
		   double ret[CHART_STEPS])
{
	unsigned count[CHART_STEPS] = {0};
	size_t i;

	for (i = 0; i < CHART_STEPS; i++)
		ret[i] = NAN;
	for (i = 0; i < n; i++) {
		int64_t v = samples[i].values[c->metric];
		int64_t at = (samples[i].time - begin) * CHART_STEPS / span;

		if (v == METRIC_UNKNOWN || samples[i].time < begin ||
		    at >= CHART_STEPS)
			continue;
		if (count[at]++ == 0)
			ret[at] = (double)v;
		else if (c->how == PLOT_MEAN)
			ret[at] += (double)v;
		else if (c->how == PLOT_MAX ? (double)v > ret[at]
					    : (double)v < ret[at])
			ret[at] = (double)v;
	}
	for (i = 0; i < CHART_STEPS && c->how == PLOT_MEAN; i++)
		if (count[i] > 0)
			ret[i] /= count[i];
}

void plot_svg(const struct plot *p, const struct sample *samples, size_t n,
	      int64_t now, unsigned hours, FILE *f)
{
	static const enum chart_unit units[] = {CHART_RATE, CHART_SECONDS,
						CHART_PERCENT};
	int64_t span = (int64_t)hours * 3600;
	struct chart c = {.title = p->title, .unit = units[p->unit], .n = p->n};
	char words[24];
	unsigned i;

	snprintf(words, sizeof(words), "%u hours", hours);
	c.span = words;
	for (i = 0; i < p->n; i++) {
		c.names[i] = p->curves[i].name;
		gather(&p->curves[i], samples, n, now - span + 1, span, c.v[i]);
	}
	for (i = 0; i < 4; i++)
		snprintf(c.below[i], sizeof(c.below[i]), "-%u h",
			 hours - hours * i / 4);
	snprintf(c.below[4], sizeof(c.below[4]), "now");
	chart_svg(&c, f);
}
