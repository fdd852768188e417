#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "segment/rewrite.h"

/* Codec and stored length of a record in one word. */
#define CODED_SHIFT 24
_Static_assert(SEG_RECORD_RAW_MAX + SEG_TAG_LEN < 1u << CODED_SHIFT,
	       "a stored length fits below the codec");

void seg_rewrite_begin(struct seg_rewrite *w, struct io_out *out,
		       const struct seg_header *h, const struct seal *seal)
{
	w->out = out;
	w->seal = seal;
	w->header = *h;
	w->begun = false;
	w->pos = w->record_pos = SEG_HEADER_LEN;
	w->stored_bytes = 0;
	w->indexed = w->pages = 0;
	w->coded.n = w->dir_entries.n = w->end.n = 0;
}

static int write_part(struct seg_rewrite *w, const void *raw, size_t n,
		      struct err *e)
{
	uint8_t header[SEG_HEADER_LEN];
	int rc = 0;

	if (!w->begun) {
		w->begun = true;
		seg_header_pack(&w->header, header);
		rc = io_out_write(w->out, header, sizeof(header), e);
	}
	return rc < 0 ? rc : io_out_write(w->out, raw, n, e);
}

void seg_rewrite_free(struct seg_rewrite *w)
{
	free(w->coded.p);
	free(w->dir_entries.p);
	free(w->end.p);
	*w = (struct seg_rewrite){0};
}

int seg_rewrite_record(struct seg_rewrite *w, const struct seg_record *r,
		       const void *raw, size_t n, struct err *e)
{
	uint8_t *slot = seg_buf_add(&w->coded, 4, e);

	if (slot == NULL)
		return -PS_TEMPFAIL;
	put_le32(slot, (uint32_t)r->codec << CODED_SHIFT | r->stored_len);
	w->pos += n;
	w->stored_bytes += r->stored_len;
	return write_part(w, raw, n, e);
}

/* Puts the new codec and length into every entry of a page. */
static int patch_entries(struct seg_rewrite *w, struct seg_index_page *p,
			 struct err *e)
{
	const uint8_t *digests;
	struct seg_entry en;
	size_t pos = 0, begin = 0;
	int rc;

	while ((rc = seg_page_walk(&w->header, p->payload, p->len, &pos, &en,
				   &digests, e)) > 0) {
		uint32_t coded;

		if (w->indexed == w->coded.n / 4)
			return err_set(e, PS_DATA,
				       "damaged segment: more index entries "
				       "than records");
		coded = get_le32(w->coded.p + (size_t)w->indexed++ * 4);
		en.codec = (uint8_t)(coded >> CODED_SHIFT);
		en.stored_len = coded & ((1u << CODED_SHIFT) - 1);
		seg_entry_pack(&en, p->payload + begin);
		w->record_pos += SEG_RECORD_LEN + en.stored_len;
		begin = pos;
	}
	return rc;
}

int seg_rewrite_page(struct seg_rewrite *w, const struct seg_page *page,
		     struct seg_index_page *p, struct err *e)
{
	struct seg_page np = {.number = w->pages,
			      .entries = page->entries,
			      .stored_len = (uint32_t)p->len,
			      .record_pos = w->record_pos};
	struct seg_dir_entry de = {.pos = w->pos,
				   .entries = page->entries,
				   .first_offset = p->first_offset,
				   .end_offset = p->end_offset};
	uint8_t *slot = seg_buf_add(&w->dir_entries, SEG_DIR_ENTRY_LEN, e);
	int rc = slot == NULL ? -PS_TEMPFAIL : patch_entries(w, p, e);

	if (rc < 0)
		return rc;
	if (w->pages++ == 0)
		w->index_pos = w->pos;
	if (w->seal != NULL) {
		np.stored_len += SEG_TAG_LEN;
		seg_page_pack(&np, p->room);
		rc = seal_bytes(w->seal, w->coded.n / 4 + np.number, false,
				p->room, SEAL_PAGE_AAD, p->payload, p->len,
				p->payload, e);
		if (rc < 0)
			return rc;
	}
	np.payload_crc = crc32c(0, p->payload, np.stored_len);
	seg_page_pack(&np, p->room);
	de.stored_len = np.stored_len;
	seg_dir_entry_pack(&de, slot);
	w->pos += SEG_PAGE_LEN + np.stored_len;
	return write_part(w, p->room, SEG_PAGE_LEN + np.stored_len, e);
}

