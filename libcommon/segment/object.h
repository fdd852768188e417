/*
 * Random access to one stored segment: a file, a blob, anything that can give
 * bytes at a place. Nothing but header, directory and trailer is read until
 * it is asked for. Every byte handed out has been checked (CRC; the seal when
 * the segment is sealed and the key is there).
 */
#ifndef PS_SEGMENT_OBJECT_H
#define PS_SEGMENT_OBJECT_H

#include "segment/codec.h"
#include "segment/format.h"
#include "segment/seal.h"

/* Gives exactly n bytes at `pos` or -CODE; called by several threads. */
typedef int seg_fetch_fn(void *ctx, uint64_t pos, void *buf, size_t n,
			 struct err *e);

struct seg_object {
	struct seg_header header;
	uint8_t header_raw[SEG_HEADER_LEN];
	struct seg_trailer trailer;
	bool readable; /* the index can be read: clear, or key at hand */
	/* Valid when readable: */
	uint8_t random[SEG_RANDOM_LEN];
	bool has_disk_digest;
	uint8_t disk_digest[SHA256_LEN];
	struct seg_dir_entry *pages;
	uint32_t npages;
	/* private */
	uint32_t *page_record; /* number of each page's first record */
	struct seal *seal;
	seg_fetch_fn *fetch;
	void *ctx;
	uint64_t size;
};

/*
 * Opens an object of `size` bytes. Without keys (NULL) a sealed one opens
 * with readable = false: header and trailer are then checked for damage but
 * not authenticated. Keys that do not open it: -PS_NOPERM.
 */
int seg_object_open(struct seg_object *o, seg_fetch_fn *fetch, void *ctx,
		    uint64_t size, const struct keyring *keys, struct err *e);
void seg_object_close(struct seg_object *o);

/* seg_fetch_fn over a descriptor: ctx is an int *. */
int seg_fetch_fd(void *ctx, uint64_t pos, void *buf, size_t n, struct err *e);

/* One index page in the clear. */
struct seg_page_view {
	uint8_t *payload;
	size_t len;
	uint64_t record_pos; /* of the next record, in the segment */
	uint32_t record_no;  /* of the next record */
	uint32_t left;	     /* entries not yet walked */
	uint64_t after;	     /* end of the record before */
	size_t pos;
};

int seg_object_page(const struct seg_object *o, uint32_t number,
		    struct seg_page_view *v, struct err *e);
void seg_page_view_free(struct seg_page_view *v);

/* A record as the index tells it. */
struct seg_ref {
	struct seg_entry entry;
	uint64_t pos; /* of its header, in the segment */
	uint32_t record_no;
	const uint8_t *digests; /* inside the page view; NULL for ZERO */
	uint32_t nblocks;
};

/* The next record of a page: 1, 0 behind the last one, -CODE. */
int seg_page_view_next(const struct seg_object *o, struct seg_page_view *v,
		       struct seg_ref *ref, struct err *e);

/*
 * Every record of the object in order of its offset. The callback returns 0
 * to go on or another value, which ends the walk and is returned.
 */
typedef int seg_ref_fn(void *ctx, const struct seg_ref *ref, struct err *e);
int seg_object_walk(const struct seg_object *o, seg_ref_fn *fn, void *ctx,
		    struct err *e);

/*
 * Loads one DATA record: fetches, checks, opens and expands it into `out`
 * (raw_len bytes). `scratch` has SEG_RECORD_MAX bytes. The blocks are NOT
 * hashed: the caller compares block_digest() with ref->digests.
 */
int seg_object_load(const struct seg_object *o, const struct seg_ref *ref,
		    struct codec_state *codec, uint8_t *scratch, uint8_t *out,
		    struct err *e);
/* The same in two halves, so that fetching and decoding can overlap. */
int seg_object_fetch(const struct seg_object *o, const struct seg_ref *ref,
		     uint8_t *scratch, struct err *e);
int seg_object_decode(const struct seg_object *o, const struct seg_ref *ref,
		      struct codec_state *codec, uint8_t *scratch, uint8_t *out,
		      struct err *e);

/*
 * Checks a fetched record, DATA or ZERO, as it is stored: its header against
 * the index, CRC, seal. A sealed payload is opened in place.
 */
int seg_object_check(const struct seg_object *o, const struct seg_ref *ref,
		     uint8_t *scratch, struct err *e);

/* Recomputes the segment digest from the index. Needs readable. */
int seg_object_check_digest(const struct seg_object *o, struct err *e);

#endif
