/*
 * Moves of machines between process servers. Each is a job whose steps are
 * orders to the two servers; move_step() takes it as far as it can go now, by
 * what stands in the registry alone. So whoever drives a move may be killed at
 * any moment, and two may drive it at once.
 *
 *	planned: TO makes ready, FROM lets go, the registry names TO, it sends
 *	FROM given up: TO makes ready, the registry names TO, it sends
 *
 * A move that fails before the registry names TO is taken back.
 */
#ifndef PS_CONFIG_MOVES_H
#define PS_CONFIG_MOVES_H

#include "config/registry.h"

#define JOB_MOVE "move"

struct reg_move {
	int64_t job;
	char machine[NAME_SIZE];
	char from[NAME_SIZE]; /* "": it had no server */
	char to[NAME_SIZE];
	bool dead; /* FROM is given up: what only its cache held is lost */
};

/*
 * Begins a move: *ret_job. One that is under way from and to the same servers
 * is gone on with; `dead` gives FROM up also in the middle of a planned one.
 * *ret_job 0: nothing has to be done, it is there. -PS_NO: there is no such
 * machine or server, it belongs to another server than FROM, it is being
 * moved elsewhere; -PS_USAGE: to where it is.
 */
int move_begin(struct reg *r, const struct reg_move *m, int64_t *ret_job,
	       struct err *e);

/* How a move is. */
struct move_at {
	bool ended, done;
	unsigned step, steps;	  /* the one under way, from 1 */
	char what[REG_TEXT_SIZE]; /* of that step */
	char note[1024]; /* of the server that is doing it; or the result */
	char waits_for[NAME_SIZE]; /* the server that has an order; or "" */
};

/* Goes on as far as it can now. -PS_NO: there is no such move. */
int move_step(struct reg *r, int64_t job, struct move_at *ret, struct err *e);

int move_get(struct reg *r, int64_t job, struct reg_move *ret, struct err *e);
/* Those that have not ended, oldest first. */
typedef int move_fn(void *ctx, const struct reg_move *m, struct err *e);
int move_each(struct reg *r, move_fn *fn, void *ctx, struct err *e);

#endif
