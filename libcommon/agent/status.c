#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "agent/status.h"
#include "agent/view.h"
#include "agent/where.h"
#include "base/units.h"

/* ---- JSON ---- */

static json_t *json_time(int64_t ns)
{
	char text[TIME_TEXT];

	if (ns == 0)
		return json_null();
	format_time(ns, text);
	return json_string(text);
}

static json_t *json_lag(const struct view *v, const struct agent_point *p)
{
	if (p == NULL)
		return json_null();
	return json_integer(view_age_ns(v, p) / NS_PER_S);
}

static json_t *json_point(const struct agent_point *p)
{
	if (p == NULL)
		return json_null();
	return json_pack("{s:s, s:o, s:I, s:s}", "bookmark", p->bookmark,
			 "time", json_time(p->time_ns), "seq",
			 (json_int_t)p->seq, "consistency",
			 cons_name(p->consistency));
}

static json_t *json_lost(const struct agent_lost *l)
{
	if (l->n == 0)
		return json_null();
	return json_pack("{s:I, s:o, s:o, s:o}", "points", (json_int_t)l->n,
			 "first", json_point(&l->first), "last",
			 json_point(&l->last), "noticed",
			 json_time(l->noticed_ns));
}

static json_t *json_sending(const struct disk_view *d)
{
	if (!d->sending)
		return json_null();
	return json_pack("{s:s, s:I, s:I, s:I}", "state", d->report.state,
			 "bytes", (json_int_t)d->report.bytes, "rate",
			 (json_int_t)d->report.rate, "retry_after",
			 (json_int_t)d->report.retry_after);
}

/* Which stage of the pass under way holds it back. */
static json_t *json_limit(const struct disk_view *d)
{
	if (d->stage == NULL)
		return json_null();
	return json_pack("{s:s, s:s, s:f, s:i, s:f}", "cause",
			 why_word(d->limit), "stage", d->stage->name, "share",
			 d->stage->limits, "samples", (int)d->stage->samples,
			 "cpu", d->stage->cpu);
}

static json_t *json_disk(const struct view *v, const struct disk_view *d)
{
	const struct disk_state *st = d->st;

	return json_pack(
	    "{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:b, s:s, "
	    "s:o, s:o, s:o, s:o, s:o, s:I, s:s, s:o}",
	    "disk", st->name, "state", disk_word_name(d->word), "cause",
	    d->cause, "acknowledged", json_point(d->acked), "stored",
	    json_point(d->stored), "lag_seconds", json_lag(v, d->acked),
	    "stored_lag_seconds", json_lag(v, d->stored), "acknowledged_seq",
	    (json_int_t)st->acked_seq, "stored_seq", (json_int_t)st->stored_seq,
	    "backlog_bytes", (json_int_t)d->backlog, "size_bytes",
	    (json_int_t)st->size, "complete", (int)st->complete, "error",
	    st->error, "error_time",
	    json_time(st->error[0] != '\0' ? st->error_ns : 0), "next_pass",
	    json_time(v->running ? st->next_ns : 0), "under_way_since",
	    json_time(v->running ? st->under_way_ns : 0), "sending",
	    json_sending(d), "limited_by", json_limit(d), "scrub_found",
	    (json_int_t)st->missed, "identity", st->identity, "lost_points",
	    json_lost(&st->lost));
}

/* What was learned from the configuration server, or agent.yaml says. */
static const char *server_of(const struct view *v, unsigned *port)
{
	const struct agent_place *p = &v->state->place;
	uint64_t n = v->conf->port;

	if (v->conf->config_host == NULL || p->host[0] == '\0') {
		*port = (unsigned)n;
		return v->conf->host != NULL ? v->conf->host : "unknown";
	}
	(void)parse_u64(p->port, 65535, &n);
	*port = (unsigned)n;
	return p->host;
}

static void print_json(const struct view *v, FILE *f)
{
	const struct agent_conf *c = v->conf;
	json_t *disks = json_array(), *root;
	struct disk_view d;
	unsigned i, port;
	const char *host = server_of(v, &port);
	char *text;

	for (i = 0; i < v->state->ndisks; i++) {
		view_disk(v, i, &d);
		json_array_append_new(disks, json_disk(v, &d));
	}
	root = json_pack(
	    "{s:s, s:s, s:i, s:b, s:I, s:s, s:s, s:b, s:s, s:o}", "machine",
	    c->machine, "server", host, "port", (int)port, "running",
	    (int)v->running, "interval_seconds", (json_int_t)c->interval_s,
	    "limits", v->state->limits, "server_error", v->state->place_error,
	    "disabled", (int)v->state->place.off, "state_error",
	    v->trouble != 0 ? strerror(v->trouble) : "", "disks", disks);
	text = root != NULL ? json_dumps(root, JSON_INDENT(2)) : NULL;
	fprintf(f, "%s\n", text != NULL ? text : "{}");
	free(text);
	json_decref(root);
}

