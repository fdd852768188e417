/*
 * Checks a stream of segments as far as it can be checked: what the reader
 * checks, links between segments, and the digest of every block by expanding
 * every record, in a pool of threads; sealed segments too when the keys are
 * there.
 */
#ifndef PS_SEGMENT_VERIFY_H
#define PS_SEGMENT_VERIFY_H

#include "base/io.h"
#include "segment/reader.h"
#include "segment/seal.h"

/* What was found about one segment. */
struct seg_verdict {
	const struct seg_header *header;
	const struct seg_trailer *trailer; /* NULL: it does not get that far */
	bool opened;	   /* contents were checked; false: sealed, no key */
	const char *wrong; /* NULL: nothing */
	uint64_t wrong_records; /* whose content is not what was recorded */
};

typedef void seg_verdict_fn(void *ctx, const struct seg_verdict *v);

/*
 * Runs until the end of `in` and reports each segment. `keys` may be NULL.
 * Returns 0 when all is well. -PS_DATA: something is damaged; after damage
 * inside a segment the rest is still checked, but a stream that cannot be
 * followed ends the run. -PS_NOPERM: a segment's key is not in the ring.
 */
int seg_verify_run(struct io_in *in, const struct keyring *keys,
		   unsigned threads, seg_verdict_fn *fn, void *ctx,
		   struct err *e);

#endif
