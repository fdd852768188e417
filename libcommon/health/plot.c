#include "config.h"

#include "base/units.h"
#include "health/plot.h"

/* Of the picture, in its own units; it is scaled to the width of the page. */
#define WIDTH 640
#define HEIGHT 170
#define LEFT 92
#define BOTTOM 24
#define TOP 10
#define STEPS 288 /* values of a curve */

struct steps {
	double value[STEPS];
	unsigned count[STEPS];
};

static void gather(const struct plot_curve *c, const struct sample *samples,
		   size_t n, int64_t begin, int64_t span, struct steps *ret)
{
	size_t i;

	*ret = (struct steps){0};
	for (i = 0; i < n; i++) {
		int64_t v = samples[i].values[c->metric];
		int64_t at = (samples[i].time - begin) * STEPS / span;
		double *to;

		if (v == METRIC_UNKNOWN || samples[i].time < begin ||
		    at >= STEPS)
			continue;
		to = &ret->value[at];
		if (c->how == PLOT_MEAN)
			*to += (double)v;
		else if (ret->count[at] == 0 ||
			 (c->how == PLOT_MAX ? (double)v > *to
					     : (double)v < *to))
			*to = (double)v;
		ret->count[at]++;
	}
	for (i = 0; i < STEPS && c->how == PLOT_MEAN; i++)
		if (ret->count[i] > 0)
			ret->value[i] /= ret->count[i];
}

/* A round number that nothing passes. */
static double top_of(const struct plot *p, const struct steps *s)
{
	static const double times[] = {60,   300,   900,   1800,
				       3600, 14400, 43200, 86400};
	double most = 0, top = 1024;
	unsigned c, i;

	if (p->unit == PLOT_PERCENT)
		return 100;
	for (c = 0; c < p->n; c++)
		for (i = 0; i < STEPS; i++)
			if (s[c].count[i] > 0 && s[c].value[i] > most)
				most = s[c].value[i];
	for (i = 0; p->unit == PLOT_SECONDS && i < 8; i++) {
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
	return LEFT + (WIDTH - LEFT) * ((double)step + 0.5) / STEPS;
}

static double y_of(double v, double top)
{
	return TOP + (HEIGHT - TOP - BOTTOM) * (1 - v / top);
}

/* One line for each unbroken row of steps; a lonely one is a dot. */
static void curve(const struct steps *s, double top, unsigned which, FILE *f)
{
	unsigned i, from;

	for (i = 0; i < STEPS; i++) {
		if (s->count[i] == 0)
			continue;
		from = i;
		fprintf(f, "<polyline class=\"c%u\" points=\"", which);
		for (; i < STEPS && s->count[i] > 0; i++)
			fprintf(f, "%s%.1f,%.1f", i > from ? " " : "", x_of(i),
				y_of(s->value[i], top));
		if (i == from + 1)
			fprintf(f, " %.1f,%.1f", x_of(from) + 1.5,
				y_of(s->value[from], top));
		fputs("\"/>\n", f);
	}
}

static void label(const struct plot *p, double v, double top, FILE *f)
{
	char text[32];

	if (p->unit == PLOT_PERCENT)
		snprintf(text, sizeof(text), "%.0f %%", v);
	else if (p->unit == PLOT_SECONDS)
		format_duration(v, text, sizeof(text));
	else
		format_size((uint64_t)v, text, sizeof(text));
	fprintf(f,
		"<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" "
		"y2=\"%.1f\"/><text x=\"%d\" y=\"%.1f\" "
		"text-anchor=\"end\">%s</text>\n",
		LEFT, WIDTH, y_of(v, top), y_of(v, top), LEFT - 6,
		y_of(v, top) + 4, text);
}

static void hours_below(unsigned hours, FILE *f)
{
	unsigned i;

	for (i = 0; i <= 4; i++) {
		double x = LEFT + (WIDTH - LEFT) * i / 4.0;

		fprintf(f, "<text x=\"%.0f\" y=\"%d\" text-anchor=\"%s\">", x,
			HEIGHT - 6,
			i == 0	 ? "start"
			: i == 4 ? "end"
				 : "middle");
		if (i == 4)
			fputs("now</text>\n", f);
		else
			fprintf(f, "-%u h</text>\n", hours - hours * i / 4);
	}
}

void plot_svg(const struct plot *p, const struct sample *samples, size_t n,
	      int64_t now, unsigned hours, FILE *f)
{
	int64_t span = (int64_t)hours * 3600;
	struct steps s[2];
	unsigned i;
	double top;

	for (i = 0; i < p->n; i++)
		gather(&p->curves[i], samples, n, now - span + 1, span, &s[i]);
	top = top_of(p, s);
	fprintf(f, "<figure><figcaption>%s", p->title);
	for (i = 0; i < p->n && p->n > 1; i++)
		fprintf(f, " <span class=\"k%u\">%s</span>", i,
			p->curves[i].name);
	fprintf(f,
		"</figcaption>\n<svg viewBox=\"0 0 %d %d\" role=\"img\" "
		"aria-label=\"%s, %u hours\">\n",
		WIDTH, HEIGHT, p->title, hours);
	label(p, 0, top, f);
	label(p, top / 2, top, f);
	label(p, top, top, f);
	hours_below(hours, f);
	for (i = 0; i < p->n; i++)
		curve(&s[i], top, i, f);
	fputs("</svg></figure>\n", f);
}
