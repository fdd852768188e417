/*
 * Moves of machines between process servers. Each is a job whose steps are
 * orders to the two servers. What stands in the registry alone says how far it
 * is, so nobody owns a move: the configuration server takes each step when a
 * heartbeat has brought the report of the last (moves_drive()), and may be
 * killed, or be two.
 *
 *	planned: TO makes ready, FROM lets go, the registry names TO, it sends
 *	FROM given up: TO makes ready, the registry names TO, it sends
 *
 * A move that fails or is cancelled before FROM has let go is taken back.
 */
#ifndef PS_CONFIG_MOVES_H
#define PS_CONFIG_MOVES_H

#include "config/registry.h"

#define JOB_MOVE "move"
/*
 * Machines on the way from one server to another one at one time: each waits
 * with its changes until the old server has stored what it has.
 */
#define MOVES_AT_ONCE 10

struct reg_move {
	int64_t job; /* 0: nothing has to be done, it is there */
	char machine[NAME_SIZE];
	char from[NAME_SIZE]; /* "": it had no server */
	char to[NAME_SIZE];
	bool dead; /* FROM is given up: what only its cache held is lost */
};

/*
 * Begins these moves, all or none, and sets their `job`. One that is under way
 * from and to the same servers is that one; `dead` gives FROM up also in the
 * middle of a planned one. -PS_NO: there is no such machine or server, it
 * belongs to another server than FROM, it is being moved elsewhere; -PS_USAGE:
 * to where it is.
 */
int moves_begin(struct reg *r, struct reg_move *list, size_t n, struct err *e);

/* How a move is. */
struct move_at {
	bool begun, ended, done;
	unsigned step, steps;	  /* the one under way, from 1 */
	char what[REG_TEXT_SIZE]; /* of that step */
	char note[1024]; /* of the server that is doing it; or the result */
};
int move_look(struct reg *r, int64_t job, struct move_at *ret, struct err *e);

/*
 * Takes a move back, if that can be; `words`: what that means. Before its old
 * server was asked to let go the job is cancelled at once; then, when that
 * server has said that the machine stays; when the registry names the new one
 * already, it stays there. `note` (or NULL) comes into the job's result.
 * -PS_NO: it has ended, or is too far for that.
 */
int move_cancel(struct reg *r, int64_t job, const char *note, char words[1024],
		struct err *e);

int move_get(struct reg *r, int64_t job, struct reg_move *ret, struct err *e);
/* Those that have not ended, oldest first. */
typedef int move_fn(void *ctx, const struct reg_move *m, struct err *e);
int move_each(struct reg *r, move_fn *fn, void *ctx, struct err *e);

/* ---- for the configuration server, which takes the steps ---- */

/* One move, as far as it can go now. -PS_NO: there is no such move. */
int move_step(struct reg *r, int64_t job, struct err *e);

/* A server has said something of this order: the move it belongs to. */
int move_heard(struct reg *r, int64_t order, struct err *e);

/*
 * All that can go on now without a word of a server, so many at one call that
 * who asks meanwhile does not wait long; *ret_more: others are left.
 */
int moves_drive(struct reg *r, bool *ret_more, struct err *e);

#endif
