#include "config.h"

#include <jansson.h>

#include "base/units.h"
#include "health/why.h"

static void eta_words(const struct why *w, char *out, size_t size)
{
	if (w->eta == WHY_NEVER)
		snprintf(out, size, "never at this rate");
	else if (w->eta == WHY_UNKNOWN)
		snprintf(out, size, "not known");
	else
		format_duration((double)w->eta, out, size);
}

static void rate_words(double rate, char *out, size_t size)
{
	char text[24];

	if (rate < 0) {
		snprintf(out, size, "?");
		return;
	}
	format_size((uint64_t)rate, text, sizeof(text));
	snprintf(out, size, "%s/s", text);
}

static void text_disks(const struct why *w, FILE *f)
{
	char size[32], lag[32];
	size_t i;

	fprintf(f, "%-20s %-12s %-13s %10s %9s  %s\n", "MACHINE", "DISK",
		"STATE", "BACKLOG", "LAG", "CAUSE");
	for (i = 0; i < w->n; i++) {
		const struct why_disk *d = &w->disks[i];

		format_size(d->backlog, size, sizeof(size));
		snprintf(lag, sizeof(lag), "-");
		if (d->lag > 0)
			format_duration((double)d->lag, lag, sizeof(lag));
		fprintf(f, "%-20s %-12s %-13s %10s %9s  %s\n", d->machine,
			d->disk, why_state_name(d->state), size, lag,
			d->cause != WHY_NOTHING ? why_word(d->cause) : "-");
	}
}

void why_text(const struct why *w, FILE *f)
{
	char backlog[32], lag[32], in[32], out[32], eta[32];

	fprintf(f, "%s: %s\n", w->behind ? why_word(w->cause) : "not behind",
		w->what);
	if (w->evidence[0] != '\0')
		fprintf(f, "  because: %s\n", w->evidence);
	if (w->behind && w->next[0] != '\0')
		fprintf(f, "  next: %s\n", w->next);
	format_size(w->backlog, backlog, sizeof(backlog));
	format_duration((double)w->lag, lag, sizeof(lag));
	rate_words(w->intake, in, sizeof(in));
	rate_words(w->drain, out, sizeof(out));
	eta_words(w, eta, sizeof(eta));
	fprintf(f,
		"  backlog %s, lag %s; comes %s, goes %s; caught up in: %s\n",
		backlog, lag, in, out, eta);
	if (w->n > 0)
		text_disks(w, f);
}

void why_line(const struct why *w, FILE *f)
{
	char now[TIME_TEXT], backlog[32], lag[32], in[32], out[32], eta[32];

	format_time(w->now * NS_PER_S, now);
	format_size(w->backlog, backlog, sizeof(backlog));
	format_duration((double)w->lag, lag, sizeof(lag));
	rate_words(w->intake, in, sizeof(in));
	rate_words(w->drain, out, sizeof(out));
	eta_words(w, eta, sizeof(eta));
	fprintf(f,
		"%s %s backlog %s, lag %s, comes %s, goes %s, caught up in: "
		"%s\n",
		now, w->behind ? why_word(w->cause) : "ok", backlog, lag, in,
		out, eta);
}

#define BAR 20

static void stage_line(const struct why_stage *s, FILE *f)
{
	double fill =
	    s->queue_size > 0 ? (double)s->queue / (double)s->queue_size : 0;
	char bar[BAR + 1];
	int i;

	for (i = 0; i < BAR; i++)
		bar[i] = fill * BAR > i ? '#' : '.';
	bar[BAR] = '\0';
	fprintf(f, "  %-12s [%s] %4.0f %% cpu, limits in %3.0f %%\n", s->name,
		s->queue_size > 0 ? bar : "       cache        ", s->cpu * 100,
		s->limits * 100);
}

