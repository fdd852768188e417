#include "config.h"

#include <math.h>
#include <string.h>

#include "base/chart.h"
#include "base/units.h"

/* Of the picture, in its own units; it is scaled to the width of the page. */
#define WIDTH 640
#define HEIGHT 170
#define LEFT 92
#define BOTTOM 24
#define TOP 10
#define SHORT 8 /* letters that always fit below */

/* A round number that nothing passes. */
static double top_of(const struct chart *p)
{
	static const double times[] = {60,   300,   900,   1800,
				       3600, 14400, 43200, 86400};
	double most = 0, top = 1024;
	unsigned c, i;

	if (p->unit == CHART_PERCENT)
		return 100;
	for (c = 0; c < p->n; c++)
		for (i = 0; i < CHART_STEPS; i++)
			if (p->v[c][i] > most) /* not for NAN */
				most = p->v[c][i];
	for (i = 0; p->unit == CHART_SECONDS && i < 8; i++) {
		top = times[i];
		if (top >= most)
			break;
	}
	while (top < most)
		top *= 2;
	return top;
}

static double x_of(unsigned step)
{
	return LEFT + (WIDTH - LEFT) * ((double)step + 0.5) / CHART_STEPS;
}

static double y_of(double v, double top)
{
	return TOP + (HEIGHT - TOP - BOTTOM) * (1 - v / top);
}

/* One line for each unbroken row of steps; a lonely one is a dot. */
static void curve(const double *v, double top, unsigned which, FILE *f)
{
	unsigned i, from;

	for (i = 0; i < CHART_STEPS; i++) {
		if (isnan(v[i]))
			continue;
		from = i;
		fprintf(f, "<polyline class=\"c%u\" points=\"", which);
		for (; i < CHART_STEPS && !isnan(v[i]); i++)
			fprintf(f, "%s%.1f,%.1f", i > from ? " " : "", x_of(i),
				y_of(v[i], top));
		if (i == from + 1)
			fprintf(f, " %.1f,%.1f", x_of(from) + 1.5,
				y_of(v[from], top));
		fputs("\"/>\n", f);
	}
}

static void label(const struct chart *p, double v, double top, FILE *f)
{
	char text[32];

	if (p->unit == CHART_PERCENT)
		snprintf(text, sizeof(text), "%.0f %%", v);
	else if (p->unit == CHART_SECONDS)
		format_duration(v, text, sizeof(text));
	else
		format_size((uint64_t)v, text, sizeof(text));
	fprintf(f,
		"<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" "
		"y2=\"%.1f\"/><text x=\"%d\" y=\"%.1f\" "
		"text-anchor=\"end\">%s%s</text>\n",
		LEFT, WIDTH, y_of(v, top), y_of(v, top), LEFT - 6,
		y_of(v, top) + 4, text, p->unit == CHART_RATE ? "/s" : "");
}

static void words_below(const struct chart *p, FILE *f)
{
	for (unsigned i = 0; i < 5; i++)
		fprintf(f,
			"<text%s x=\"%.0f\" y=\"%d\" text-anchor=\"%s\">"
			"%s</text>\n",
			/* Long ones have no room on a phone. */
			i % 2 == 1 && strlen(p->below[i]) > SHORT
			    ? " class=\"more\""
			    : "",
			LEFT + (WIDTH - LEFT) * i / 4.0, HEIGHT - 6,
			i == 0	 ? "start"
			: i == 4 ? "end"
				 : "middle",
			p->below[i]);
}

void chart_svg(const struct chart *p, FILE *f)
{
	double top = top_of(p);
	unsigned i;

	fprintf(f, "<figure><figcaption>%s", p->title);
	for (i = 0; i < p->n && p->n > 1; i++)
		fprintf(f, " <span class=\"k%u\">%s</span>", i, p->names[i]);
	fprintf(f,
		"</figcaption>\n<svg viewBox=\"0 0 %d %d\" role=\"img\" "
		"aria-label=\"%s, %s\">\n",
		WIDTH, HEIGHT, p->title, p->span);
	label(p, 0, top, f);
	label(p, top / 2, top, f);
	label(p, top, top, f);
	words_below(p, f);
	for (i = 0; i < p->n; i++)
		curve(p->v[i], top, i, f);
	fputs("</svg></figure>\n", f);
}
