/* Curves as inline SVG: no script, no network, no font; for base/html.h. */
#ifndef PS_BASE_CHART_H
#define PS_BASE_CHART_H

#include <stdio.h>

#define CHART_STEPS 288 /* values of a curve */
#define CHART_CURVES 2

/* CHART_RATE: bytes a second */
enum chart_unit { CHART_RATE, CHART_SECONDS, CHART_PERCENT };

struct chart {
	const char *title; /* plain text, as all words here */
	const char *span;  /* "24 hours": for those who hear the page */
	enum chart_unit unit;
	unsigned n;
	const char *names[CHART_CURVES]; /* in the legend, when there are two */
	/* From left to right; NAN is a gap. */
	double v[CHART_CURVES][CHART_STEPS];
	char below[5][24]; /* words below, at equal distances */
};

void chart_svg(const struct chart *c, FILE *f);

#endif