void why_stages(const struct why *w, FILE *f)
{
	unsigned i, k;

	for (i = 0; i < w->nfollowers; i++) {
		const struct why_follower *o = &w->followers[i];

		fprintf(f, "%s: %s%s%s\n", o->name,
			o->running	? "running"
			: o->supervised ? "waits to start again"
					: "stopped",
			o->cause[0] != '\0' ? ", " : "", o->cause);
		for (k = 0; k < o->n; k++)
			stage_line(&o->stages[k], f);
	}
}

static json_t *json_rate(double v)
{
	return v < 0 ? json_null() : json_integer((json_int_t)v);
}

static json_t *json_disk(const struct why_disk *d)
{
	return json_pack(
	    "{s:s s:s s:s s:s s:I s:I s:I s:I s:o}", "machine", d->machine,
	    "disk", d->disk, "state", why_state_name(d->state), "cause",
	    why_word(d->cause), "backlog_bytes", (json_int_t)d->backlog,
	    "lag_seconds", (json_int_t)d->lag, "accepted",
	    (json_int_t)d->accepted, "stored", (json_int_t)d->stored,
	    "silent_seconds",
	    d->silent < 0 ? json_null() : json_integer((json_int_t)d->silent));
}

static json_t *json_follower(const struct why_follower *f)
{
	json_t *stages = json_array();
	unsigned i;

	for (i = 0; i < f->n; i++) {
		const struct why_stage *s = &f->stages[i];

		json_array_append_new(
		    stages,
		    json_pack("{s:s s:f s:f s:f s:f s:I s:I s:i}", "stage",
			      s->name, "cpu", s->cpu, "limits", s->limits,
			      "starved", s->starved, "blocked", s->blocked,
			      "queue", (json_int_t)s->queue, "queue_size",
			      (json_int_t)s->queue_size, "samples",
			      (int)s->samples));
	}
	return json_pack("{s:s s:b s:b s:o s:s s:s s:s s:I s:I s:f}", "name",
			 f->name, "supervised", (int)f->supervised, "running",
			 (int)f->running, "stages", stages, "upload", f->state,
			 "upload_cause", f->cause, "upload_error", f->error,
			 "rate", (json_int_t)f->rate, "limit_rate",
			 (json_int_t)f->limit, "latency_ms", f->latency_ms);
}

int why_json(const struct why *w, FILE *f, struct err *e)
{
	json_t *disks = json_array(), *followers = json_array(), *root;
	char eta[32];
	size_t i;
	int rc = 0;

	for (i = 0; i < w->n; i++)
		json_array_append_new(disks, json_disk(&w->disks[i]));
	for (i = 0; i < w->nfollowers; i++)
		json_array_append_new(followers,
				      json_follower(&w->followers[i]));
	eta_words(w, eta, sizeof(eta));
	root = json_pack(
	    "{s:b s:s s:s s:s s:s s:o s:i s:I s:I s:o s:o s:o s:s s:o s:o}",
	    "behind", (int)w->behind, "cause", why_word(w->cause), "what",
	    w->what, "evidence", w->evidence, "next", w->next, "share",
	    w->share < 0 ? json_null() : json_real(w->share), "samples",
	    (int)w->samples, "backlog_bytes", (json_int_t)w->backlog,
	    "lag_seconds", (json_int_t)w->lag, "intake_bytes_per_second",
	    json_rate(w->intake), "drain_bytes_per_second", json_rate(w->drain),
	    "eta_seconds",
	    w->eta < 0 ? json_null() : json_integer((json_int_t)w->eta), "eta",
	    eta, "disks", disks, "followers", followers);
	if (root == NULL)
		rc = err_set(e, PS_TEMPFAIL, "no memory for the answer");
	else if (json_dumpf(root, f, JSON_INDENT(2) | JSON_REAL_PRECISION(4)) <
		 0)
		rc = err_sys(e, PS_IOERR, "standard output");
	json_decref(root);
	fputc('\n', f);
	return rc;
}
