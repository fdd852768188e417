#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/io.h"
#include "segment/object.h"
#include "segment/reader.h"

/* Most trailers and directories lie within it: one read finds them all. */
#define END_READ 4096u

static int bad(struct err *e, const char *what)
{
	return err_set(e, PS_DATA, "damaged segment: %s", what);
}

int seg_fetch_fd(void *ctx, uint64_t pos, void *buf, size_t n, struct err *e)
{
	ssize_t got = io_pread_full(*(int *)ctx, buf, n, pos);

	if (got < 0)
		return err_sys(e, 0, "segment");
	if ((size_t)got != n)
		return bad(e, "it is cut short");
	return 0;
}

static bool sealed(const struct seg_object *o)
{
	return (o->header.encoding & SEG_SEALED) != 0;
}

/* ---- opening ---- */

/*
 * The end of the segment, from the directory on. One read when it is small.
 */
static int fetch_end(struct seg_object *o, uint8_t **ret, size_t *ret_len,
		     struct seg_tail *tail, struct err *e)
{
	size_t first = o->size - SEG_HEADER_LEN < END_READ
			   ? (size_t)(o->size - SEG_HEADER_LEN)
			   : END_READ;
	uint8_t *buf = malloc(first);
	size_t len;
	int rc;

	if (buf == NULL)
		return err_sys(e, PS_TEMPFAIL, "segment");
	rc = o->fetch(o->ctx, o->size - first, buf, first, e);
	if (rc == 0)
		rc = seg_tail_unpack(tail, buf + first - SEG_TAIL_LEN, e);
	if (rc == 0 && tail->seg_len != o->size)
		rc = bad(e, "its length is not what it was");
	len = rc == 0 ? (size_t)tail->dir_len + tail->trailer_len : 0;
	if (rc == 0 && len > first) {
		uint8_t *grown = realloc(buf, len);

		if (grown == NULL) {
			rc = err_sys(e, PS_TEMPFAIL, "segment");
		} else {
			buf = grown;
			rc = o->fetch(o->ctx, o->size - len, buf, len, e);
		}
	} else if (rc == 0) {
		memmove(buf, buf + first - len, len);
	}
	if (rc < 0) {
		free(buf);
		return rc;
	}
	*ret = buf;
	*ret_len = len;
	return 0;
}

static int check_dir_header(const struct seg_object *o,
			    const struct seg_dir *dir, const uint8_t *payload,
			    struct err *e)
{
	uint32_t want = SEG_RANDOM_LEN + SHA256_LEN +
			dir->pages * SEG_DIR_ENTRY_LEN +
			(sealed(o) ? SEG_TAG_LEN : 0);

	if (dir->stored_len != want || o->trailer.dir_len != SEG_DIR_LEN + want)
		return bad(e, "length of the directory");
	if (crc32c(0, payload, dir->stored_len) != dir->payload_crc)
		return bad(e, "CRC of the directory");
	if (o->trailer.last_part != dir->has_disk_digest)
		return bad(e, "last part without a disk digest");
	return 0;
}

/* Opens the directory in place: trailer and directory are then authentic. */
static int unseal_dir(struct seg_object *o, uint8_t *end,
		      const struct seg_dir *dir, struct err *e)
{
	size_t tlen = SEAL_TRAILER_AAD(o->trailer.trailer_len);
	uint8_t *aad = malloc(SEAL_DIR_AAD + tlen);
	uint64_t counter =
	    o->trailer.data_records + o->trailer.zero_records + dir->pages;
	int rc;

	if (aad == NULL)
		return err_sys(e, PS_TEMPFAIL, "segment");
	memcpy(aad, end, SEAL_DIR_AAD);
	memcpy(aad + SEAL_DIR_AAD, end + o->trailer.dir_len, tlen);
	rc = open_bytes(o->seal, counter, true, aad, SEAL_DIR_AAD + tlen,
			end + SEG_DIR_LEN, dir->stored_len, end + SEG_DIR_LEN,
			e);
	free(aad);
	return rc;
}

