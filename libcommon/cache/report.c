#include "config.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/units.h"
#include "cache/follower.h"
#include "cache/report.h"

struct report {
	struct cache *c;
	struct follower_list all;
	const char *disk; /* only this one */
	bool json;
	FILE *out;
	json_t *disks; /* when json */
	int64_t now;
	struct cache_health health;
	uint64_t segments, bytes;
	int64_t oldest; /* time of arrival; 0: nothing is there */
};

int cache_look(struct cache **ret, const char *dir, struct err *e)
{
	return cache_open_any(ret, dir, true, e);
}

/* A snapshot of one disk. */
struct view {
	struct folder_state s;
	uint64_t bytes;
	int64_t oldest;
	bool tallied;
	struct tally tally;
	struct cache_follower_view followers[HEAD_FOLLOWERS_MAX];
	unsigned n;
};

/* When a segment arrived; 0 when that is not to be had. */
static int64_t arrival(const struct folder *f, const struct view *v, size_t i)
{
	struct spool_info info;

	if (i >= v->s.list.n ||
	    spool_peek(f->dirfd, v->s.list.seqs[i], f->machine, f->disk, &info,
		       NULL) < 0)
		return 0;
	return info.time;
}

static int view_follower(const struct folder *f, struct view *v,
			 const char *name, struct err *e)
{
	const struct mark *at = head_position(&v->s.head, name);
	const struct head_refusal *r = head_refusal(&v->s.head, name);
	struct cache_follower_view *w = &v->followers[v->n++];
	struct spool_list rest = v->s.list;
	size_t i = 0;

	*w = (struct cache_follower_view){
	    .name = name, .begun = at != NULL, .held = r != NULL};
	w->seq = at != NULL ? at->seq : 0;
	w->reason = r != NULL ? r->reason : NULL;
	while (i < rest.n && rest.seqs[i] <= w->seq)
		i++;
	w->segments = rest.n - i;
	if (i == 0) { /* most often: all wait for all */
		w->bytes = v->bytes;
		w->oldest = v->oldest;
		return 0;
	}
	w->oldest = arrival(f, v, i);
	rest.seqs += i;
	rest.n -= i;
	return folder_bytes(f, &rest, &w->bytes, e);
}

static int read_view(struct folder *f, const struct follower_list *all,
		     struct view *v, struct err *e)
{
	unsigned i;
	int rc = folder_lock(f, false, e);

	*v = (struct view){0};
	if (rc < 0)
		return rc;
	rc = folder_state(f, &v->s, e);
	if (rc == 0) {
		rc = folder_bytes(f, &v->s.list, &v->bytes, e);
		v->oldest = arrival(f, v, 0);
		v->tallied = tally_read(f->dirfd, &v->tally);
		for (i = 0; i < all->n && rc == 0; i++)
			rc = view_follower(f, v, all->names[i], e);
		if (rc < 0)
			folder_state_free(&v->s);
	}
	folder_unlock(f);
	return rc;
}

struct viewing {
	cache_view_fn *fn;
	void *ctx;
	struct follower_list all;
};

static int show_view(void *ctx, struct folder *f, struct err *e)
{
	struct viewing *w = ctx;
	struct cache_disk_view d;
	struct view v;
	int rc = read_view(f, &w->all, &v, e);

	if (rc < 0)
		return rc;
	d = (struct cache_disk_view){.machine = f->machine,
				     .disk = f->disk,
				     .seated = v.s.seated,
				     .held = v.s.head.held,
				     .initial = v.s.initial,
				     .reason = v.s.head.reason,
				     .accepted = v.s.last.seq,
				     .stored = v.s.head.stored.seq,
				     .segments = v.s.list.n,
				     .bytes = v.bytes,
				     .oldest = v.oldest,
				     .tallied = v.tallied,
				     .tally = v.tally,
				     .followers = v.followers,
				     .nfollowers = v.n};
	rc = w->fn(w->ctx, &d, e);
	folder_state_free(&v.s);
	return rc;
}

