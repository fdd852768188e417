/*
 * The book of alerts: which are there, which somebody has acknowledged, and
 * what happened in the last 72 hours. A small JSON file that is replaced as a
 * whole; a damaged one is set aside and begun anew.
 */
#ifndef PS_HEALTH_EVENTS_H
#define PS_HEALTH_EVENTS_H

#include "health/check.h"

#define EVENTS_KEEP_S (72 * 3600)
#define EVENTS_MAX 5000

enum event_kind {
	EVENT_RAISED,
	EVENT_CHANGED, /* of another level */
	EVENT_ACKNOWLEDGED,
	EVENT_CLEARED,
};

const char *event_name(enum event_kind k);

struct event {
	int64_t time; /* seconds since 1970 */
	enum event_kind kind;
	char key[ALERT_KEY_SIZE];
	enum level level; /* of the alert; when cleared: that it had */
	char what[160];
};

struct book;

/* *ret_aside as in keep_open() (keep.h). */
int book_open(struct book **ret, int dirfd, char *ret_aside, size_t size,
	      struct err *e);
void book_close(struct book *b); /* without writing; NULL is allowed */
int book_write(struct book *b, int dirfd, struct err *e);

/*
 * Takes over a verdict: acknowledgements go into the alerts of `h`, what has
 * changed becomes events. Returns how many; they are the last ones of
 * book_event().
 */
size_t book_update(struct book *b, struct health *h);

/*
 * Acknowledges an alert by its key or its code (then all of that code) until
 * a time. Returns how many there were; each is an event.
 */
size_t book_ack(struct book *b, const char *what, int64_t now, int64_t until);

/* The events, oldest first. */
size_t book_events(const struct book *b);
const struct event *book_event(const struct book *b, size_t i);

#endif