/* ---- text ---- */

/* Whole seconds: nobody wants the rest. */
static void format_seconds(int64_t ns, char *out, size_t size)
{
	int64_t seconds = ns / NS_PER_S;

	format_duration((double)seconds, out, size);
}

static void age(const struct view *v, const struct agent_point *p, char *out,
		size_t size)
{
	if (p == NULL)
		snprintf(out, size, "-");
	else
		format_seconds(view_age_ns(v, p), out, size);
}

static void print_point(const struct view *v, const char *what,
			const struct agent_point *p, FILE *f)
{
	char text[TIME_TEXT], old[32];

	if (p == NULL)
		return;
	format_time(p->time_ns - p->time_ns % NS_PER_S, text);
	age(v, p, old, sizeof(old));
	fprintf(f, "    %-13s %s  %s  %s  %s ago\n", what, p->bookmark, text,
		cons_name(p->consistency), old);
}

static void print_lost(const struct agent_lost *l, FILE *f)
{
	char text[TIME_TEXT];

	if (l->n == 0)
		return;
	format_time(l->noticed_ns - l->noticed_ns % NS_PER_S, text);
	fprintf(f, "    lost          %u points, %s to %s, noticed %s\n", l->n,
		l->first.bookmark, l->last.bookmark, text);
}

static void print_disk(const struct view *v, const struct disk_view *d, FILE *f)
{
	const struct disk_state *st = d->st;
	char size[32], lag[32], stored[32], rate[32];

	format_size(d->backlog, size, sizeof(size));
	age(v, d->acked, lag, sizeof(lag));
	age(v, d->stored, stored, sizeof(stored));
	fprintf(f, "%-16s %-13s %-12s %-12s %s%s%s\n", st->name,
		disk_word_name(d->word), lag, stored, size,
		d->cause[0] != '\0' ? "  " : "", d->cause);
	print_point(v, "acknowledged", d->acked, f);
	print_point(v, "stored", d->stored, f);
	if (d->sending) {
		format_size(d->report.bytes, size, sizeof(size));
		format_size(d->report.rate, rate, sizeof(rate));
		fprintf(f, "    %-13s %s, %s/s\n",
			d->report.state[0] != '\0' ? d->report.state
						   : "sending",
			size, rate);
	}
	if (d->stage != NULL)
		fprintf(f,
			"    limited by    %s: %s in %.0f %% of %u samples\n",
			why_word(d->limit), d->stage->name,
			d->stage->limits * 100, d->stage->samples);
	if (v->running && st->under_way_ns == 0 && st->next_ns != 0 &&
	    st->word != WORD_PAUSED) {
		format_seconds(st->next_ns - v->now, lag, sizeof(lag));
		fprintf(f, "    next pass     in %s\n", lag);
	}
	if (st->missed > 0)
		fprintf(f,
			"    scrub         found %llu blocks that change "
			"lists had missed\n",
			(unsigned long long)st->missed);
	print_lost(&st->lost, f);
	if (st->error[0] != '\0')
		fprintf(f, "    error         %s\n", st->error);
}

static void print_text(const struct view *v, FILE *f)
{
	struct disk_view d;
	unsigned i, port;
	const char *host = server_of(v, &port);

	fprintf(f, "machine %s, process server %s:%u, agent %s\n",
		v->conf->machine, host, port,
		v->running ? "running" : "not running");
	if (v->trouble != 0) {
		char text[TIME_TEXT];

		format_time(v->saved_ns, text);
		fprintf(f,
			"THE STATE CANNOT BE SAVED (%s): what follows is of "
			"%s\n",
			strerror(v->trouble), text);
	}
	if (v->state->place.off)
		fprintf(f, "%s\n", WHERE_DISABLED);
	if (v->state->place_error[0] != '\0')
		fprintf(f, "where the process server is: %s\n",
			v->state->place_error);
	if (v->state->limits[0] != '\0')
		fprintf(f, "%s\n", v->state->limits);
	fprintf(f, "%-16s %-13s %-12s %-12s %s\n", "DISK", "STATE", "LAG",
		"STORED LAG", "BACKLOG");
	for (i = 0; i < v->state->ndisks; i++) {
		view_disk(v, i, &d);
		print_disk(v, &d, f);
	}
}

int status_print(const struct agent_conf *c, bool json, FILE *f, struct err *e)
{
	struct view v;
	int rc = view_open(&v, c, e);

	if (rc < 0)
		return rc;
	if (json)
		print_json(&v, f);
	else
		print_text(&v, f);
	view_close(&v);
	return 0;
}
