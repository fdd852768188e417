/* The report as one page: the same lines as the text, and curves. */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/chart.h"
#include "base/html.h"
#include "base/units.h"
#include "ps-plan.h"

#define CURVES_MAX 50 /* machines with a curve of their own */
#define MINUTE_NS (60 * NS_PER_S)

static const char css[] = "li{margin:.25rem 0}ul{padding-left:1.2rem}td.why{"
			  "white-space:normal;min-width:14rem}\n"
			  "@page{margin:15mm}@media print{.plots{display:"
			  "block}figure{break-inside:avoid}}\n";

/* ---- curves ---- */

/*
 * A curve of each step's mean, and of its highest minute where steps are
 * longer than that. `by`: what a figure of the series is divided by.
 */
static void curve_of(struct chart *c, const struct series *s, double by)
{
	for (size_t i = 0; i < CHART_STEPS; i++) {
		size_t from = i * s->n / CHART_STEPS;
		size_t to = (i + 1) * s->n / CHART_STEPS, known = 0;
		double sum = 0, most = 0;

		/* Less minutes than steps: each stands several times. */
		for (to = to > from ? to : from + 1; from < to; from++) {
			if (isnan(s->v[from]))
				continue;
			known++;
			sum += (double)s->v[from] / by;
			most = fmax(most, (double)s->v[from] / by);
		}
		c->v[0][i] = known > 0 ? most : NAN;
		c->v[1][i] = known > 0 ? sum / (double)known : NAN;
	}
	for (unsigned i = 0; i < 5; i++) {
		char t[TIME_TEXT];

		format_time((s->first + (int64_t)(s->n * i / 4)) * MINUTE_NS,
			    t);
		/* "11-20 10:00" of "2026-11-20T10:00:00Z" */
		snprintf(c->below[i], sizeof(c->below[i]), "%.5s %.5s", t + 5,
			 t + 11);
	}
}

static void put_rates(const char *title, const struct series *s, FILE *f)
{
	struct chart c = {.title = title,
			  .span = "all that was measured",
			  .unit = CHART_RATE,
			  .n = 2,
			  .names = {"highest minute", "mean"}};

	curve_of(&c, s, 60);
	chart_svg(&c, f);
}

static int put_rpo(const struct churn *c, const struct sizing_opts *o,
		   double bits, FILE *f, struct err *e)
{
	struct chart chart = {
	    .span = "all that was measured", .unit = CHART_SECONDS, .n = 1};
	char title[80];
	struct series s;

	if (sizing_rpo(&s, c, o, bits) < 0)
		return err_sys(e, PS_TEMPFAIL, "report");
	snprintf(title, sizeof(title), "RPO with %.1f Mbit/s", bits / 1e6);
	chart.title = title;
	curve_of(&chart, &s, 1);
	chart_svg(&chart, f);
	series_free(&s);
	return 0;
}

static void put_machines(const struct churn *c, FILE *f)
{
	size_t n = c->nmachines < CURVES_MAX ? c->nmachines : CURVES_MAX;

	fputs("<h2>Machines</h2>\n<div class=\"plots\">\n", f);
	for (size_t i = 0; i < n; i++)
		put_rates(c->machines[i].name, &c->machines[i].bytes, f);
	fputs("</div>\n", f);
	if (n < c->nmachines)
		fprintf(f, "<p class=\"dim\">The first %zu of %zu.</p>\n", n,
			c->nmachines);
}

/* ---- words ---- */

static int put_findings(const struct sizing *s, const struct churn *c,
			const struct sizing_opts *o,
			const struct plan_beside *b, FILE *f, struct err *e)
{
	char *text = NULL;
	size_t n = 0;
	FILE *m = open_memstream(&text, &n);

	if (m == NULL)
		return err_sys(e, PS_TEMPFAIL, "report");
	plan_findings(s, c, o, b, m);
	if (fclose(m) != 0) {
		free(text);
		return err_sys(e, PS_TEMPFAIL, "report");
	}
	fputs("<ul>\n", f);
	for (char *line, *rest = text; (line = strsep(&rest, "\n")) != NULL;) {
		if (*line == '\0')
			continue;
		fputs("<li>", f);
		html_text(line, f);
		fputs("</li>\n", f);
	}
	fputs("</ul>\n", f);
	free(text);
	return 0;
}

static void put_row(const char *cell, char cells[PLAN_CELLS][PLAN_CELL],
		    const char *verdict, FILE *f)
{
	fputs("<tr>", f);
	for (int i = 0; i < PLAN_CELLS; i++) {
		bool last = i == PLAN_CELLS - 1;

		fprintf(f, "<%s class=\"%s\">", cell,
			last	? verdict
			: i > 0 ? "n"
				: "");
		html_text(cells[i], f);
		fprintf(f, "</%s>", cell);
	}
	fputs("</tr>\n", f);
}

static void put_table(const struct sizing *s, const struct churn *c,
		      const struct sizing_opts *o, FILE *f)
{
	char cells[PLAN_CELLS][PLAN_CELL];

	plan_cells(NULL, NULL, o, cells);
	fputs("<div class=\"wide\"><table>\n", f);
	put_row("th", cells, "", f);
	for (size_t i = 0; i < c->nmachines; i++) {
		plan_cells(&s->machines[i], &c->machines[i], o, cells);
		put_row("td", cells,
			s->machines[i].why[0] == '\0' ? "ok why"
						      : "critical why",
			f);
	}
	fputs("</table></div>\n", f);
}

int plan_html(const struct sizing *s, const struct churn *c,
	      const struct sizing_opts *o, const struct plan_beside *b, FILE *f,
	      struct err *e)
{
	char now[TIME_TEXT];
	int rc;

	format_time(time_now_ns() / NS_PER_S * NS_PER_S, now);
	html_begin("Capacity plan", css, f);
	fprintf(f, "<h1>Capacity plan</h1>\n<p class=\"dim\">%s</p>\n", now);
	rc = put_findings(s, c, o, b, f, e);
	put_table(s, c, o, f);
	fputs("<h2>All machines</h2>\n<div class=\"plots\">\n", f);
	put_rates("Churn, without growth", &c->bytes, f);
	if (rc == 0)
		rc = put_rpo(
		    c, o, o->bandwidth > 0 ? o->bandwidth : s->need_all, f, e);
	fputs("</div>\n", f);
	put_machines(c, f);
	html_end(f);
	return rc;
}
