/*
 * A filter over a stream of segments that changes how content is stored and
 * never the content: compress, expand, seal, open. Records are worked on by
 * a pool of threads and come out in order; pages and directory are written
 * anew; the segment digest is recomputed and must come out unchanged.
 */
#ifndef PS_SEGMENT_TRANSFORM_H
#define PS_SEGMENT_TRANSFORM_H

#include "base/io.h"
#include "segment/format.h"
#include "segment/seal.h"

enum transform_kind {
	TRANSFORM_COMPRESS, /* passes what is compressed or sealed */
	TRANSFORM_EXPAND,   /* passes what is not compressed; sealed: error */
	TRANSFORM_SEAL,	    /* passes what is sealed */
	TRANSFORM_OPEN,	    /* passes what is not sealed */
};

struct transform {
	enum transform_kind kind;
	uint8_t codec;		    /* compress */
	int level;		    /* compress: 1..9 */
	const struct keyring *keys; /* seal and open */
	unsigned threads;	    /* 0: one for each processor */
};

/* Totals, for the closing line of a tool. */
struct transform_totals {
	uint64_t segments, bytes_in, bytes_out;
};

/*
 * Runs until the end of `in`. On failure nothing of the part that failed has
 * been written, and the stream in `out` ends inside a segment, so that no
 * reader takes it for complete.
 */
int transform_run(const struct transform *t, struct io_in *in,
		  struct io_out *out, struct transform_totals *ret,
		  struct err *e);

#endif