/* Pages stand one after another from index_pos to the directory. */
static int check_pages(const struct seg_object *o, struct err *e)
{
	uint64_t pos = o->trailer.index_pos, records = 0, after = 0;
	uint64_t dir_pos =
	    o->size - o->trailer.trailer_len - o->trailer.dir_len;
	uint32_t i;

	for (i = 0; i < o->npages; i++) {
		const struct seg_dir_entry *p = &o->pages[i];

		if (p->pos != pos || p->entries == 0 ||
		    p->stored_len > SEG_PAGE_MAX + SEG_TAG_LEN ||
		    p->first_offset < after ||
		    p->end_offset <= p->first_offset ||
		    p->end_offset > o->header.disk_size)
			return bad(e, "page in the directory");
		pos += SEG_PAGE_LEN + p->stored_len;
		records += p->entries;
		after = p->end_offset;
	}
	if (pos != dir_pos ||
	    records != o->trailer.data_records + o->trailer.zero_records ||
	    records > SEG_RECORDS_MAX)
		return bad(e, "directory does not fit the segment");
	return 0;
}

static int read_dir_payload(struct seg_object *o, const struct seg_dir *dir,
			    const uint8_t *p, struct err *e)
{
	uint32_t i;

	memcpy(o->random, p, SEG_RANDOM_LEN);
	memcpy(o->disk_digest, p + SEG_RANDOM_LEN, SHA256_LEN);
	o->has_disk_digest = dir->has_disk_digest;
	p += SEG_RANDOM_LEN + SHA256_LEN;
	o->pages = calloc((size_t)dir->pages + 1, sizeof(*o->pages));
	o->page_record = calloc((size_t)dir->pages + 1, sizeof(uint32_t));
	if (o->pages == NULL || o->page_record == NULL)
		return err_sys(e, PS_TEMPFAIL, "segment");
	o->npages = dir->pages;
	for (i = 0; i < dir->pages; i++, p += SEG_DIR_ENTRY_LEN) {
		seg_dir_entry_unpack(&o->pages[i], p);
		o->page_record[i + 1] = o->page_record[i] + o->pages[i].entries;
	}
	o->readable = true;
	return check_pages(o, e);
}

/* `end` holds directory and trailer. */
static int open_end(struct seg_object *o, uint8_t *end, size_t len,
		    const struct seg_tail *tail, struct err *e)
{
	struct seg_dir dir;
	int rc = seg_trailer_unpack(&o->trailer, end + tail->dir_len,
				    len - tail->dir_len, e);

	if (rc == 0)
		rc = seg_dir_unpack(&dir, end, e);
	if (rc == 0)
		rc = check_dir_header(o, &dir, end + SEG_DIR_LEN, e);
	if (rc < 0)
		return rc;
	if ((o->header.first_seq == o->header.seq) !=
	    (o->trailer.nreplaced == 0))
		return bad(e, "replaced segments in the trailer");
	if (sealed(o) && o->seal == NULL)
		return 0;
	if (sealed(o))
		rc = unseal_dir(o, end, &dir, e);
	return rc < 0 ? rc : read_dir_payload(o, &dir, end + SEG_DIR_LEN, e);
}

int seg_object_open(struct seg_object *o, seg_fetch_fn *fetch, void *ctx,
		    uint64_t size, const struct keyring *keys, struct err *e)
{
	struct seg_tail tail;
	uint8_t *end = NULL;
	size_t len = 0;
	int rc;

	*o = (struct seg_object){.fetch = fetch, .ctx = ctx, .size = size};
	if (size < SEG_HEADER_LEN + SEG_DIR_LEN + SEG_RANDOM_LEN + SHA256_LEN +
		       SEG_TRAILER_FIXED + SHA256_LEN + SEG_TAIL_LEN)
		return bad(e, "it is cut short");
	rc = fetch(ctx, 0, o->header_raw, SEG_HEADER_LEN, e);
	if (rc == 0)
		rc = seg_header_unpack(&o->header, o->header_raw, e);
	if (rc == 0 && sealed(o) && keys != NULL)
		rc = seal_for(&o->seal, keys, &o->header, o->header_raw, e);
	if (rc == 0)
		rc = fetch_end(o, &end, &len, &tail, e);
	if (rc == 0) {
		rc = open_end(o, end, len, &tail, e);
		free(end);
	}
	if (rc < 0)
		seg_object_close(o);
	return rc;
}

