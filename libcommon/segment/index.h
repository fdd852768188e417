/*
 * The index of a segment that passes by: opened when it is sealed, and held
 * against the records before it, the directory behind it and the segment
 * digest. It does for sealed segments what the reader does for clear ones,
 * and hands pages out in the clear to whoever writes them anew.
 *
 *	seg_index_begin, seg_index_record for each record, seg_index_page for
 *	each page, seg_index_dir, seg_index_end; any may be followed by
 *	seg_index_begin of the next segment or by seg_index_free.
 */
#ifndef PS_SEGMENT_INDEX_H
#define PS_SEGMENT_INDEX_H

#include "segment/reader.h"
#include "segment/seal.h"

/* Memory that grows and is kept for the next segment. */
struct seg_buf {
	uint8_t *p;
	size_t n, cap;
};

/* Room for n more bytes at the end; NULL (`e` set) without memory. */
uint8_t *seg_buf_add(struct seg_buf *b, size_t n, struct err *e);

struct seg_index {
	struct seg_header header; /* as stored */
	const struct seal *seal;  /* borrowed; NULL: clear */
	uint32_t records;
	/* Valid from seg_index_end on. */
	bool has_disk_digest;
	uint8_t random[SEG_RANDOM_LEN], disk_digest[SHA256_LEN];
	/* private */
	bool begun;
	struct seg_digest digest;
	struct sha256 in_records, in_index;
	struct seg_buf page;	    /* room for a header, then the payload */
	struct seg_buf dir;	    /* the directory as stored */
	struct seg_buf dir_entries; /* what it must say of the pages */
	uint64_t record_pos;
};

/* `x` is zero at first. The header is the one that was stored. */
void seg_index_begin(struct seg_index *x, const struct seg_header *h,
		     const struct seal *seal);
void seg_index_free(struct seg_index *x);

/* Records in their order, as stored. */
void seg_index_record(struct seg_index *x, const struct seg_record *r);

/* One page, in the clear. */
struct seg_index_page {
	uint8_t *room;	  /* SEG_PAGE_LEN bytes for a header, then: */
	uint8_t *payload; /* the caller may change it; holds for one page */
	size_t len;	  /* SEG_TAG_LEN more have room behind */
	uint64_t first_offset, end_offset; /* of its records, in the disk */
};

int seg_index_page(struct seg_index *x, const struct seg_item *item,
		   struct seg_index_page *ret, struct err *e);

/* Keeps the directory until the trailer is there. */
int seg_index_dir(struct seg_index *x, const struct seg_item *item,
		  struct err *e);

/*
 * Opens the directory with the trailer and compares everything. 0: the
 * content is what its source wrote.
 */
int seg_index_end(struct seg_index *x, const struct seg_trailer *t,
		  const struct seg_item *item, struct err *e);

#endif
