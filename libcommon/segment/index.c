#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "segment/index.h"

static int bad(struct err *e, const char *what)
{
	return err_set(e, PS_DATA, "damaged segment: %s", what);
}

uint8_t *seg_buf_add(struct seg_buf *b, size_t n, struct err *e)
{
	uint8_t *p;

	if (n > b->cap - b->n) {
		size_t cap = b->n + n + b->cap / 2 + 256;

		p = realloc(b->p, cap);
		if (p == NULL) {
			err_sys(e, PS_TEMPFAIL, "segment index");
			return NULL;
		}
		b->p = p;
		b->cap = cap;
	}
	p = b->p + b->n;
	b->n += n;
	return p;
}

static void drop_hashes(struct seg_index *x)
{
	if (!x->begun)
		return;
	seg_digest_drop(&x->digest);
	sha256_drop(&x->in_records);
	sha256_drop(&x->in_index);
	x->begun = false;
}

void seg_index_begin(struct seg_index *x, const struct seg_header *h,
		     const struct seal *seal)
{
	drop_hashes(x);
	x->header = *h;
	x->seal = seal;
	x->records = 0;
	x->dir.n = x->dir_entries.n = 0;
	x->record_pos = SEG_HEADER_LEN;
	seg_digest_begin(&x->digest, h);
	sha256_init(&x->in_records);
	sha256_init(&x->in_index);
	x->begun = true;
}

void seg_index_free(struct seg_index *x)
{
	drop_hashes(x);
	free(x->page.p);
	free(x->dir.p);
	free(x->dir_entries.p);
	*x = (struct seg_index){0};
}

void seg_index_record(struct seg_index *x, const struct seg_record *r)
{
	struct seg_entry en = {r->zero, r->codec, r->stored_len, r->offset,
			       r->raw_len};
	uint8_t packed[SEG_ENTRY_LEN];

	seg_entry_pack(&en, packed);
	sha256_update(&x->in_records, packed, sizeof(packed));
	x->records++;
}

/* ---- pages ---- */

/* Copies the payload, opened, behind room for a header. */
static int open_page(struct seg_index *x, const struct seg_item *item,
		     struct seg_index_page *ret, struct err *e)
{
	size_t n = item->page.stored_len;

	x->page.n = 0;
	ret->room = seg_buf_add(&x->page, SEG_PAGE_LEN + n + SEG_TAG_LEN, e);
	if (ret->room == NULL)
		return -PS_TEMPFAIL;
	ret->payload = ret->room + SEG_PAGE_LEN;
	ret->len = n;
	if (x->seal == NULL) {
		memcpy(ret->payload, item->payload, n);
		return 0;
	}
	if (n < SEG_TAG_LEN)
		return bad(e, "seal of an index page");
	ret->len = n - SEG_TAG_LEN;
	return open_bytes(x->seal, (uint64_t)x->records + item->page.number,
			  false, item->raw, SEAL_PAGE_AAD, item->payload, n,
			  ret->payload, e);
}

/* Hashes the entries as the digest and as the records had them. */
static int walk_page(struct seg_index *x, const struct seg_item *item,
		     struct seg_index_page *ret, struct err *e)
{
	const uint8_t *digests;
	struct seg_entry en;
	uint32_t n = 0;
	size_t pos = 0, begin = 0;
	int rc;

	while ((rc = seg_page_walk(&x->header, ret->payload, ret->len, &pos,
				   &en, &digests, e)) > 0) {
		if (n++ == 0)
			ret->first_offset = en.offset;
		ret->end_offset = en.offset + en.raw_len;
		x->record_pos += SEG_RECORD_LEN + en.stored_len;
		sha256_update(&x->in_index, ret->payload + begin,
			      SEG_ENTRY_LEN);
		seg_digest_entry(&x->digest, &en, digests,
				 seg_blocks(en.raw_len, x->header.block_size));
		begin = pos;
	}
	if (rc == 0 && n != item->page.entries)
		rc = bad(e, "number of entries in an index page");
	return rc;
}

