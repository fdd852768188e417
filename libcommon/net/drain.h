/*
 * How fast the cache empties, so that a source is told to come again when
 * there will be room, not a fixed time later: from a counter that only grows
 * (bytes that went on to the vault), looked at now and then.
 */
#ifndef PS_NET_DRAIN_H
#define PS_NET_DRAIN_H

#include <stdint.h>

#define DRAIN_LOOKS 13
#define DRAIN_EVERY_NS (5 * INT64_C(1000000000)) /* so they show a minute */
#define DRAIN_MIN_S 2	   /* of a fresh connection for each look */
#define DRAIN_MAX_S 60	   /* nothing goes, or it will take long */
#define DRAIN_UNKNOWN_S 10 /* nothing went, but the server has just begun */

struct drain {
	struct drain_look {
		int64_t at; /* mono_now_ns() */
		uint64_t bytes;
	} looks[DRAIN_LOOKS]; /* a ring */
	unsigned n;	      /* looks so far */
};

/* The counter now; what comes too soon after the last look is not kept. */
void drain_see(struct drain *d, int64_t now, uint64_t bytes);
/* Seconds until `excess` bytes more have gone, as the last minute went. */
unsigned drain_wait_s(const struct drain *d, int64_t now, uint64_t bytes,
		      uint64_t excess);

#endif
