#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/bytes.h"
#include "segment/writer.h"

/* A page is closed before it would pass this; small pages stream better. */
#define PAGE_TARGET (256 * 1024u)

/* A buffer that grows. */
struct bytes {
	uint8_t *p;
	size_t n, cap;
};

struct seg_writer {
	struct io_out *out;
	struct seg_header header;
	struct seg_trailer totals;
	struct seg_digest digest;
	bool open;
	uint64_t pos;	   /* of the next record */
	uint64_t after;	   /* end of the last record in the disk */
	struct bytes tail; /* pages, then directory and trailer */
	struct bytes dir;  /* directory entries */
	/* the page that is being filled */
	size_t page_begin; /* in tail */
	uint64_t page_record_pos, page_first;
	uint32_t page_entries, npages;
};

int seg_writer_new(struct seg_writer **ret, struct io_out *out, struct err *e)
{
	struct seg_writer *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return err_sys(e, PS_TEMPFAIL, "segment writer");
	w->out = out;
	*ret = w;
	return 0;
}

void seg_writer_free(struct seg_writer *w)
{
	if (w == NULL)
		return;
	if (w->open)
		seg_digest_drop(&w->digest);
	free(w->tail.p);
	free(w->dir.p);
	free(w);
}

/* Room for n more bytes at the end; NULL when there is no memory. */
static uint8_t *append(struct bytes *b, size_t n)
{
	uint8_t *p;

	if (b->n + n > b->cap) {
		size_t cap = 2 * b->cap + n + 4096;

		p = realloc(b->p, cap);
		if (p == NULL)
			return NULL;
		b->p = p;
		b->cap = cap;
	}
	p = b->p + b->n;
	b->n += n;
	return p;
}

static int no_memory(struct err *e)
{
	return err_sys(e, PS_TEMPFAIL, "segment writer");
}

int seg_writer_begin(struct seg_writer *w, const struct seg_header *h,
		     struct err *e)
{
	uint8_t raw[SEG_HEADER_LEN];

	if (w->open)
		seg_digest_drop(&w->digest);
	w->header = *h;
	w->totals = (struct seg_trailer){0};
	w->open = true;
	w->pos = SEG_HEADER_LEN;
	w->after = 0;
	w->tail.n = w->dir.n = 0;
	w->page_entries = w->npages = 0;
	seg_digest_begin(&w->digest, h);
	seg_header_pack(h, raw);
	return io_out_write(w->out, raw, sizeof(raw), e);
}

/* Finishes the page that is being filled, if there is one. */
static int close_page(struct seg_writer *w, struct err *e)
{
	struct seg_page page = {.number = w->npages,
				.entries = w->page_entries,
				.record_pos = w->page_record_pos};
	struct seg_dir_entry de = {.pos = w->page_begin,
				   .entries = w->page_entries,
				   .first_offset = w->page_first,
				   .end_offset = w->after};
	uint8_t *at, *slot;

	if (w->page_entries == 0)
		return 0;
	at = w->tail.p + w->page_begin;
	page.stored_len = (uint32_t)(w->tail.n - w->page_begin - SEG_PAGE_LEN);
	page.payload_crc = crc32c(0, at + SEG_PAGE_LEN, page.stored_len);
	de.stored_len = page.stored_len;
	seg_page_pack(&page, at);
	slot = append(&w->dir, SEG_DIR_ENTRY_LEN);
	if (slot == NULL)
		return no_memory(e);
	seg_dir_entry_pack(&de, slot);
	w->npages++;
	w->page_entries = 0;
	return 0;
}

static int index_record(struct seg_writer *w, const struct seg_entry *en,
			const uint8_t *digests, struct err *e)
{
	size_t nblocks =
	    en->zero ? 0 : seg_blocks(en->raw_len, w->header.block_size);
	size_t n = SEG_ENTRY_LEN + nblocks * BLOCK_DIGEST_LEN;
	uint8_t *p;
	int rc;

	if (w->page_entries > 0 &&
	    w->tail.n - w->page_begin + n > PAGE_TARGET) {
		rc = close_page(w, e);
		if (rc < 0)
			return rc;
	}
	if (w->page_entries == 0) {
		w->page_begin = w->tail.n;
		w->page_record_pos = w->pos;
		w->page_first = en->offset;
		if (append(&w->tail, SEG_PAGE_LEN) == NULL)
			return no_memory(e);
	}
	p = append(&w->tail, n);
	if (p == NULL)
		return no_memory(e);
	seg_entry_pack(en, p);
	if (nblocks > 0 && digests != NULL)
		memcpy(p + SEG_ENTRY_LEN, digests, n - SEG_ENTRY_LEN);
	w->page_entries++;
	seg_digest_entry(&w->digest, en, digests, nblocks);
	return 0;
}

