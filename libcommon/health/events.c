#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/durable.h"
#include "base/io.h"
#include "base/units.h"
#include "health/events.h"

#define BOOK_FILE "alerts.json"
#define BOOK_MAX (8 * 1024 * 1024)

/* An alert that was there at the last look. */
struct entry {
	char key[ALERT_KEY_SIZE];
	char what[160];
	enum level level;
	int64_t acked_until;
	bool here; /* at this look */
};

struct book {
	struct entry *entries;
	size_t n;
	struct event *events;
	size_t nevents;
};

static const char *const kinds[] = {"raised", "changed", "acknowledged",
				    "cleared"};

const char *event_name(enum event_kind k)
{
	return kinds[k];
}

static int index_of(const char *word, const char *const *list, int n)
{
	int i;

	for (i = 0; i < n; i++)
		if (strcmp(word, list[i]) == 0)
			return i;
	return -1;
}

static int level_of(const char *word)
{
	int i;

	for (i = LEVEL_OK; i <= LEVEL_CRITICAL; i++)
		if (strcmp(word, level_name((enum level)i)) == 0)
			return i;
	return -1;
}

/* ---- entries and events in memory ---- */

static struct entry *find(const struct book *b, const char *key)
{
	size_t i;

	for (i = 0; i < b->n; i++)
		if (strcmp(b->entries[i].key, key) == 0)
			return &b->entries[i];
	return NULL;
}

static struct entry *add_entry(struct book *b, const char *key,
			       const char *what, enum level level)
{
	struct entry *more = realloc(b->entries, (b->n + 1) * sizeof(*more));
	struct entry *en;

	if (more == NULL)
		return NULL;
	b->entries = more;
	en = &b->entries[b->n++];
	*en = (struct entry){.level = level};
	snprintf(en->key, sizeof(en->key), "%s", key);
	snprintf(en->what, sizeof(en->what), "%s", what);
	return en;
}

/* Makes room by forgetting the oldest. */
static struct event *add_event(struct book *b)
{
	struct event *more;

	if (b->nevents == EVENTS_MAX) {
		b->nevents--;
		memmove(b->events, b->events + 1,
			b->nevents * sizeof(*b->events));
	} else {
		more = realloc(b->events, (b->nevents + 1) * sizeof(*more));
		if (more == NULL)
			return NULL;
		b->events = more;
	}
	return &b->events[b->nevents++];
}

static size_t happened(struct book *b, int64_t now, enum event_kind kind,
		       const struct entry *en)
{
	struct event *ev = add_event(b);

	if (ev == NULL)
		return 0;
	*ev = (struct event){.time = now, .kind = kind, .level = en->level};
	memcpy(ev->key, en->key, sizeof(ev->key));
	memcpy(ev->what, en->what, sizeof(ev->what));
	return 1;
}

static void forget_old(struct book *b, int64_t now)
{
	size_t old = 0;

	while (old < b->nevents && b->events[old].time < now - EVENTS_KEEP_S)
		old++;
	b->nevents -= old;
	memmove(b->events, b->events + old, b->nevents * sizeof(*b->events));
}

static size_t note_alert(struct book *b, struct alert *a, int64_t now)
{
	struct entry *en = find(b, a->key);
	size_t events = 0;

	if (en == NULL) {
		en = add_entry(b, a->key, a->what, a->level);
		if (en == NULL)
			return 0;
		events = happened(b, now, EVENT_RAISED, en);
	}
	snprintf(en->what, sizeof(en->what), "%s", a->what);
	if (en->level != a->level) {
		/* Who acknowledged a warning has not seen it critical. */
		if (a->level > en->level)
			en->acked_until = 0;
		en->level = a->level;
		events += happened(b, now, EVENT_CHANGED, en);
	}
	en->here = true;
	a->acked_until = en->acked_until;
	return events;
}

static size_t clear_gone(struct book *b, int64_t now)
{
	size_t i, kept = 0, events = 0;

	for (i = 0; i < b->n; i++) {
		if (b->entries[i].here)
			b->entries[kept++] = b->entries[i];
		else
			events +=
			    happened(b, now, EVENT_CLEARED, &b->entries[i]);
	}
	b->n = kept;
	return events;
}

size_t book_update(struct book *b, struct health *h)
{
	size_t i, events = 0;

	forget_old(b, h->now);
	for (i = 0; i < b->n; i++)
		b->entries[i].here = false;
	for (i = 0; i < h->n; i++)
		events += note_alert(b, &h->alerts[i], h->now);
	events += clear_gone(b, h->now);
	health_settle(h);
	return events;
}

size_t book_ack(struct book *b, const char *what, int64_t now, int64_t until)
{
	size_t i, n = 0, len = strlen(what);

	for (i = 0; i < b->n; i++) {
		struct entry *en = &b->entries[i];

		if (strcmp(en->key, what) != 0 &&
		    (strncmp(en->key, what, len) != 0 || en->key[len] != ':'))
			continue;
		en->acked_until = until;
		n++;
		(void)happened(b, now, EVENT_ACKNOWLEDGED, en);
	}
	return n;
}

size_t book_events(const struct book *b)
{
	return b->nevents;
}

