/*
 * What no plan can be better than: the lowest highest load of a server, by
 * counting. It may be lower than what the best plan has, never higher.
 */
#ifndef PS_FLEET_BOUND_H
#define PS_FLEET_BOUND_H

#include "fleet/inventory.h"

/*
 * By how much churn all servers together may have (a critical one what it has,
 * one of few places the largest machines that fit it), how many of the largest
 * machines, and that two of them share one. -1: out of memory.
 */
double bound_of(const struct fleet *f);

#endif
