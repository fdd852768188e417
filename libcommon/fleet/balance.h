/*
 * Which machine belongs to which process server: few moves, no server above
 * its limits, load (churn by what a server may take) even among them.
 */
#ifndef PS_FLEET_BALANCE_H
#define PS_FLEET_BALANCE_H

#include "base/err.h"
#include "fleet/inventory.h"
#include "fleet/sizes.h"

struct balance_opts {
	double headroom; /* part of each server's churn limit left free: 0.3 */
	double slack;	 /* how far the highest load may be above the lowest
			  * possible one: 0.05 */
};

enum move_reason {
	MOVE_NEW,	/* had no server */
	MOVE_SILENT,	/* its server has no heartbeat */
	MOVE_MACHINES,	/* its server has more machines than it may */
	MOVE_CHURN,	/* its server is above its limit less the headroom */
	MOVE_EVEN,	/* its server carries more than its share */
	MOVE_MAKE_ROOM, /* for a larger one */
};

struct move {
	size_t machine;
	int from, to; /* servers; from may be NO_SERVER */
	enum move_reason reason;
};

struct balance {
	int *server; /* of each machine after the plan; NO_SERVER: no room */
	bool pinned; /* what is pinned to a server is too much for it */
	size_t left; /* machines that have no room */
	struct move *moves; /* in the order of machines */
	size_t nmoves;
	double load_before, load_after; /* highest load of a server */
	double bound;			/* no plan can have less */
};

/*
 * Plans; the fleet is not changed. 0: all machines have a place (or none has
 * to move); PS_NO: there is no feasible plan, `left` machines have no room.
 */
int balance_plan(struct balance *ret, const struct fleet *f,
		 const struct balance_opts *o, struct err *e);
void balance_free(struct balance *b);

#define BALANCE_MORE_MAX 64 /* servers of the largest size that are tried */

/*
 * The smallest published size of process server of which one more (or else how
 * many of the largest) would make a plan possible; *n 0: none would.
 */
int balance_wanted(const struct fleet *f, const struct balance_opts *o,
		   int *size, unsigned *n, struct err *e);
/* The same, from another table of sizes. */
int balance_wanted_of(const struct server_size table[SIZES],
		      const struct fleet *f, const struct balance_opts *o,
		      int *size, unsigned *n, struct err *e);

const char *move_reason_name(enum move_reason r);

#endif
