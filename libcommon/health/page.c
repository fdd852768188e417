#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "health/page.h"
#include "health/plot.h"
#include "health/view.h"

static const char head[] =
    "<!DOCTYPE html>\n"
    "<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n"
    "<meta name=\"viewport\" content=\"width=device-width, "
    "initial-scale=1\"/>\n"
    "<title>Process server</title>\n<style>\n"
    ":root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#59636e;"
    "--line:#d1d9e0;--a:#0b61c4;--b:#a04900;--ok:#166b2d;--warn:#8a5300;"
    "--bad:#b3181f}\n"
    "@media(prefers-color-scheme:dark){:root{--bg:#14181d;--fg:#e6e9ed;"
    "--dim:#9aa4af;--line:#353c45;--a:#6cb2ff;--b:#ffa657;--ok:#5fd07f;"
    "--warn:#f0b44c;--bad:#ff7b72}}\n"
    "body{margin:0 auto;max-width:60rem;padding:1rem;background:var(--bg);"
    "color:var(--fg);font:16px/1.45 system-ui,sans-serif}\n"
    "h1{font-size:1.4rem;margin:.2rem 0}h2{font-size:1.1rem;"
    "margin:1.6rem 0 .4rem}p{margin:.3rem 0}.dim,figcaption,svg text{"
    "color:var(--dim);fill:var(--dim)}\n"
    ".ok{color:var(--ok)}.notice,.warning{color:var(--warn)}.critical,"
    ".unknown{color:var(--bad)}code{overflow-wrap:anywhere}\n"
    ".alert{border-left:4px solid;padding:.1rem .7rem;margin:.7rem 0}"
    ".alert>*{color:var(--fg)}.alert>b{color:inherit}\n"
    ".wide{overflow-x:auto}table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;padding:.25rem .6rem .25rem 0;border-bottom:1px "
    "solid var(--line);white-space:nowrap}td.n,th.n{text-align:right}\n"
    "figure{margin:.8rem 0}svg{width:100%;height:auto;display:block}"
    "svg text{font-size:12px}.grid{stroke:var(--line)}polyline{fill:none;"
    "stroke-width:2;stroke-linejoin:round}.c0{stroke:var(--a)}"
    ".c1{stroke:var(--b)}.k0{color:var(--a)}.k1{color:var(--b)}"
    ".k0:before,.k1:before{content:\"\\25a0  \"}\n"
    "@media(min-width:48rem){.plots{display:grid;grid-template-columns:1fr "
    "1fr;gap:0 1.5rem}}\n"
    "@media(max-width:47.9rem){svg text{font-size:18px}}\n"
    "</style></head><body>\n";

/* Words of others: a message of a store, the reason of a hold. */
static void put_text(const char *t, FILE *f)
{
	for (; *t != '\0'; t++) {
		if (*t == '<')
			fputs("&lt;", f);
		else if (*t == '&')
			fputs("&amp;", f);
		else if (*t == '>')
			fputs("&gt;", f);
		else if ((unsigned char)*t < ' ' || (unsigned char)*t > '~')
			fputc('?', f);
		else
			fputc(*t, f);
	}
}

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
	put_text(a->key, f);
	fputs(": ", f);
	put_text(a->what, f);
	fprintf(f, "</span><p class=\"dim\">since %s (%s); ", since, age);
	put_text(a->evidence, f);
	if (a->next[0] != '\0') {
		fputs("</p><p>Next: <code>", f);
		put_text(a->next, f);
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
	put_text(w->behind ? why_word(w->cause) : "not behind", f);
	fputs("</b>: ", f);
	put_text(w->what, f);
	fputs("</p>\n", f);
	if (w->evidence[0] != '\0') {
		fputs("<p class=\"dim\">", f);
		put_text(w->evidence, f);
		fputs("</p>\n", f);
	}
	if (m == NULL)
		return;
	why_line(w, m);
	fclose(m);
	text[strcspn(text, "\n")] = '\0';
	fputs("<p class=\"dim\">", f);
	put_text(text, f);
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
	fputs(head, f);
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
	fputs("</body></html>\n", f);
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