int cache_views(struct cache *c, cache_view_fn *fn, void *ctx, struct err *e)
{
	struct viewing w = {.fn = fn, .ctx = ctx};
	int rc = follower_list(c, &w.all, e);

	return rc < 0 ? rc : folder_each(c, NULL, show_view, &w, e);
}

static double age_s(const struct report *r, int64_t time)
{
	return time < r->now ? (double)(r->now - time) / NS_PER_S : 0;
}

/* ---- as JSON ---- */

static json_t *json_mark(const struct mark *m)
{
	char hex[SHA256_HEX];

	hex_encode(m->digest, SHA256_LEN, hex);
	return json_pack("{s:I, s:s}", "seq", (json_int_t)m->seq, "digest",
			 hex);
}

static json_t *json_age(const struct report *r, int64_t time)
{
	return time == 0 ? json_null() : json_real(age_s(r, time));
}

/* A follower's place: sequence and digest, what waits, and its hold. */
static json_t *json_follower(const struct report *r, const struct view *v,
			     const struct cache_follower_view *w)
{
	const struct mark *at = head_position(&v->s.head, w->name);
	struct mark none = {0};
	json_t *o = json_mark(at != NULL ? at : &none);

	json_object_set_new(o, "segments",
			    json_integer((json_int_t)w->segments));
	json_object_set_new(o, "bytes", json_integer((json_int_t)w->bytes));
	json_object_set_new(o, "oldest_seconds", json_age(r, w->oldest));
	json_object_set_new(o, "held", json_boolean(w->held));
	json_object_set_new(o, "reason",
			    w->held ? json_string(w->reason) : json_null());
	return o;
}

static json_t *json_disk(const struct report *r, const struct folder *f,
			 const struct view *v)
{
	const struct head *h = &v->s.head;
	json_t *positions = json_object();
	unsigned i;

	for (i = 0; i < v->n; i++)
		json_object_set_new(positions, v->followers[i].name,
				    json_follower(r, v, &v->followers[i]));
	return json_pack(
	    "{s:s, s:s, s:b, s:b, s:s?, s:o, s:o, s:b, s:o, s:I, s:I, s:o}",
	    "machine", f->machine, "disk", f->disk, "seated", v->s.seated,
	    "held", h->held, "reason", h->held ? h->reason : NULL, "accepted",
	    json_mark(&v->s.last), "stored", json_mark(&h->stored), "initial",
	    v->s.initial, "followers", positions, "segments",
	    (json_int_t)v->s.list.n, "bytes", (json_int_t)v->bytes,
	    "oldest_seconds", json_age(r, v->oldest));
}

static int json_out(struct report *r, json_t *root, struct err *e)
{
	int rc = root == NULL ? -1 : json_dumpf(root, r->out, JSON_INDENT(2));

	json_decref(root);
	if (rc < 0)
		return err_sys(e, PS_IOERR, "standard output");
	fputc('\n', r->out);
	return 0;
}

/* ---- stat ---- */

static void state_words(const struct view *v, char *out, size_t size)
{
	unsigned i = 0;

	while (i < v->n && !v->followers[i].held)
		i++;
	if (v->s.head.held)
		snprintf(out, size, "on hold: %s", v->s.head.reason);
	else if (i < v->n)
		snprintf(out, size, "on hold for %s: %s", v->followers[i].name,
			 v->followers[i].reason);
	else if (!v->s.seated)
		snprintf(out, size, "waits to be seated");
	else
		snprintf(out, size, "%s",
			 v->s.initial ? "initial replication" : "ok");
}

static void print_disk(const struct report *r, const struct folder *f,
		       const struct view *v)
{
	char bytes[32], age[32] = "-", words[ACK_REASON_SIZE + NAME_SIZE + 16];

	format_size(v->bytes, bytes, sizeof(bytes));
	if (v->oldest != 0)
		format_duration(age_s(r, v->oldest), age, sizeof(age));
	state_words(v, words, sizeof(words));
	fprintf(r->out, "%-20s %-12s %10llu %10llu %8zu %10s %9s  %s\n",
		f->machine, f->disk, (unsigned long long)v->s.last.seq,
		(unsigned long long)v->s.head.stored.seq, v->s.list.n, bytes,
		age, words);
}