const struct event *book_event(const struct book *b, size_t i)
{
	return &b->events[i];
}

/* ---- on disk ---- */

static bool take_entry(struct book *b, json_t *j)
{
	const char *key, *what, *level;
	json_int_t until;
	struct entry *en;
	int l;

	if (json_unpack(j, "{s:s, s:s, s:s, s:I}", "key", &key, "what", &what,
			"level", &level, "acknowledged_until", &until) < 0)
		return false;
	l = level_of(level);
	en = l < 0 ? NULL : add_entry(b, key, what, (enum level)l);
	if (en == NULL)
		return false;
	en->acked_until = until;
	return true;
}

static bool take_event(struct book *b, json_t *j)
{
	const char *key, *what, *level, *kind;
	json_int_t time;
	struct event *ev;
	int l, k;

	if (json_unpack(j, "{s:I, s:s, s:s, s:s, s:s}", "time", &time, "event",
			&kind, "key", &key, "level", &level, "what", &what) < 0)
		return false;
	l = level_of(level);
	k = index_of(kind, kinds, EVENT_CLEARED + 1);
	if (l < 0 || k < 0 || (ev = add_event(b)) == NULL)
		return false;
	*ev = (struct event){
	    .time = time, .kind = (enum event_kind)k, .level = (enum level)l};
	snprintf(ev->key, sizeof(ev->key), "%s", key);
	snprintf(ev->what, sizeof(ev->what), "%s", what);
	return true;
}

static bool take_book(struct book *b, const char *text, size_t n)
{
	json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
	json_t *alerts, *events, *j;
	bool ok = json_unpack(root, "{s:o, s:o}", "alerts", &alerts, "events",
			      &events) == 0 &&
		  json_is_array(alerts) && json_is_array(events);
	size_t i;

	if (ok) {
		json_array_foreach(alerts, i, j) ok = ok && take_entry(b, j);
		json_array_foreach(events, i, j) ok = ok && take_event(b, j);
	}
	json_decref(root);
	return ok;
}

/* 1: read; 0: there is none; -PS_DATA: damaged; -CODE. */
static int read_book(struct book *b, int dirfd, struct err *e)
{
	int fd = openat(dirfd, BOOK_FILE, O_RDONLY | O_CLOEXEC), rc = 1;
	char *text;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, 0, BOOK_FILE);
	text = malloc(BOOK_MAX);
	n = text != NULL ? io_read_full(fd, text, BOOK_MAX) : -1;
	if (n < 0)
		rc = err_sys(e, 0, BOOK_FILE);
	else if (!take_book(b, text, (size_t)n))
		rc = err_set(e, PS_DATA, BOOK_FILE ": damaged");
	free(text);
	close(fd);
	return rc;
}

int book_open(struct book **ret, int dirfd, char *ret_aside, size_t size,
	      struct err *e)
{
	struct book *b = calloc(1, sizeof(*b));
	int rc;

	ret_aside[0] = '\0';
	if (b == NULL)
		return err_sys(e, PS_TEMPFAIL, BOOK_FILE);
	rc = read_book(b, dirfd, e);
	if (rc == -PS_DATA) {
		snprintf(ret_aside, size, BOOK_FILE ".damaged-%lld",
			 (long long)(time_now_ns() / NS_PER_S));
		b->n = 0;
		b->nevents = 0;
		rc = renameat(dirfd, BOOK_FILE, dirfd, ret_aside) < 0
			 ? err_sys(e, 0, BOOK_FILE)
			 : 0;
	}
	if (rc < 0) {
		book_close(b);
		return rc;
	}
	*ret = b;
	return 0;
}

void book_close(struct book *b)
{
	if (b == NULL)
		return;
	free(b->entries);
	free(b->events);
	free(b);
}

static json_t *json_book(const struct book *b)
{
	json_t *alerts = json_array(), *events = json_array();
	size_t i;

	for (i = 0; i < b->n; i++) {
		const struct entry *en = &b->entries[i];

		json_array_append_new(alerts,
				      json_pack("{s:s, s:s, s:s, s:I}", "key",
						en->key, "what", en->what,
						"level", level_name(en->level),
						"acknowledged_until",
						(json_int_t)en->acked_until));
	}
	for (i = 0; i < b->nevents; i++) {
		const struct event *ev = &b->events[i];

		json_array_append_new(
		    events,
		    json_pack("{s:I, s:s, s:s, s:s, s:s}", "time",
			      (json_int_t)ev->time, "event",
			      event_name(ev->kind), "key", ev->key, "level",
			      level_name(ev->level), "what", ev->what));
	}
	return json_pack("{s:o, s:o}", "alerts", alerts, "events", events);
}

int book_write(struct book *b, int dirfd, struct err *e)
{
	json_t *root = json_book(b);
	char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
	int rc;

	json_decref(root);
	if (text == NULL)
		return err_set(e, PS_TEMPFAIL, "no memory for " BOOK_FILE);
	rc = durable_write(dirfd, BOOK_FILE, text, strlen(text), 0644,
			   DURABLE_REPLACE, e);
	free(text);
	return rc;
}
