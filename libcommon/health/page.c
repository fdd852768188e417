#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/html.h"
#include "base/units.h"
#include "health/page.h"
#include "health/plot.h"
#include "health/view.h"

static const char *class_of(const struct health *h)
{
	static const char *const names[] = {"ok", "warning", "critical",
					    "unknown"};

	return names[view_exit(h)];
}

static void put_alert(const struct health *h, const struct alert *a, FILE *f)
{
	char since[TIME_TEXT], age[32];

	format_time(a->since * NS_PER_S, since);
	format_duration((double)(h->now - a->since), age, sizeof(age));
	fprintf(f, "<div class=\"alert %s\"><b>%s</b> <span>",
		level_name(a->level), level_name(a->level));
	html_text(a->key, f);
	fputs(": ", f);
	html_text(a->what, f);
	fprintf(f, "</span><p class=\"dim\">since %s (%s); ", since, age);
	html_text(a->evidence, f);
	if (a->next[0] != '\0') {
		fputs("</p><p>Next: <code>", f);
		html_text(a->next, f);
		fputs("</code>", f);
	}
	fputs("</p></div>\n", f);
}

static void put_why(const struct why *w, FILE *f)
{
	char *text = NULL;
	size_t n = 0;
	FILE *m = open_memstream(&text, &n);

	fputs("<h2>Why</h2>\n<p><b>", f);
	html_text(w->behind ? why_word(w->cause) : "not behind", f);
	fputs("</b>: ", f);
	html_text(w->what, f);
	fputs("</p>\n", f);
	if (w->evidence[0] != '\0') {
		fputs("<p class=\"dim\">", f);
		html_text(w->evidence, f);
		fputs("</p>\n", f);
	}
	if (m == NULL)
		return;
	why_line(w, m);
	fclose(m);
	text[strcspn(text, "\n")] = '\0';
	fputs("<p class=\"dim\">", f);
	html_text(text, f);
	fputs("</p>\n", f);
	free(text);
}

static void put_disks(const struct why *w, FILE *f)
{
	char size[32], lag[32];
	size_t i;

	fputs("<h2>Disks</h2>\n<div class=\"wide\"><table><tr><th>machine"
	      "</th><th>disk</th><th>state</th><th class=\"n\">backlog</th>"
	      "<th class=\"n\">lag</th><th>cause</th></tr>\n",
	      f);
	for (i = 0; i < w->n; i++) {
		const struct why_disk *d = &w->disks[i];

		format_size(d->backlog, size, sizeof(size));
		format_duration((double)d->lag, lag, sizeof(lag));
		fprintf(f,
			"<tr><td>%s</td><td>%s</td><td>%s</td>"
			"<td class=\"n\">%s</td><td class=\"n\">%s</td>"
			"<td>%s</td></tr>\n",
			d->machine, d->disk, why_state_name(d->state), size,
			d->lag > 0 ? lag : "-",
			d->cause != WHY_NOTHING ? why_word(d->cause) : "-");
	}
	fputs("</table></div>\n", f);
}

static void put_plots(const struct sample *samples, size_t n, int64_t now,
		      unsigned hours, FILE *f)
{
	static const struct plot_curve lag = {METRIC_PENDING_AGE, PLOT_MAX, ""},
				       room = {METRIC_CACHE_FREE, PLOT_MIN, ""};
	static const struct plot_curve rates[] = {
	    {METRIC_INGEST_RATE, PLOT_MEAN, "from sources"},
	    {METRIC_STORE_RATE, PLOT_MEAN, "into the vault"}};
	static const struct plot all[] = {
	    {"Lag", PLOT_SECONDS, &lag, 1},
	    {"Cache free", PLOT_PERCENT, &room, 1},
	    {"Bytes per second", PLOT_RATE, rates, 2}};
	size_t i;

	fprintf(f, "<h2>%u hours</h2>\n<div class=\"plots\">\n", hours);
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		plot_svg(&all[i], samples, n, now, hours, f);
	fputs("</div>\n", f);
}

static void put_page(const struct health *h, const struct why *w,
		     const struct sample *samples, size_t n, FILE *f)
{
	char now[TIME_TEXT];
	size_t i;

	format_time(h->now * NS_PER_S, now);
	html_begin("Process server", "", f);
	fprintf(f,
		"<h1 class=\"%s\">%s</h1>\n<p class=\"dim\">process server, "
		"%s</p>\n",
		class_of(h), view_status(h), now);
	for (i = 0; i < h->n; i++)
		put_alert(h, &h->alerts[i], f);
	put_why(w, f);
	put_plots(samples, n, h->now, 24, f);
	put_plots(samples, n, h->now, 72, f);
	put_disks(w, f);
	html_end(f);
}

int page_write(struct ring *ring, const struct disks *disks,
	       const struct rules *rules, const struct why *w, FILE *f,
	       struct err *e)
{
	struct sample *samples = calloc(RING_MINUTES, sizeof(*samples));
	struct health h;
	int rc;

	if (samples == NULL)
		return err_sys(e, PS_TEMPFAIL, "page");
	rc = check_run(ring, disks, rules, w->now, &h, e);
	if (rc == 0) {
		rc = ring_window(ring, w->now / 60 - RING_MINUTES + 1,
				 w->now / 60, samples, e);
		if (rc >= 0)
			put_page(&h, w, samples, (size_t)rc, f);
		health_free(&h);
	}
	free(samples);
	return rc < 0 ? rc : 0;
}
