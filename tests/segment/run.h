/* Filters and checks over streams in memory, for unit tests of this room. */
#ifndef PS_TESTS_SEGMENT_RUN_H
#define PS_TESTS_SEGMENT_RUN_H

#include "sample.h"
#include "segment/transform.h"

/*
 * Runs a transform with one thread; `out` is written anew. What a failed one
 * left in its buffer counts as written, too.
 */
int run_transform(enum transform_kind kind, const struct keyring *keys,
		  const struct sample *in, struct sample *out);

/* seg_verify_run; every failure must come with words and its code. */
int run_verify(const struct sample *in, const struct keyring *keys);

#endif