void seg_object_close(struct seg_object *o)
{
	seal_free(o->seal);
	seg_trailer_free(&o->trailer);
	free(o->pages);
	free(o->page_record);
	o->seal = NULL;
	o->pages = NULL;
	o->page_record = NULL;
	o->npages = 0;
	o->readable = false;
}

/* ---- pages ---- */

void seg_page_view_free(struct seg_page_view *v)
{
	free(v->payload);
	v->payload = NULL;
}

static int open_page(const struct seg_object *o, uint32_t number, uint8_t *raw,
		     struct seg_page *page, struct err *e)
{
	const struct seg_dir_entry *de = &o->pages[number];
	uint64_t records = o->trailer.data_records + o->trailer.zero_records;
	int rc = seg_page_unpack(page, raw, e);

	if (rc < 0)
		return rc;
	if (page->number != number || page->stored_len != de->stored_len ||
	    page->entries != de->entries || page->record_pos < SEG_HEADER_LEN ||
	    page->record_pos >= o->trailer.index_pos)
		return bad(e, "index page and directory differ");
	if (crc32c(0, raw + SEG_PAGE_LEN, page->stored_len) !=
	    page->payload_crc)
		return bad(e, "CRC of an index page");
	if (sealed(o))
		rc = open_bytes(o->seal, records + number, false, raw,
				SEAL_PAGE_AAD, raw + SEG_PAGE_LEN,
				page->stored_len, raw + SEG_PAGE_LEN, e);
	return rc;
}

int seg_object_page(const struct seg_object *o, uint32_t number,
		    struct seg_page_view *v, struct err *e)
{
	const struct seg_dir_entry *de = &o->pages[number];
	size_t n = SEG_PAGE_LEN + (size_t)de->stored_len;
	struct seg_page page;
	uint8_t *raw = malloc(n);
	int rc;

	if (raw == NULL)
		return err_sys(e, PS_TEMPFAIL, "segment index");
	rc = o->fetch(o->ctx, de->pos, raw, n, e);
	if (rc == 0)
		rc = open_page(o, number, raw, &page, e);
	if (rc < 0) {
		free(raw);
		return rc;
	}
	*v = (struct seg_page_view){
	    .payload = raw,
	    .pos = SEG_PAGE_LEN,
	    .len = n - (sealed(o) ? SEG_TAG_LEN : 0),
	    .record_pos = page.record_pos,
	    .record_no = o->page_record[number],
	    .left = page.entries,
	    .after = de->first_offset,
	};
	return 0;
}

int seg_page_view_next(const struct seg_object *o, struct seg_page_view *v,
		       struct seg_ref *ref, struct err *e)
{
	int rc = seg_page_walk(&o->header, v->payload, v->len, &v->pos,
			       &ref->entry, &ref->digests, e);

	if (rc == 0 && v->left != 0)
		return bad(e, "number of entries in an index page");
	if (rc <= 0)
		return rc;
	if (v->left == 0)
		return bad(e, "number of entries in an index page");
	rc = seg_extent_check(&o->header, ref->entry.zero, ref->entry.offset,
			      ref->entry.raw_len, v->after, e);
	if (rc < 0)
		return rc;
	ref->pos = v->record_pos;
	ref->record_no = v->record_no++;
	ref->nblocks = 0;
	if (ref->entry.zero)
		ref->digests = NULL;
	else
		ref->nblocks = (uint32_t)seg_blocks(ref->entry.raw_len,
						    o->header.block_size);
	v->left--;
	v->after = ref->entry.offset + ref->entry.raw_len;
	v->record_pos += SEG_RECORD_LEN + ref->entry.stored_len;
	if (v->record_pos > o->trailer.index_pos)
		return bad(e, "place of a record");
	return 1;
}

