/*
 * Writes the index and trailer of a segment whose records were stored anew:
 * the same entries with other codecs, lengths and places.
 */
#ifndef PS_SEGMENT_REWRITE_H
#define PS_SEGMENT_REWRITE_H

#include "base/io.h"
#include "segment/index.h"

struct seg_rewrite {
	struct io_out *out;
	const struct seal *seal;  /* borrowed; NULL: the output is clear */
	struct seg_header header; /* as written */
	/* private */
	bool begun;		  /* the header is written */
	uint64_t pos, record_pos; /* of the next part, of a page's record */
	uint64_t index_pos, stored_bytes;
	uint32_t indexed, pages;
	struct seg_buf coded; /* 4 bytes for each record */
	struct seg_buf dir_entries, end;
};

/*
 * `w` is zero at first. The header is written with the first part behind it:
 * a sealed one is authentic only when something of its segment has opened.
 */
void seg_rewrite_begin(struct seg_rewrite *w, struct io_out *out,
		       const struct seg_header *h, const struct seal *seal);
void seg_rewrite_free(struct seg_rewrite *w);

/* Writes a record as it now stands: header packed, n bytes in all. */
int seg_rewrite_record(struct seg_rewrite *w, const struct seg_record *r,
		       const void *raw, size_t n, struct err *e);

/* A page of the same records; its payload is changed in place. */
int seg_rewrite_page(struct seg_rewrite *w, const struct seg_page *page,
		     struct seg_index_page *p, struct err *e);

/* Directory and trailer from a checked index; then flushes the sink. */
int seg_rewrite_end(struct seg_rewrite *w, const struct seg_index *x,
		    const struct seg_trailer *t, struct err *e);

#endif
