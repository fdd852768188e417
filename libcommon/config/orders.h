/*
 * Orders: what a process server is to do for a machine that moves. The
 * configuration server gives them in its answer to a heartbeat; the server
 * does them (orders-run.h) and reports in later ones.
 *
 *	open -> running -> done | failed;  open, running -> withdrawn
 *
 * An order is given again and again until it has ended, so each is such that
 * doing it twice changes nothing more. One that is not given any more is ended
 * by its server, before it begins another.
 */
#ifndef PS_CONFIG_ORDERS_H
#define PS_CONFIG_ORDERS_H

#include "config/registry.h"

/* Takes the machine from now on: it may have been sent away earlier. */
#define ORDER_MOVE_IN "move-in"
/* Takes nothing more of it, drains what is here into the vault, forgets it. */
#define ORDER_MOVE_OUT "move-out"
/* Takes ORDER_MOVE_OUT back. */
#define ORDER_STAY "stay"
/* It was moved while this server was away: holds and names what is left. */
#define ORDER_LEFT "left"
/* Says when the machine has come here: all its disks are seated. */
#define ORDER_ARRIVED "arrived"

#define ORDER_OPEN "open"
#define ORDER_RUNNING "running"
#define ORDER_DONE "done"
#define ORDER_FAILED "failed"
#define ORDER_WITHDRAWN "withdrawn" /* what its server did of it is unknown */

#define ORDER_NOTE_SIZE 1024

struct order {
	int64_t id;
	char server[NAME_SIZE]; /* who is to do it */
	char what[NAME_SIZE], machine[NAME_SIZE];
	char to[NAME_SIZE]; /* the server that it moves to */
	int64_t job;	    /* that it belongs to; 0: none */
	char state[NAME_SIZE];
	char note[ORDER_NOTE_SIZE]; /* how far it is, what came of it */
	int64_t made, changed;	    /* ns */
};

/*
 * Gives an order; `to` may be "". When the same job has given it to this
 * server already, that one is meant: its id. -PS_USAGE: one of the words is
 * not allowed; -PS_NO: the job has ended.
 */
int order_add(struct reg *r, const char *server, const char *what,
	      const char *machine, const char *to, int64_t job, int64_t *ret_id,
	      struct err *e);

/*
 * What the server says of it: "running", "done" or "failed". What has ended
 * stays as it is, and to hear the same again changes nothing. -PS_NO: it is
 * no order of this server, or it has ended in another way; -PS_USAGE: a state
 * or note that is not allowed.
 */
int order_report(struct reg *r, int64_t id, const char *server,
		 const char *state, const char *note, struct err *e);

/*
 * A job has ended (within reg_change()): its orders are not given any more,
 * but for those that mend what it had begun.
 */
int order_end_job_here(struct reg *r, int64_t job, struct err *e);

/* It is not given any more; within reg_change(). */
int order_withdraw_here(struct reg *r, int64_t id, struct err *e);
/* Gives one again that was withdrawn. */
int order_again(struct reg *r, int64_t id, struct err *e);

/* The order that a job gave a server: 1, 0 when there is none, -CODE. */
int order_find(struct reg *r, int64_t job, const char *server, const char *what,
	       struct order *ret, struct err *e);
/* -PS_NO: there is none. */
int order_get(struct reg *r, int64_t id, struct order *ret, struct err *e);

/* Those of a server that have not ended, oldest first. */
typedef int order_fn(void *ctx, const struct order *o, struct err *e);
int order_each(struct reg *r, const char *server, order_fn *fn, void *ctx,
	       struct err *e);

#endif
