/*
 * One chain of several, each into a vault of its own: started, started again
 * with back-off when it ends for a reason that may pass, ended in order when
 * asked to. What happens to one concerns no other.
 */
#ifndef PS_PIPELINE_LANE_H
#define PS_PIPELINE_LANE_H

#include "pipeline/gauge.h"
#include "pipeline/supervise.h"

enum lane_phase {
	LANE_RUNNING,
	LANE_DRAINING, /* an end was seen or asked for: the rest may finish */
	LANE_ENDING,   /* all were asked to end */
	LANE_WAITING,  /* nothing runs until `until` */
	LANE_FINISHED,
};

struct lane {
	const struct supervise *opt;
	const struct plan_vault *vault;
	struct plan plan;
	struct chain chain;
	struct gauge gauge; /* which stage holds it up */
	enum lane_phase phase;
	int64_t begun, until; /* mono_now_ns */
	int64_t wait;	      /* ns before the next restart, without jitter */
	unsigned few;	      /* ends in a row that hardly pass */
	unsigned stops;	      /* requests to end */
	int code;	      /* why it is finished: an exit code */
};

void lane_init(struct lane *l, const struct supervise *opt,
	       const struct plan_vault *vault);
int lane_start(struct lane *l, struct err *e);
/* Asks it to end in order; asked a second time, at once. */
void lane_stop(struct lane *l);
/* Moves on from what the last signals and the clock have brought. */
int lane_step(struct lane *l, struct err *e);
/* New rates are to be read; a lane that somebody had to look at begins anew. */
void lane_new_rates(struct lane *l);

#endif
