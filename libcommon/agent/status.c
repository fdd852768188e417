#include "config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "agent/control.h"
#include "agent/report.h"
#include "agent/state.h"
#include "agent/status.h"
#include "base/units.h"

struct view {
	const struct agent_conf *conf;
	struct agent_state *state;
	int dirfd;
	bool running; /* an agent works */
	int64_t now;
};

/* One disk as it is now. */
struct disk_view {
	struct disk_state *st;
	const struct agent_point *acked, *stored; /* NULL: none known */
	const char *word;
	char cause[32];
	struct report report;
	bool sending; /* the report is of a pass under way */
};

static bool lock_held(int dirfd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = openat(dirfd, LOCK_FILE, O_RDWR | O_CLOEXEC);
	bool held;

	if (fd < 0)
		return false;
	held = fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
	close(fd);
	return held;
}

/* Behind: a pass takes longer than the interval, or the last one is old. */
static bool behind(const struct view *v, const struct disk_view *d)
{
	int64_t interval = (int64_t)v->conf->interval_s * NS_PER_S;

	if (v->running && d->st->under_way_ns != 0 &&
	    v->now - d->st->under_way_ns > interval)
		return true;
	return d->acked == NULL || v->now - d->acked->time_ns > 2 * interval;
}

static void look(const struct view *v, struct disk_state *st,
		 struct disk_view *d)
{
	enum disk_word word = st->word;
	char path[NAME_SIZE + 32];

	*d = (struct disk_view){.st = st};
	d->acked = st->npoints > 0 ? &st->points[st->npoints - 1] : NULL;
	d->stored = state_point_at(st, st->stored_seq);
	snprintf(d->cause, sizeof(d->cause), "%s", st->cause);
	snprintf(path, sizeof(path), "disks/%s/report.json", st->name);
	d->sending = v->running && st->under_way_ns != 0 &&
		     report_read(v->dirfd, path, &d->report);
	if (d->sending && strcmp(d->report.state, "waiting") == 0) {
		snprintf(d->cause, sizeof(d->cause), "%s", d->report.cause);
		word =
		    strcmp(d->cause, "held") == 0 ? WORD_HELD : WORD_THROTTLED;
	} else if (word == WORD_CONTINUOUS && behind(v, d)) {
		word = WORD_BACKLOG;
	}
	d->word = disk_word_name(word);
}

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
	return json_integer((v->now - p->time_ns) / NS_PER_S);
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

static json_t *json_sending(const struct disk_view *d)
{
	if (!d->sending)
		return json_null();
	return json_pack("{s:s, s:I, s:I, s:I}", "state", d->report.state,
			 "bytes", (json_int_t)d->report.bytes, "rate",
			 (json_int_t)d->report.rate, "retry_after",
			 (json_int_t)d->report.retry_after);
}

static json_t *json_disk(const struct view *v, const struct disk_view *d)
{
	const struct disk_state *st = d->st;

	return json_pack(
	    "{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:b, s:s, "
	    "s:o, s:o, s:o, s:o}",
	    "disk", st->name, "state", d->word, "cause", d->cause,
	    "acknowledged", json_point(d->acked), "stored",
	    json_point(d->stored), "lag_seconds", json_lag(v, d->acked),
	    "stored_lag_seconds", json_lag(v, d->stored), "acknowledged_seq",
	    (json_int_t)st->acked_seq, "stored_seq", (json_int_t)st->stored_seq,
	    "backlog_bytes", (json_int_t)st->backlog, "size_bytes",
	    (json_int_t)st->size, "complete", (int)st->complete, "error",
	    st->error, "error_time",
	    json_time(st->error[0] != '\0' ? st->error_ns : 0), "next_pass",
	    json_time(v->running ? st->next_ns : 0), "under_way_since",
	    json_time(v->running ? st->under_way_ns : 0), "sending",
	    json_sending(d));
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
		look(v, &v->state->disks[i], &d);
		json_array_append_new(disks, json_disk(v, &d));
	}
	root = json_pack("{s:s, s:s, s:i, s:b, s:I, s:s, s:o}", "machine",
			 c->machine, "server", host, "port", (int)port,
			 "running", (int)v->running, "interval_seconds",
			 (json_int_t)c->interval_s, "limits", v->state->limits,
			 "disks", disks);
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
		format_seconds(v->now - p->time_ns, out, size);
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

static void print_disk(const struct view *v, const struct disk_view *d, FILE *f)
{
	const struct disk_state *st = d->st;
	char size[32], lag[32], stored[32], rate[32];

	format_size(st->backlog, size, sizeof(size));
	age(v, d->acked, lag, sizeof(lag));
	age(v, d->stored, stored, sizeof(stored));
	fprintf(f, "%-16s %-13s %-12s %-12s %s%s%s\n", st->name, d->word, lag,
		stored, size, d->cause[0] != '\0' ? "  " : "", d->cause);
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
	if (v->running && st->under_way_ns == 0 && st->next_ns != 0 &&
	    st->word != WORD_PAUSED) {
		format_seconds(st->next_ns - v->now, lag, sizeof(lag));
		fprintf(f, "    next pass     in %s\n", lag);
	}
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
	if (v->state->limits[0] != '\0')
		fprintf(f, "%s\n", v->state->limits);
	fprintf(f, "%-16s %-13s %-12s %-12s %s\n", "DISK", "STATE", "LAG",
		"STORED LAG", "BACKLOG");
	for (i = 0; i < v->state->ndisks; i++) {
		look(v, &v->state->disks[i], &d);
		print_disk(v, &d, f);
	}
}

/* Disks of the configuration in its order, others are not shown. */
static int load(struct view *v, struct err *e)
{
	struct agent_state *old = calloc(1, sizeof(*old));
	struct control control = {-1, -1};
	unsigned i;
	int rc;

	v->state = calloc(1, sizeof(*v->state));
	if (old == NULL || v->state == NULL) {
		free(old);
		return err_set(e, PS_TEMPFAIL, "out of memory");
	}
	rc = state_read(old, v->dirfd, e);
	if (rc == 0)
		rc = control_open(&control, v->dirfd, e);
	memcpy(v->state->limits, old->limits, sizeof(old->limits));
	for (i = 0; rc == 0 && i < v->conf->ndisks; i++) {
		struct disk_state *st = &v->state->disks[v->state->ndisks++];
		const char *name = v->conf->disks[i].name;
		const struct disk_state *was = state_disk(old, name);

		if (was != NULL)
			*st = *was;
		snprintf(st->name, sizeof(st->name), "%s", name);
		if (control_paused(&control, name))
			st->word = WORD_PAUSED;
		else if (st->word == WORD_PAUSED)
			st->word = WORD_INITIATING;
	}
	control_close(&control);
	free(old);
	return rc;
}

int status_print(const struct agent_conf *c, bool json, FILE *f, struct err *e)
{
	struct view v = {.conf = c, .now = time_now_ns()};
	int rc;

	v.dirfd = open(c->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (v.dirfd < 0) {
		rc = err_sys(e, 0, "%s", c->state);
		err_hint(e, "no agent has run here yet: ps-agent once");
		return rc;
	}
	v.running = lock_held(v.dirfd);
	rc = load(&v, e);
	if (rc == 0 && json)
		print_json(&v, f);
	else if (rc == 0)
		print_text(&v, f);
	free(v.state);
	close(v.dirfd);
	return rc;
}
