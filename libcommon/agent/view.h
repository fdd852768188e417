/*
 * How an agent's disks are now, for those who look from outside: made from the
 * files in its state folder, nobody is asked, and it works at any time.
 */
#ifndef PS_AGENT_VIEW_H
#define PS_AGENT_VIEW_H

#include "agent/agent-conf.h"
#include "agent/report.h"
#include "agent/state.h"
#include "health/why.h"

struct view {
	const struct agent_conf *conf;
	struct agent_state *state; /* disks in the configuration's order */
	int dirfd;
	bool running;	  /* an agent works */
	int trouble;	  /* errno: it cannot save its state; 0: it can */
	int64_t saved_ns; /* when it could the last time */
	int64_t now;	  /* time_now_ns() */
};

/* One disk as it is now. */
struct disk_view {
	struct disk_state *st;
	const struct agent_point *acked, *stored; /* NULL: none known */
	enum disk_word word;
	char cause[32];
	bool behind; /* the newest point is older than it should be */
	/* Of the pass under way, when `sending`: */
	bool sending;
	struct report report;
	struct why_follower chain;     /* its programs; n is 0: not known */
	const struct why_stage *stage; /* holds it back; NULL: not known */
	enum why_cause limit;	       /* the word for that stage */
	uint64_t backlog; /* bytes that are still to be read and compared */
	uint64_t rate;	  /* bytes of the disk read in a second; 0: not known */
	uint64_t rate_most; /* at most, as the time is not known exactly */
};

/* -PS_NOINPUT: there is no state folder yet. */
int view_open(struct view *v, const struct agent_conf *c, struct err *e);
void view_close(struct view *v);

/* How old a point is; 0 when the clock was set back since it was made. */
int64_t view_age_ns(const struct view *v, const struct agent_point *p);

/* The disk with that number of v->state. */
void view_disk(const struct view *v, unsigned i, struct disk_view *ret);

#endif
