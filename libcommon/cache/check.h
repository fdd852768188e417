/* Proof that what lies in the cache is whole: what `ps-cache verify` does. */
#ifndef PS_CACHE_CHECK_H
#define PS_CACHE_CHECK_H

#include "cache/cache.h"

struct cache_fault {
	const char *machine, *disk;
	uint64_t seq; /* 0: of the head */
	const char *what;
};
typedef void cache_fault_fn(void *ctx, const struct cache_fault *fault);

struct cache_checked {
	uint64_t segments, bytes;
	uint64_t sealed; /* of these: contents are not authenticated */
	uint64_t faults;
};

/*
 * Reads every segment (of one machine, or of all) to its last byte: CRCs,
 * framing, totals, the digest of clear ones; that each continues the one
 * before and that heads and positions agree with them, without a gap.
 * `bytes_done` (may be NULL) is told the progress. Returns 0 with totals,
 * faults among them; -CODE when the cache itself cannot be read.
 */
int cache_verify(struct cache *c, const char *machine, cache_fault_fn *fn,
		 void *ctx, void (*bytes_done)(uint64_t),
		 struct cache_checked *ret, struct err *e);

#endif