static int stat_disk(void *ctx, struct folder *f, struct err *e)
{
	struct report *r = ctx;
	struct view v;
	int rc = read_view(f, &r->all, &v, e);

	if (rc < 0)
		return rc;
	r->segments += v.s.list.n;
	r->bytes += v.bytes;
	if (v.oldest != 0 && (r->oldest == 0 || v.oldest < r->oldest))
		r->oldest = v.oldest;
	r->health.held += v.s.head.held || v.s.head.nrefusals > 0;
	r->health.unseated += !v.s.seated;
	if (r->json)
		json_array_append_new(r->disks, json_disk(r, f, &v));
	else
		print_disk(r, f, &v);
	folder_state_free(&v.s);
	return 0;
}

static int stat_json(struct report *r, unsigned percent, struct err *e)
{
	const struct cache_limits *l = &r->c->limits;
	json_t *names = json_array();
	unsigned i;

	for (i = 0; i < r->all.n; i++)
		json_array_append_new(names, json_string(r->all.names[i]));
	return json_out(
	    r,
	    json_pack(
		"{s:s, s:b, s:i, s:i, s:i, s:I, s:i, s:I, s:I, s:o, "
		"s:o, s:O}",
		"cache", r->c->path, "failed", r->c->failed, "free_percent",
		(int)percent, "keep_free_percent", (int)l->keep_free,
		"keep_free_initial_percent", (int)l->keep_free_initial,
		"disk_bytes_max", (json_int_t)l->disk_bytes, "stored_after",
		(int)l->stored_after, "segments", (json_int_t)r->segments,
		"bytes", (json_int_t)r->bytes, "oldest_seconds",
		json_age(r, r->oldest), "followers", names, "disks", r->disks),
	    e);
}

static void stat_text(struct report *r, unsigned percent)
{
	char bytes[32], age[32];
	unsigned i;

	format_size(r->bytes, bytes, sizeof(bytes));
	fprintf(r->out, "%llu segments, %s, %u %% free",
		(unsigned long long)r->segments, bytes, percent);
	if (r->oldest != 0) {
		format_duration(age_s(r, r->oldest), age, sizeof(age));
		fprintf(r->out, ", oldest %s", age);
	}
	fputs("\nfollowers:", r->out);
	for (i = 0; i < r->all.n; i++)
		fprintf(r->out, " %s", r->all.names[i]);
	fputs(r->all.n == 0 ? " none" : "", r->out);
	if (r->c->limits.stored_after != 0 && r->all.n > 1)
		fprintf(r->out, ", stored after %u of %u",
			r->c->limits.stored_after, r->all.n);
	fputs("\n", r->out);
	if (r->c->failed)
		fputs("FAILED: stable storage did not confirm a write\n",
		      r->out);
}

int cache_report_stat(struct cache *c, bool json, FILE *out,
		      struct cache_health *ret, struct err *e)
{
	struct report r = {
	    .c = c, .json = json, .out = out, .now = time_now_ns()};
	unsigned percent = 0;
	int rc = follower_list(c, &r.all, e);

	if (rc == 0)
		rc = cache_free_percent(c, &percent, e);
	if (rc < 0)
		return rc;
	r.disks = json ? json_array() : NULL;
	r.health.failed = c->failed;
	if (!json)
		fprintf(out, "%-20s %-12s %10s %10s %8s %10s %9s  %s\n",
			"MACHINE", "DISK", "ACCEPTED", "STORED", "SEGMENTS",
			"BYTES", "OLDEST", "STATE");
	rc = folder_each(c, NULL, stat_disk, &r, e);
	if (rc == 0 && json)
		rc = stat_json(&r, percent, e);
	else if (rc == 0)
		stat_text(&r, percent);
	json_decref(r.disks);
	if (rc == 0)
		*ret = r.health;
	return rc;
}

/* ---- list ---- */

