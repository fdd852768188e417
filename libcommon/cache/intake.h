/* A stream of segments into the cache: what `ps-cache put` does. */
#ifndef PS_CACHE_INTAKE_H
#define PS_CACHE_INTAKE_H

#include "cache/settle.h"

struct cache_intake {
	int in;
	FILE *out; /* an acknowledgement for each segment, at once */
	cache_say_fn *say;
	void *ctx;
};

/*
 * Puts every segment of the stream. `durable`, `stored` and `refused` lines
 * are printed as they come. A disk that cannot be taken now (no room, on
 * hold, not seated) gets no line, the others go on. Returns 0; 1 when
 * something was refused; -PS_TEMPFAIL when something was left out.
 */
int cache_intake(struct cache *c, const struct cache_intake *opt,
		 struct err *e);

#endif
