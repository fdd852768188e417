#include "config.h"

#include <string.h>

#include "base/units.h"
#include "health/view.h"

int view_exit(const struct health *h)
{
	if (h->level == LEVEL_CRITICAL)
		return 2;
	if (!h->known)
		return 3;
	return h->level == LEVEL_WARNING ? 1 : 0;
}

const char *view_status(const struct health *h)
{
	static const char *const words[] = {"OK", "WARNING", "CRITICAL",
					    "UNKNOWN"};

	return words[view_exit(h)];
}

/* ---- for people ---- */

static void text_alert(const struct health *h, const struct alert *a, FILE *f)
{
	char since[TIME_TEXT], age[32];

	format_time(a->since * NS_PER_S, since);
	format_duration((double)(h->now - a->since), age, sizeof(age));
	fprintf(f, "%-8s %s", level_name(a->level), a->code);
	if (a->machine[0] != '\0')
		fprintf(f, " %s%s%s", a->machine, a->disk[0] != '\0' ? "/" : "",
			a->disk);
	fprintf(f, ": %s\n         since %s (%s); %s\n", a->what, since, age,
		a->evidence);
	if (a->acked_until > h->now) {
		format_time(a->acked_until * NS_PER_S, since);
		fprintf(f, "         acknowledged until %s\n", since);
	}
	if (a->next[0] != '\0')
		fprintf(f, "         next: %s\n", a->next);
}

static void text_figures(const struct sample *s, FILE *f)
{
	char pending[32] = "?", in[32] = "?", out[32] = "?";
	const int64_t *v = s->values;

	if (v[METRIC_PENDING_BYTES] != METRIC_UNKNOWN)
		format_size((uint64_t)v[METRIC_PENDING_BYTES], pending,
			    sizeof(pending));
	if (v[METRIC_INGEST_RATE] != METRIC_UNKNOWN)
		format_size((uint64_t)v[METRIC_INGEST_RATE], in, sizeof(in));
	if (v[METRIC_STORE_RATE] != METRIC_UNKNOWN)
		format_size((uint64_t)v[METRIC_STORE_RATE], out, sizeof(out));
	if (v[METRIC_CPU] != METRIC_UNKNOWN)
		fprintf(f, "processors %lld %%, ", (long long)v[METRIC_CPU]);
	if (v[METRIC_MEMORY] != METRIC_UNKNOWN)
		fprintf(f, "memory %lld %%, ", (long long)v[METRIC_MEMORY]);
	if (v[METRIC_CACHE_FREE] != METRIC_UNKNOWN)
		fprintf(f, "cache %lld %% free, ",
			(long long)v[METRIC_CACHE_FREE]);
	fprintf(f, "%s pending, in %s/s, stored %s/s\n", pending, in, out);
}

void view_text(const struct health *h, FILE *f)
{
	size_t i;

	fprintf(f, "%s", view_status(h));
	if (h->n > 0)
		fprintf(f, ": %zu alert%s", h->n, h->n == 1 ? "" : "s");
	fputc('\n', f);
	if (h->newest.time != 0)
		text_figures(&h->newest, f);
	for (i = 0; i < h->n; i++)
		text_alert(h, &h->alerts[i], f);
}

/* ---- Nagios ---- */

/* One of the figures with its thresholds: label=value[unit];warn;crit */
static void perf(const struct rules *rules, const char *rule_name,
		 enum metric m, const char *unit, const struct sample *s,
		 FILE *f)
{
	const struct rule *r = rules_find(rules, rule_name);
	const char *range = r != NULL && r->below ? ":" : "";

	if (s->values[m] == METRIC_UNKNOWN)
		return;
	fprintf(f, " %s=%lld%s", metric_name(m), (long long)s->values[m], unit);
	if (r == NULL)
		return;
	fputc(';', f);
	if (r->warning != RULE_NONE)
		fprintf(f, "%lld%s", (long long)r->warning, range);
	fputc(';', f);
	if (r->critical != RULE_NONE)
		fprintf(f, "%lld%s", (long long)r->critical, range);
}

/* The bar begins the figures: no other may be in the text. */
static void put_plain(const char *text, FILE *f)
{
	for (; *text != '\0'; text++)
		fputc(*text == '|' ? '/' : *text, f);
}

static void nagios_alert(const struct alert *a, FILE *f)
{
	if (a->machine[0] != '\0')
		fprintf(f, "%s%s%s ", a->machine, a->disk[0] != '\0' ? "/" : "",
			a->disk);
	put_plain(a->what, f);
	fprintf(f, " (%s)", a->code);
}

int view_nagios(const struct health *h, const struct rules *rules, FILE *f)
{
	size_t i;

	fprintf(f, "%s: ", view_status(h));
	if (h->n == 0)
		fputs("process server is healthy", f);
	else
		nagios_alert(&h->alerts[0], f);
	if (h->n > 1)
		fprintf(f, " and %zu more", h->n - 1);
	fputs(" |", f);
	perf(rules, "cpu", METRIC_CPU, "%", &h->newest, f);
	perf(rules, "memory", METRIC_MEMORY, "%", &h->newest, f);
	perf(rules, "cache-free", METRIC_CACHE_FREE, "%", &h->newest, f);
	perf(rules, "", METRIC_PENDING_BYTES, "B", &h->newest, f);
	perf(rules, "", METRIC_INGEST_RATE, "", &h->newest, f);
	perf(rules, "", METRIC_STORE_RATE, "", &h->newest, f);
	fputc('\n', f);
	for (i = 1; i < h->n; i++) {
		fprintf(f, "%s: ", level_name(h->alerts[i].level));
		nagios_alert(&h->alerts[i], f);
		fputc('\n', f);
	}
	return view_exit(h);
}