static const char *encoding_words(uint32_t encoding)
{
	static const char *const words[] = {"clear", "compressed", "sealed",
					    "compressed,sealed"};

	return words[encoding & (SEG_COMPRESSED | SEG_SEALED)];
}

static json_t *json_segment(const struct spool_info *i)
{
	const struct seg_header *h = &i->header;
	char arrived[TIME_TEXT], hex[SHA256_HEX];

	format_time(i->time, arrived);
	hex_encode(i->at.digest, SHA256_LEN, hex);
	return json_pack("{s:I, s:I, s:s, s:s, s:b, s:b, s:s, s:s, s:I, s:s}",
			 "seq", (json_int_t)h->seq, "first_seq",
			 (json_int_t)h->first_seq, "digest", hex, "kind",
			 h->kind == SEG_BASE ? "base" : "delta", "initial",
			 h->initial, "last_part", i->last_part, "bookmark",
			 h->bookmark, "encoding", encoding_words(h->encoding),
			 "bytes", (json_int_t)i->bytes, "arrived", arrived);
}

static void print_segment(const struct report *r, const struct folder *f,
			  const struct spool_info *i)
{
	char bytes[32], arrived[TIME_TEXT];

	format_size(i->bytes, bytes, sizeof(bytes));
	format_time(i->time / NS_PER_S * NS_PER_S, arrived);
	fprintf(r->out, "%-20s %-12s %10llu %-5s %10s  %s  %s%s\n", f->machine,
		f->disk, (unsigned long long)i->header.seq,
		i->header.kind == SEG_BASE ? "base" : "delta", bytes, arrived,
		encoding_words(i->header.encoding),
		i->last_part ? ", point" : "");
}

static void list_segment(struct report *r, struct folder *f, uint64_t seq,
			 json_t *array)
{
	struct spool_info info;
	struct err why = {0};
	int rc = spool_peek(f->dirfd, seq, f->machine, f->disk, &info, &why);

	if (rc == -PS_NOINPUT)
		return; /* acknowledged meanwhile */
	if (rc == 0 && r->json)
		json_array_append_new(array, json_segment(&info));
	else if (rc == 0)
		print_segment(r, f, &info);
	else if (r->json)
		json_array_append_new(array, json_pack("{s:I, s:s}", "seq",
						       (json_int_t)seq, "error",
						       why.msg));
	else
		fprintf(r->out, "%-20s %-12s %10llu %s\n", f->machine, f->disk,
			(unsigned long long)seq, why.msg);
}

static int list_disk(void *ctx, struct folder *f, struct err *e)
{
	struct report *r = ctx;
	json_t *array = NULL, *disk;
	struct view v;
	size_t i;
	int rc;

	if (r->disk != NULL && strcmp(r->disk, f->disk) != 0)
		return 0;
	rc = read_view(f, &r->all, &v, e);
	if (rc < 0)
		return rc;
	if (r->json)
		array = json_array();
	for (i = 0; i < v.s.list.n; i++)
		list_segment(r, f, v.s.list.seqs[i], array);
	if (r->json) {
		disk = json_disk(r, f, &v);
		json_object_set_new(disk, "segments", array);
		json_array_append_new(r->disks, disk);
	}
	folder_state_free(&v.s);
	return 0;
}

int cache_report_list(struct cache *c, const char *machine, const char *disk,
		      bool json, FILE *out, struct err *e)
{
	struct report r = {.c = c,
			   .disk = disk,
			   .json = json,
			   .out = out,
			   .now = time_now_ns()};
	int rc = follower_list(c, &r.all, e);

	if (rc < 0)
		return rc;
	r.disks = json ? json_array() : NULL;
	if (!json)
		fprintf(out, "%-20s %-12s %10s %-5s %10s  %-20s  %s\n",
			"MACHINE", "DISK", "SEQ", "KIND", "BYTES", "ARRIVED",
			"STORED AS");
	rc = folder_each(c, machine, list_disk, &r, e);
	if (rc == 0 && json)
		return json_out(&r, r.disks, e);
	json_decref(r.disks);
	return rc;
}