static int put_record(struct seg_writer *w, const struct seg_record *rec,
		      const void *stored, const uint8_t *digests, struct err *e)
{
	struct seg_entry en = {rec->zero, rec->codec, rec->stored_len,
			       rec->offset, rec->raw_len};
	uint8_t raw[SEG_RECORD_LEN];
	int rc = seg_extent_check(&w->header, rec->zero, rec->offset,
				  rec->raw_len, w->after, e);

	if (rc == 0)
		rc = index_record(w, &en, digests, e);
	if (rc < 0)
		return rc;
	w->after = rec->offset + rec->raw_len;
	w->pos += SEG_RECORD_LEN + rec->stored_len;
	w->totals.stored_bytes += rec->stored_len;
	if (rec->zero) {
		w->totals.zero_records++;
		w->totals.zero_bytes += rec->raw_len;
	} else {
		w->totals.data_records++;
		w->totals.data_bytes += rec->raw_len;
	}
	seg_record_pack(rec, raw);
	rc = io_out_write(w->out, raw, sizeof(raw), e);
	if (rc == 0 && rec->stored_len > 0)
		rc = io_out_write(w->out, stored, rec->stored_len, e);
	return rc;
}

int seg_writer_data(struct seg_writer *w, uint64_t offset, uint64_t raw_len,
		    uint8_t codec, const void *stored, uint32_t stored_len,
		    const uint8_t *digests, struct err *e)
{
	struct seg_record rec = {
	    .codec = codec,
	    .offset = offset,
	    .raw_len = raw_len,
	    .stored_len = stored_len,
	    .payload_crc = crc32c(0, stored, stored_len),
	};

	return put_record(w, &rec, stored, digests, e);
}

int seg_writer_zero(struct seg_writer *w, uint64_t offset, uint64_t raw_len,
		    struct err *e)
{
	struct seg_record rec = {
	    .zero = true, .offset = offset, .raw_len = raw_len};

	return put_record(w, &rec, NULL, NULL, e);
}

uint64_t seg_writer_data_bytes(const struct seg_writer *w)
{
	return w->totals.data_bytes;
}

uint32_t seg_writer_records(const struct seg_writer *w)
{
	return (uint32_t)(w->totals.data_records + w->totals.zero_records);
}

/* Page positions were relative to the tail; now it is known where that is. */
static void place_pages(struct seg_writer *w)
{
	uint32_t i;

	for (i = 0; i < w->npages; i++) {
		uint8_t *p = w->dir.p + (size_t)i * SEG_DIR_ENTRY_LEN;
		struct seg_dir_entry de;

		seg_dir_entry_unpack(&de, p);
		de.pos += w->pos;
		seg_dir_entry_pack(&de, p);
	}
}

static int build_dir(struct seg_writer *w, const uint8_t random[SEG_RANDOM_LEN],
		     const uint8_t *disk_digest, struct err *e)
{
	struct seg_dir dir = {.pages = w->npages,
			      .has_disk_digest = disk_digest != NULL};
	uint8_t *p, *payload;

	dir.stored_len = (uint32_t)(SEG_RANDOM_LEN + SHA256_LEN + w->dir.n);
	p = append(&w->tail, SEG_DIR_LEN + dir.stored_len);
	if (p == NULL)
		return no_memory(e);
	payload = p + SEG_DIR_LEN;
	memcpy(payload, random, SEG_RANDOM_LEN);
	if (disk_digest != NULL)
		memcpy(payload + SEG_RANDOM_LEN, disk_digest, SHA256_LEN);
	else
		memset(payload + SEG_RANDOM_LEN, 0, SHA256_LEN);
	if (w->dir.n > 0)
		memcpy(payload + SEG_RANDOM_LEN + SHA256_LEN, w->dir.p,
		       w->dir.n);
	dir.payload_crc = crc32c(0, payload, dir.stored_len);
	seg_dir_pack(&dir, p);
	return 0;
}

static int build_trailer(struct seg_writer *w, struct seg_trailer *t,
			 struct err *e)
{
	uint8_t *p = append(&w->tail, t->trailer_len);

	if (p == NULL)
		return no_memory(e);
	seg_trailer_pack(t, p);
	return 0;
}

int seg_writer_tail(struct seg_writer *w, struct seg_trailer *t,
		    const uint8_t *disk_digest, const uint8_t **ret_tail,
		    size_t *ret_len, struct err *e)
{
	uint8_t random[SEG_RANDOM_LEN];
	int64_t size = seg_trailer_size(t);
	int rc = close_page(w, e);

	if (rc < 0)
		return rc;
	if (size < 0)
		return err_set(e, PS_DATA, "too many members of a bookmark");
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return err_sys(e, PS_IOERR, "getrandom");
	t->data_bytes = w->totals.data_bytes;
	t->zero_bytes = w->totals.zero_bytes;
	t->data_records = w->totals.data_records;
	t->zero_records = w->totals.zero_records;
	t->stored_bytes = w->totals.stored_bytes;
	t->trailer_len = (uint32_t)size;
	t->index_pos = w->pos;
	place_pages(w);
	t->dir_len =
	    (uint32_t)(SEG_DIR_LEN + SEG_RANDOM_LEN + SHA256_LEN + w->dir.n);
	t->seg_len = w->pos + w->tail.n + t->dir_len + t->trailer_len;
	w->open = false;
	seg_digest_end(&w->digest, random, disk_digest, t, t->digest);
	rc = build_dir(w, random, disk_digest, e);
	if (rc == 0)
		rc = build_trailer(w, t, e);
	if (rc < 0)
		return rc;
	*ret_tail = w->tail.p;
	*ret_len = w->tail.n;
	return 0;
}

int seg_writer_end(struct seg_writer *w, struct err *e)
{
	int rc = io_out_write(w->out, w->tail.p, w->tail.n, e);

	return rc < 0 ? rc : io_out_flush(w->out, e);
}
