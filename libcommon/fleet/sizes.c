#include "config.h"

#include "fleet/sizes.h"

const struct server_size sizes_process[SIZES] = {
    {4, 8 * GIB, 300 * GIB, 250 * GIB, 85, 0, 0, 0},
    {8, 12 * GIB, 600 * GIB, 1024 * GIB, 150, 0, 0, 0},
    {12, 24 * GIB, 1024 * GIB, 2048 * GIB, 225, 0, 0, 0}};

const struct server_size sizes_config[SIZES] = {
    {8, 16 * GIB, 300 * GIB, 500 * GIB, 100, 0, 0, 0},
    {12, 18 * GIB, 600 * GIB, 1024 * GIB, 150, 0, 0, 0},
    {16, 32 * GIB, 1024 * GIB, 2048 * GIB, 200, 0, 0, 0}};

static bool reaches(uint64_t have, uint64_t want)
{
	return have >= want - want / 16;
}

/* The part of `want` that is there, at most 1. */
static double part(double have, double want)
{
	return have >= want ? 1 : have / want;
}

int sizes_fit(const struct server_size table[SIZES], unsigned cores,
	      uint64_t memory, uint64_t cache, uint64_t *churn,
	      unsigned *machines)
{
	double least, p;
	int i;

	for (i = SIZES - 1; i >= 0; i--) {
		if (cores < table[i].cores ||
		    !reaches(memory, table[i].memory) ||
		    !reaches(cache, table[i].cache))
			continue;
		*churn = table[i].churn;
		*machines = table[i].machines;
		return i;
	}
	least = part(cores, table[0].cores);
	p = part((double)memory, (double)table[0].memory);
	least = p < least ? p : least;
	p = part((double)cache, (double)table[0].cache);
	least = p < least ? p : least;
	*churn = (uint64_t)(least * (double)table[0].churn);
	*machines = (unsigned)(least * table[0].machines);
	return -1;
}