/* ---- Prometheus ---- */

static void gauge(FILE *f, const char *name, const char *help)
{
	fprintf(f, "# HELP ps_%s %s\n# TYPE ps_%s gauge\n", name, help, name);
}

struct writing {
	FILE *f;
	const struct health *h;
	const char *name;
	int64_t (*get)(const struct disk_record *r,
		       const struct disk_minute *m);
};

static int64_t get_lag(const struct disk_record *r, const struct disk_minute *m)
{
	(void)r;
	return m->lag;
}

static int64_t get_pending(const struct disk_record *r,
			   const struct disk_minute *m)
{
	(void)r;
	return (int64_t)m->pending;
}

static int64_t get_held(const struct disk_record *r,
			const struct disk_minute *m)
{
	(void)r;
	return (m->flags & DISK_HELD) != 0;
}

static int64_t get_accepted(const struct disk_record *r,
			    const struct disk_minute *m)
{
	(void)m;
	return (int64_t)r->accepted;
}

static int64_t get_stored(const struct disk_record *r,
			  const struct disk_minute *m)
{
	(void)m;
	return (int64_t)r->stored;
}

static int64_t get_changed(const struct disk_record *r,
			   const struct disk_minute *m)
{
	(void)m;
	return (int64_t)r->changed;
}

static int64_t get_crash_point(const struct disk_record *r,
			       const struct disk_minute *m)
{
	(void)m;
	return r->crash_point;
}

static int64_t get_app_point(const struct disk_record *r,
			     const struct disk_minute *m)
{
	(void)m;
	return r->app_point;
}

static int write_disk(void *ctx, const struct disk_record *r, struct err *e)
{
	const struct writing *w = ctx;
	struct disk_minute m;

	(void)e;
	if (disk_minute(r, r->seen / 60, &m))
		fprintf(w->f, "ps_%s{machine=\"%s\",disk=\"%s\"} %lld\n",
			w->name, r->machine, r->disk, (long long)w->get(r, &m));
	return 0;
}

static int prometheus_disks(const struct health *h, const struct disks *disks,
			    FILE *f, struct err *e)
{
	static const struct {
		const char *name, *help;
		int64_t (*get)(const struct disk_record *r,
			       const struct disk_minute *m);
	} all[] = {
	    {"disk_lag_seconds", "Since everything accepted was stored",
	     get_lag},
	    {"disk_pending_bytes", "Bytes of a disk that are not stored yet",
	     get_pending},
	    {"disk_held", "1 when the disk is on hold", get_held},
	    {"disk_accepted_sequence", "Last segment that was accepted",
	     get_accepted},
	    {"disk_stored_sequence", "Last segment that was stored",
	     get_stored},
	    {"disk_changed_bytes", "Changes of a disk accepted so far",
	     get_changed},
	    {"disk_crash_point_timestamp_seconds",
	     "Newest crash-consistent point; 0: none", get_crash_point},
	    {"disk_app_point_timestamp_seconds",
	     "Newest app-consistent point; 0: none", get_app_point},
	};
	struct writing w = {.f = f, .h = h};
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < sizeof(all) / sizeof(all[0]); i++) {
		gauge(f, all[i].name, all[i].help);
		w.name = all[i].name;
		w.get = all[i].get;
		rc = disks_each(disks, h->newest.time - DISK_GONE_S, write_disk,
				&w, e);
	}
	return rc;
}

static void prometheus_alerts(const struct health *h, FILE *f)
{
	size_t i;

	gauge(f, "alert", "1 for each alert, with its level");
	for (i = 0; i < h->n; i++) {
		const struct alert *a = &h->alerts[i];

		fprintf(f,
			"ps_alert{code=\"%s\",level=\"%s\",machine=\"%s\","
			"disk=\"%s\"} 1\n",
			a->code, level_name(a->level), a->machine, a->disk);
	}
}

int view_prometheus(const struct health *h, const struct disks *disks, FILE *f,
		    struct err *e)
{
	int m, rc = 0;

	for (m = 0; m < METRICS_SHOWN; m++) {
		if (h->newest.values[m] == METRIC_UNKNOWN)
			continue;
		gauge(f, metric_name(m), metric_help(m));
		fprintf(f, "ps_%s %lld\n", metric_name(m),
			(long long)h->newest.values[m]);
	}
	if (disks != NULL && h->newest.time != 0)
		rc = prometheus_disks(h, disks, f, e);
	prometheus_alerts(h, f);
	gauge(f, "health", "0 ok, 1 notice, 2 warning, 3 critical");
	fprintf(f, "ps_health %d\n", (int)h->level);
	gauge(f, "sample_timestamp_seconds", "Time of the newest sample");
	fprintf(f, "ps_sample_timestamp_seconds %lld\n",
		(long long)h->newest.time);
	return rc;
}
