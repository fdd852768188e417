/*
 * Writes one clear, uncompressed segment after another: what ps-scan makes,
 * and what a merge makes. Index entries are gathered in memory (bounded by
 * SEG_SCAN_RECORDS_MAX and the segment's size) and come out at the end.
 */
#ifndef PS_SEGMENT_WRITER_H
#define PS_SEGMENT_WRITER_H

#include "base/io.h"
#include "segment/format.h"

struct seg_writer;

int seg_writer_new(struct seg_writer **ret, struct io_out *out, struct err *e);
void seg_writer_free(struct seg_writer *w);

/* Begins a segment. encoding must be 0 or SEG_COMPRESSED. */
int seg_writer_begin(struct seg_writer *w, const struct seg_header *h,
		     struct err *e);

/*
 * A DATA record. `stored` holds stored_len bytes coded by `codec` (SEG_STORE:
 * the raw bytes); `digests` one digest for each block.
 */
int seg_writer_data(struct seg_writer *w, uint64_t offset, uint64_t raw_len,
		    uint8_t codec, const void *stored, uint32_t stored_len,
		    const uint8_t *digests, struct err *e);
int seg_writer_zero(struct seg_writer *w, uint64_t offset, uint64_t raw_len,
		    struct err *e);

/* What the running segment holds so far. */
uint64_t seg_writer_data_bytes(const struct seg_writer *w);
uint32_t seg_writer_records(const struct seg_writer *w);

/*
 * Builds index, directory and trailer, without writing them. The caller fills
 * last_part, change_time, members and replaced of `t`; the rest, the segment
 * digest among it, is filled here. `disk_digest` is NULL but on a last part.
 * The tail (pages, directory, trailer) stays the writer's until the next
 * begin: ps-scan journals it before seg_writer_end() lets it go out.
 */
int seg_writer_tail(struct seg_writer *w, struct seg_trailer *t,
		    const uint8_t *disk_digest, const uint8_t **ret_tail,
		    size_t *ret_len, struct err *e);
/* Writes the tail and flushes the sink. */
int seg_writer_end(struct seg_writer *w, struct err *e);

#endif
