/*
 * What is wrong, since when, on which disk, what shows it, and what to do:
 * the samples judged by the rules. One structure, from which every view
 * (view.h) is made.
 */
#ifndef PS_HEALTH_CHECK_H
#define PS_HEALTH_CHECK_H

#include "base/name.h"
#include "health/disks.h"
#include "health/ring.h"
#include "health/rules.h"

#define ALERT_CODE_SIZE 32
#define ALERT_KEY_SIZE (ALERT_CODE_SIZE + 2 * NAME_SIZE)

struct alert {
	/* "cache-free", or with a disk "78186:web01/root": names this alert
	 * as long as it lasts, also for ps-health ack. */
	char key[ALERT_KEY_SIZE];
	char code[ALERT_CODE_SIZE];
	enum level level;
	char machine[NAME_SIZE], disk[NAME_SIZE]; /* empty: of the server */
	char what[160];
	char evidence[160];
	const char *next;
	int64_t since; /* seconds since 1970 */
	/* Set from the book of alerts (events.h). */
	int64_t acked_until; /* 0: not acknowledged */
};

struct health {
	int64_t now;
	bool known;	  /* there are enough samples to say anything */
	enum level level; /* the worst single alert that is not acknowledged */
	struct alert *alerts; /* the worst first, then by age */
	size_t n;
	struct sample newest; /* time 0: none */
	unsigned samples;     /* in the window */
};

/* `ring` and `disks` may be NULL where there are none. */
int check_run(struct ring *ring, const struct disks *disks,
	      const struct rules *rules, int64_t now, struct health *ret,
	      struct err *e);
/* Adds what is known of failed jobs in the folder of state. */
int check_jobs(struct health *h, int dirfd, struct err *e);
void health_free(struct health *h);

/* Adds an alert of its own; returns it (what and evidence are printf'ed by the
 * caller), or NULL when there is no memory. */
struct alert *health_add(struct health *h, const char *code, enum level level,
			 int64_t since);
/* Orders the alerts and finds the overall level. */
void health_settle(struct health *h);

#endif
