#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "agent/state.h"
#include "base/durable.h"
#include "base/units.h"

#define STATE_VERSION 1

static const char *const words[] = {
    "initiating",   "initial sync", "continuous", "backlog",
    "rescan",	    "resync",	    "paused",	  "stalled",
    "disconnected", "throttled",    "held"};
static const char *const levels[] = {"none", "crash", "app"};

const char *disk_word_name(enum disk_word w)
{
	return words[w];
}

const char *cons_name(enum consistency_word c)
{
	return levels[c];
}

enum consistency_word cons_parse(const char *text)
{
	return strcmp(text, "app") == 0	    ? CONS_APP
	       : strcmp(text, "crash") == 0 ? CONS_CRASH
					    : CONS_NONE;
}

/* ---- writing ---- */

static json_t *point_json(const struct agent_point *p)
{
	return json_pack("{s:s, s:I, s:I, s:s}", "bookmark", p->bookmark,
			 "time_ns", (json_int_t)p->time_ns, "seq",
			 (json_int_t)p->seq, "consistency",
			 cons_name(p->consistency));
}

static json_t *lost_json(const struct agent_lost *l)
{
	return json_pack("{s:I, s:o, s:o, s:I}", "n", (json_int_t)l->n, "first",
			 point_json(&l->first), "last", point_json(&l->last),
			 "noticed_ns", (json_int_t)l->noticed_ns);
}

static json_t *disk_json(const struct disk_state *d)
{
	json_t *points = json_array();
	unsigned i;

	for (i = 0; i < d->npoints; i++)
		json_array_append_new(points, point_json(&d->points[i]));
	return json_pack(
	    "{s:s, s:s, s:s, s:I, s:s, s:I, s:I, s:b, s:s, s:o, s:o, s:I, s:I, "
	    "s:I, s:I, s:b, s:I, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:o}",
	    "disk", d->name, "state", disk_word_name(d->word), "error",
	    d->error, "error_ns", (json_int_t)d->error_ns, "cause", d->cause,
	    "next_ns", (json_int_t)d->next_ns, "under_way_ns",
	    (json_int_t)d->under_way_ns, "complete", (int)d->complete, "base",
	    d->base, "pending", point_json(&d->pending), "points", points,
	    "acked_seq", (json_int_t)d->acked_seq, "stored_seq",
	    (json_int_t)d->stored_seq, "backlog", (json_int_t)d->backlog,
	    "size", (json_int_t)d->size, "alone", (int)d->alone, "missed",
	    (json_int_t)d->missed, "identity", d->identity, "host", d->host,
	    "anew", (int)d->anew, "own_seq", (json_int_t)d->own_seq,
	    "rival_seq", (json_int_t)d->rival_seq, "rivals",
	    (json_int_t)d->rivals, "unrivalled", (json_int_t)d->unrivalled,
	    "lost", lost_json(&d->lost));
}

int state_write(const struct agent_state *s, int dirfd, struct err *e)
{
	json_t *disks = json_array(), *root;
	char *text = NULL;
	unsigned i;
	int rc;

	for (i = 0; i < s->ndisks; i++)
		json_array_append_new(disks, disk_json(&s->disks[i]));
	root = json_pack(
	    "{s:i, s:b, s:I, s:I, s:s, s:{s:s, s:s, s:s, s:b, s:I, s:s}, s:o}",
	    "version", STATE_VERSION, "frozen", (int)s->frozen, "app_ns",
	    (json_int_t)s->app_ns, "bookmark_ns", (json_int_t)s->bookmark_ns,
	    "limits", s->limits, "server", "name", s->place.name, "host",
	    s->place.host, "port", s->place.port, "off", (int)s->place.off,
	    "app", (json_int_t)s->place.app_s, "error", s->place_error, "disks",
	    disks);
	if (root != NULL)
		text = json_dumps(root, JSON_INDENT(1));
	json_decref(root);
	if (text == NULL)
		return err_set(e, PS_TEMPFAIL, "%s: out of memory", STATE_FILE);
	rc = durable_write(dirfd, STATE_FILE, text, strlen(text), 0600,
			   DURABLE_REPLACE, e);
	free(text);
	return rc;
}

/* ---- reading ---- */

static void text_of(const json_t *o, const char *key, char *out, size_t size)
{
	const char *text = json_string_value(json_object_get(o, key));

	snprintf(out, size, "%s", text != NULL ? text : "");
}

