/*
 * Finding room: machines into servers with a limit of churn and of machines
 * each. The hard part of planning, without knowledge of states or reasons.
 */
#ifndef PS_FLEET_PLACE_H
#define PS_FLEET_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct room {
	double churn, limit; /* what it has, what it may have; any one unit */
	double power;	     /* load = churn / power */
	unsigned machines, most;
	bool open; /* takes machines that it did not have */
};

struct item {
	size_t machine;
	double churn;
	int home; /* preferred when two are as good; NO_SERVER */
	int to;	  /* where it went */
};

/*
 * Gives every item a room, the largest first, each where the load is lowest
 * afterwards. Few items (at most 48) are searched with backtracking, so that a
 * place is found when there is one, within a bound of steps. Rooms keep what
 * was put into them only on success. `items` is sorted.
 */
bool place_all(struct room *rooms, size_t nrooms, struct item *items, size_t n);

#endif
