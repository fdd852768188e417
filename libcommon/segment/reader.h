/*
 * Reads a stream of segments, one part after another, and checks on the way
 * everything that can be checked without a key: framing, CRCs, limits, order
 * of records, that index and records agree, totals, places; on unsealed
 * segments also the segment digest (from the index; block contents are not
 * hashed here).
 */
#ifndef PS_SEGMENT_READER_H
#define PS_SEGMENT_READER_H

#include "base/io.h"
#include "segment/format.h"

/* Room that every part fits in but the trailer, directory and pages. */
#define SEG_RECORD_MAX (SEG_RECORD_LEN + SEG_RECORD_RAW_MAX + SEG_TAG_LEN)

struct seg_item {
	enum seg_part part;
	uint64_t pos;	    /* of the part, in its segment */
	const uint8_t *raw; /* the part as stored: header and payload */
	size_t raw_len;
	const uint8_t *payload; /* inside raw; stored_len bytes */
	struct seg_record record;
	uint32_t record_no; /* from 0 */
	struct seg_page page;
	struct seg_dir dir;
};

struct seg_reader {
	struct io_in *in;
	/* Of the current segment; valid from SEG_PART_HEADER on. */
	struct seg_header header;
	uint8_t header_raw[SEG_HEADER_LEN];
	/* Valid from SEG_PART_TRAILER until the next call. */
	struct seg_trailer trailer;
	uint64_t segments; /* complete ones so far */
	/* private */
	struct seg_reader_state *st;
};

int seg_reader_open(struct seg_reader *r, struct io_in *in, struct err *e);
void seg_reader_close(struct seg_reader *r);

/*
 * The next part. Returns 1; 0 at the end of the stream, which is only between
 * two segments; or -CODE: PS_DATA for damaged or cut input, PS_PROTOCOL for a
 * version from the future. `item` points into the reader's buffer (or the one
 * of seg_reader_use) and holds until the next call.
 */
int seg_reader_next(struct seg_reader *r, struct seg_item *item, struct err *e);

/*
 * The next record is read straight into `buf` (SEG_RECORD_MAX bytes), so that
 * it can go to a worker without a copy. Holds for one record; the record's
 * item.raw == buf tells that it was used.
 */
void seg_reader_use(struct seg_reader *r, uint8_t *buf);

/* Does the current segment hold index entries that can be read (unsealed)? */
static inline bool seg_reader_clear(const struct seg_reader *r)
{
	return (r->header.encoding & SEG_SEALED) == 0;
}

/*
 * Walks the entries of a clear page payload: call with *pos = 0 until it
 * returns 0. `digests` has BLOCK_DIGEST_LEN * seg_blocks(raw_len) bytes.
 * -PS_DATA when the payload is not made of whole entries.
 */
int seg_page_walk(const struct seg_header *h, const uint8_t *payload,
		  size_t len, size_t *pos, struct seg_entry *en,
		  const uint8_t **digests, struct err *e);

#endif