int seg_index_page(struct seg_index *x, const struct seg_item *item,
		   struct seg_index_page *ret, struct err *e)
{
	struct seg_dir_entry de = {.pos = item->pos,
				   .stored_len = item->page.stored_len,
				   .entries = item->page.entries};
	uint8_t *slot;
	int rc;

	if (item->page.record_pos != x->record_pos)
		return bad(e, "place in an index page");
	rc = open_page(x, item, ret, e);
	if (rc == 0)
		rc = walk_page(x, item, ret, e);
	if (rc < 0)
		return rc;
	de.first_offset = ret->first_offset;
	de.end_offset = ret->end_offset;
	slot = seg_buf_add(&x->dir_entries, SEG_DIR_ENTRY_LEN, e);
	if (slot == NULL)
		return -PS_TEMPFAIL;
	seg_dir_entry_pack(&de, slot);
	return 0;
}

/* ---- directory and trailer ---- */

int seg_index_dir(struct seg_index *x, const struct seg_item *item,
		  struct err *e)
{
	uint8_t *p;

	x->dir.n = 0;
	p = seg_buf_add(&x->dir, item->raw_len, e);
	if (p == NULL)
		return -PS_TEMPFAIL;
	memcpy(p, item->raw, item->raw_len);
	x->has_disk_digest = item->dir.has_disk_digest;
	return 0;
}

/* Opens the directory in place; the trailer is authentic if that works. */
static int open_dir(struct seg_index *x, const struct seg_item *trailer,
		    struct err *e)
{
	size_t n = x->dir.n - SEG_DIR_LEN;
	size_t aad_len = SEAL_DIR_AAD + SEAL_TRAILER_AAD(trailer->raw_len);
	uint64_t pages = x->dir_entries.n / SEG_DIR_ENTRY_LEN;
	uint8_t *payload = x->dir.p + SEG_DIR_LEN, *aad;
	int rc;

	if (x->seal == NULL)
		return 0;
	aad = malloc(aad_len);
	if (aad == NULL)
		return err_sys(e, PS_TEMPFAIL, "segment index");
	memcpy(aad, x->dir.p, SEAL_DIR_AAD);
	memcpy(aad + SEAL_DIR_AAD, trailer->raw, aad_len - SEAL_DIR_AAD);
	rc = open_bytes(x->seal, x->records + pages, true, aad, aad_len,
			payload, n, payload, e);
	free(aad);
	x->dir.n -= SEG_TAG_LEN;
	return rc;
}

static int check_dir(struct seg_index *x, struct err *e)
{
	const uint8_t *p = x->dir.p + SEG_DIR_LEN;
	size_t n = x->dir.n - SEG_DIR_LEN;

	if (n != SEG_RANDOM_LEN + SHA256_LEN + x->dir_entries.n ||
	    (x->dir_entries.n > 0 &&
	     memcmp(p + SEG_RANDOM_LEN + SHA256_LEN, x->dir_entries.p,
		    x->dir_entries.n) != 0))
		return bad(e, "page in the directory");
	memcpy(x->random, p, SEG_RANDOM_LEN);
	memcpy(x->disk_digest, p + SEG_RANDOM_LEN, SHA256_LEN);
	if (!x->has_disk_digest && !bytes_all_zero(x->disk_digest, SHA256_LEN))
		return bad(e, "disk digest in the directory");
	return 0;
}

int seg_index_end(struct seg_index *x, const struct seg_trailer *t,
		  const struct seg_item *item, struct err *e)
{
	uint8_t a[SHA256_LEN], b[SHA256_LEN];
	int rc = open_dir(x, item, e);

	if (rc == 0)
		rc = check_dir(x, e);
	if (rc < 0)
		return rc;
	sha256_final(&x->in_records, a);
	sha256_final(&x->in_index, b);
	if (memcmp(a, b, sizeof(a)) != 0)
		return bad(e, "index and records differ");
	seg_digest_end(&x->digest, x->random, x->disk_digest, t, a);
	x->begun = false;
	if (memcmp(a, t->digest, sizeof(a)) != 0)
		return bad(e, "the segment digest is wrong");
	return 0;
}