int seg_object_walk(const struct seg_object *o, seg_ref_fn *fn, void *ctx,
		    struct err *e)
{
	uint32_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < o->npages; i++) {
		struct seg_page_view v;
		struct seg_ref ref;

		rc = seg_object_page(o, i, &v, e);
		if (rc < 0)
			return rc;
		while ((rc = seg_page_view_next(o, &v, &ref, e)) > 0) {
			rc = fn(ctx, &ref, e);
			if (rc != 0)
				break;
		}
		seg_page_view_free(&v);
	}
	return rc;
}

/* ---- records ---- */

int seg_object_fetch(const struct seg_object *o, const struct seg_ref *ref,
		     uint8_t *scratch, struct err *e)
{
	return o->fetch(o->ctx, ref->pos, scratch,
			SEG_RECORD_LEN + (size_t)ref->entry.stored_len, e);
}

int seg_object_check(const struct seg_object *o, const struct seg_ref *ref,
		     uint8_t *scratch, struct err *e)
{
	uint8_t *payload = scratch + SEG_RECORD_LEN;
	const struct seg_entry *en = &ref->entry;
	struct seg_record rec;
	int rc = seg_record_unpack(&rec, scratch, e);

	if (rc < 0)
		return rc;
	if (rec.zero != en->zero || rec.codec != en->codec ||
	    rec.offset != en->offset || rec.raw_len != en->raw_len ||
	    rec.stored_len != en->stored_len)
		return bad(e, "record and index differ");
	if (crc32c(0, payload, en->stored_len) != rec.payload_crc)
		return bad(e, "CRC of a record");
	if (!sealed(o))
		return 0;
	return open_bytes(o->seal, ref->record_no, false, scratch,
			  SEAL_RECORD_AAD, payload, en->stored_len, payload, e);
}

int seg_object_decode(const struct seg_object *o, const struct seg_ref *ref,
		      struct codec_state *codec, uint8_t *scratch, uint8_t *out,
		      struct err *e)
{
	uint32_t tag = sealed(o) ? SEG_TAG_LEN : 0;
	int rc = seg_object_check(o, ref, scratch, e);

	if (rc < 0)
		return rc;
	return codec_expand(codec, ref->entry.codec, scratch + SEG_RECORD_LEN,
			    ref->entry.stored_len - tag, out,
			    (size_t)ref->entry.raw_len, e);
}

int seg_object_load(const struct seg_object *o, const struct seg_ref *ref,
		    struct codec_state *codec, uint8_t *scratch, uint8_t *out,
		    struct err *e)
{
	int rc = seg_object_fetch(o, ref, scratch, e);

	return rc < 0 ? rc : seg_object_decode(o, ref, codec, scratch, out, e);
}

static int hash_ref(void *ctx, const struct seg_ref *ref, struct err *e)
{
	(void)e;
	seg_digest_entry(ctx, &ref->entry, ref->digests, ref->nblocks);
	return 0;
}

int seg_object_check_digest(const struct seg_object *o, struct err *e)
{
	struct seg_digest d;
	uint8_t digest[SHA256_LEN];
	int rc;

	seg_digest_begin(&d, &o->header);
	rc = seg_object_walk(o, hash_ref, &d, e);
	if (rc < 0) {
		seg_digest_drop(&d);
		return rc;
	}
	seg_digest_end(&d, o->random, o->disk_digest, &o->trailer, digest);
	if (memcmp(digest, o->trailer.digest, SHA256_LEN) != 0)
		return bad(e, "the segment digest is wrong");
	return 0;
}
