/* A small segment stream in memory, for unit tests of this room. */
#ifndef PS_TESTS_SEGMENT_SAMPLE_H
#define PS_TESTS_SEGMENT_SAMPLE_H

#include "base/io.h"
#include "segment/writer.h"

struct sample {
	uint8_t *p;
	size_t n, cap;
};

/*
 * `segments` parts of one pass over a disk of 4 KiB blocks whose size is no
 * multiple of the block, with data, zeros and a short tail block.
 */
void sample_make(struct sample *s, unsigned segments);
void sample_free(struct sample *s);

/* A source over bytes in memory. */
struct sample_in {
	const uint8_t *p;
	size_t n, pos;
};
io_read_fn sample_read;

/* A sink that appends to a struct sample, which is zero at first. */
io_write_fn sample_write;

#endif
