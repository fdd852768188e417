/*
 * A limit on bytes per second: a token bucket that holds what a quarter of a
 * second allows. For one thread.
 */
#ifndef PS_BASE_RATE_H
#define PS_BASE_RATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rate {
	/* Bytes; 0: no limit. Others may change it while one waits. */
	atomic_uint_fast64_t per_second;
	int64_t next; /* when the bucket is empty again, monotonic ns */
};

/* Takes n bytes and sleeps until that was allowed. */
void rate_take(struct rate *r, size_t n);

/*
 * "20M" and "20MiB": bytes per second by powers of 1024, as sizes are;
 * "20Mbit": bits per second by powers of 1000, as lines are sold.
 */
bool parse_rate(const char *text, uint64_t *ret);

#endif