static int64_t number_of(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static void point_of(const json_t *o, struct agent_point *p)
{
	char level[8];

	text_of(o, "bookmark", p->bookmark, sizeof(p->bookmark));
	text_of(o, "consistency", level, sizeof(level));
	p->consistency = cons_parse(level);
	p->time_ns = number_of(o, "time_ns");
	p->seq = (uint64_t)number_of(o, "seq");
}

static void lost_of(const json_t *o, struct agent_lost *l)
{
	l->n = (unsigned)number_of(o, "n");
	point_of(json_object_get(o, "first"), &l->first);
	point_of(json_object_get(o, "last"), &l->last);
	l->noticed_ns = number_of(o, "noticed_ns");
}

static void disk_of(const json_t *o, struct disk_state *d)
{
	const json_t *points = json_object_get(o, "points");
	char word[16];
	unsigned i;

	text_of(o, "disk", d->name, sizeof(d->name));
	text_of(o, "state", word, sizeof(word));
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i], word) == 0)
			d->word = (enum disk_word)i;
	text_of(o, "error", d->error, sizeof(d->error));
	d->error_ns = number_of(o, "error_ns");
	text_of(o, "cause", d->cause, sizeof(d->cause));
	d->next_ns = number_of(o, "next_ns");
	d->under_way_ns = number_of(o, "under_way_ns");
	d->complete = json_is_true(json_object_get(o, "complete"));
	d->alone = json_is_true(json_object_get(o, "alone"));
	text_of(o, "base", d->base, sizeof(d->base));
	point_of(json_object_get(o, "pending"), &d->pending);
	for (i = 0; i < json_array_size(points) && i < STATE_POINTS; i++)
		point_of(json_array_get(points, i), &d->points[d->npoints++]);
	d->acked_seq = (uint64_t)number_of(o, "acked_seq");
	d->stored_seq = (uint64_t)number_of(o, "stored_seq");
	d->backlog = (uint64_t)number_of(o, "backlog");
	d->size = (uint64_t)number_of(o, "size");
	d->missed = (uint64_t)number_of(o, "missed");
	text_of(o, "identity", d->identity, sizeof(d->identity));
	text_of(o, "host", d->host, sizeof(d->host));
	d->anew = json_is_true(json_object_get(o, "anew"));
	d->own_seq = (uint64_t)number_of(o, "own_seq");
	d->rival_seq = (uint64_t)number_of(o, "rival_seq");
	d->rivals = (uint64_t)number_of(o, "rivals");
	d->unrivalled = (uint64_t)number_of(o, "unrivalled");
	lost_of(json_object_get(o, "lost"), &d->lost);
}

static json_t *load(int dirfd, struct err *e)
{
	int fd = openat(dirfd, STATE_FILE, O_RDONLY | O_CLOEXEC);
	json_error_t why;
	json_t *root;

	if (fd < 0) {
		err_sys(e, 0, STATE_FILE);
		return NULL;
	}
	root = json_loadfd(fd, JSON_REJECT_DUPLICATES, &why);
	close(fd);
	if (root == NULL || number_of(root, "version") != STATE_VERSION) {
		json_decref(root);
		err_set(e, PS_DATA, "%s: damaged, or of another version",
			STATE_FILE);
		err_hint(e, "the agent sets it aside when it begins: only the "
			    "names of points are lost");
		return NULL;
	}
	return root;
}

int state_read(struct agent_state *s, int dirfd, struct err *e)
{
	const json_t *disks, *place;
	struct err why = {0};
	json_t *root;
	size_t i;

	memset(s, 0, sizeof(*s));
	root = load(dirfd, &why);
	if (root == NULL && why.sys == ENOENT)
		return 0;
	if (root == NULL) {
		if (e != NULL)
			*e = why;
		return -why.code;
	}
	s->frozen = json_is_true(json_object_get(root, "frozen"));
	s->app_ns = number_of(root, "app_ns");
	s->bookmark_ns = number_of(root, "bookmark_ns");
	text_of(root, "limits", s->limits, sizeof(s->limits));
	place = json_object_get(root, "server");
	text_of(place, "name", s->place.name, sizeof(s->place.name));
	text_of(place, "host", s->place.host, sizeof(s->place.host));
	text_of(place, "port", s->place.port, sizeof(s->place.port));
	s->place.off = json_is_true(json_object_get(place, "off"));
	s->place.app_s = (uint64_t)number_of(place, "app");
	text_of(place, "error", s->place_error, sizeof(s->place_error));
	disks = json_object_get(root, "disks");
	for (i = 0; i < json_array_size(disks) && i < AGENT_DISKS; i++)
		disk_of(json_array_get(disks, i), &s->disks[s->ndisks++]);
	json_decref(root);
	return 0;
}

/* ---- points ---- */

struct disk_state *state_disk(struct agent_state *s, const char *name)
{
	unsigned i;

	for (i = 0; i < s->ndisks; i++)
		if (strcmp(s->disks[i].name, name) == 0)
			return &s->disks[i];
	return NULL;
}

const struct agent_point *state_point_at(const struct disk_state *d,
					 uint64_t seq)
{
	unsigned i = d->npoints;

	while (i > 0 && d->points[i - 1].seq > seq)
		i--;
	return i > 0 ? &d->points[i - 1] : NULL;
}

static void drop(struct disk_state *d, unsigned at)
{
	memmove(&d->points[at], &d->points[at + 1],
		(--d->npoints - at) * sizeof(d->points[0]));
}

unsigned state_points_lose(struct disk_state *d, uint64_t from, int64_t now_ns)
{
	unsigned i = d->npoints, n;

	while (i > 0 && d->points[i - 1].seq >= from)
		i--;
	n = d->npoints - i;
	if (n > 0)
		d->lost = (struct agent_lost){.n = n,
					      .first = d->points[i],
					      .last = d->points[d->npoints - 1],
					      .noticed_ns = now_ns};
	d->npoints = i;
	return n;
}

void state_point_add(struct disk_state *d, const struct agent_point *p)
{
	unsigned i;

	while (d->npoints >= 2 && d->points[1].seq <= d->stored_seq)
		drop(d, 0);
	if (d->npoints == STATE_POINTS)
		for (i = 1; i < STATE_POINTS / 4; i++)
			drop(d, i);
	d->points[d->npoints++] = *p;
}
