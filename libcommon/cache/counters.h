/*
 * What went through a cache since it was made: counters that only grow, in a
 * small file (CACHE/.counters) that all processes map. They are advice for
 * whoever watches (ps-health), never truth: a power loss may set them back,
 * and where the file cannot be had nothing is counted.
 */
#ifndef PS_CACHE_COUNTERS_H
#define PS_CACHE_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>

enum cache_counter {
	COUNTER_ACCEPTED_BYTES, /* put into the cache, durable */
	COUNTER_ACCEPTED_SEGMENTS,
	COUNTER_STORED_BYTES, /* acknowledged by all followers, removed */
	COUNTER_STORED_SEGMENTS,
	CACHE_COUNTERS
};

struct cache;

/* Harmless when there are no counters. */
void counter_add(struct cache *c, enum cache_counter which, uint64_t n);
/* 0 when there are none. */
uint64_t counter_get(const struct cache *c, enum cache_counter which);

/*
 * Of cache_open_any and cache_close. Who only looks makes no file, and counts
 * nothing.
 */
void counters_open(struct cache *c, bool look);
void counters_close(struct cache *c);

#endif