/* The directory's header and clear payload, with room for its tag. */
static int build_dir(struct seg_rewrite *w, const struct seg_index *x,
		     struct seg_dir *dir, struct err *e)
{
	uint32_t tag = w->seal != NULL ? SEG_TAG_LEN : 0;
	uint8_t *p;

	*dir = (struct seg_dir){
	    .pages = w->pages,
	    .has_disk_digest = x->has_disk_digest,
	    .stored_len = (uint32_t)(SEG_RANDOM_LEN + SHA256_LEN +
				     w->dir_entries.n + tag),
	};
	p = seg_buf_add(&w->end, SEG_DIR_LEN + dir->stored_len, e);
	if (p == NULL)
		return -PS_TEMPFAIL;
	seg_dir_pack(dir, p);
	p += SEG_DIR_LEN;
	memcpy(p, x->random, SEG_RANDOM_LEN);
	memcpy(p + SEG_RANDOM_LEN, x->disk_digest, SHA256_LEN);
	if (w->dir_entries.n > 0)
		memcpy(p + SEG_RANDOM_LEN + SHA256_LEN, w->dir_entries.p,
		       w->dir_entries.n);
	return 0;
}

/* Seals the directory, with the trailer that stands behind it, in place. */
static int seal_dir(struct seg_rewrite *w, uint32_t stored_len, size_t dir_len,
		    size_t trailer_len, struct err *e)
{
	size_t aad_len = SEAL_DIR_AAD + SEAL_TRAILER_AAD(trailer_len);
	uint8_t *aad, *payload;
	int rc;

	if (w->seal == NULL)
		return 0;
	aad = malloc(aad_len);
	if (aad == NULL)
		return err_sys(e, PS_TEMPFAIL, "segment index");
	payload = w->end.p + SEG_DIR_LEN;
	memcpy(aad, w->end.p, SEAL_DIR_AAD);
	memcpy(aad + SEAL_DIR_AAD, w->end.p + dir_len, aad_len - SEAL_DIR_AAD);
	rc = seal_bytes(w->seal, w->coded.n / 4 + (uint64_t)w->pages, true, aad,
			aad_len, payload, stored_len - SEG_TAG_LEN, payload, e);
	free(aad);
	return rc;
}

int seg_rewrite_end(struct seg_rewrite *w, const struct seg_index *x,
		    const struct seg_trailer *t, struct err *e)
{
	struct seg_trailer nt = *t;
	struct seg_dir dir;
	uint8_t *p;
	int rc = build_dir(w, x, &dir, e);

	if (rc < 0)
		return rc;
	if (w->indexed != w->coded.n / 4)
		return err_set(e, PS_DATA,
			       "damaged segment: fewer index entries than "
			       "records");
	nt.dir_len = SEG_DIR_LEN + dir.stored_len;
	nt.index_pos = w->pages == 0 ? w->pos : w->index_pos;
	nt.seg_len = w->pos + nt.dir_len + nt.trailer_len;
	nt.stored_bytes = w->stored_bytes;
	p = seg_buf_add(&w->end, nt.trailer_len, e);
	if (p == NULL)
		return -PS_TEMPFAIL;
	seg_trailer_pack(&nt, p);
	rc = seal_dir(w, dir.stored_len, nt.dir_len, nt.trailer_len, e);
	if (rc < 0)
		return rc;
	dir.payload_crc = crc32c(0, w->end.p + SEG_DIR_LEN, dir.stored_len);
	seg_dir_pack(&dir, w->end.p);
	rc = write_part(w, w->end.p, w->end.n, e);
	return rc < 0 ? rc : io_out_flush(w->out, e);
}
