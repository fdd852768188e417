/*
 * Published sizes of servers: how many machines and how much churn one takes.
 * Sizes are powers of 1024 bytes; churn is bytes in a day.
 */
#ifndef PS_FLEET_SIZES_H
#define PS_FLEET_SIZES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GIB (1024ULL * 1024 * 1024)

struct server_size {
	unsigned cores;
	uint64_t memory, cache; /* bytes */
	uint64_t churn;		/* at most, in a day */
	unsigned machines;	/* at most; 0: not said */
	/* What was published beside, 0: nothing. */
	uint64_t cache_rate;	  /* bytes a second of the cache's disk */
	uint64_t ingress, egress; /* bits a second of the network */
};

/*
 * An additional process server, and a configuration server with a process
 * server of its own; the smallest first. From "Plan capacity for VMware
 * disaster recovery" and "Scale with additional process servers" of the Azure
 * Site Recovery documentation. (The page printed "1 GB" of cache for the
 * largest process server: the context says TB.)
 */
#define SIZES 3
extern const struct server_size sizes_process[SIZES];
extern const struct server_size sizes_config[SIZES];

/*
 * What a server of these properties may carry: the largest size that it
 * reaches in all three. One below the smallest gets as much of that as its
 * scarcest property is of it. Memory and cache may be 1/16 short, which
 * firmware and file systems take. Returns the size's index, -1: below all.
 */
int sizes_fit(const struct server_size table[SIZES], unsigned cores,
	      uint64_t memory, uint64_t cache, uint64_t *churn,
	      unsigned *machines);

#endif
