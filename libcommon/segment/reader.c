#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "segment/reader.h"

enum phase { BETWEEN, RECORDS, PAGES, DIRECTORY };

struct seg_reader_state {
	enum phase phase;
	uint8_t *buf; /* parts are read into it */
	size_t cap;
	uint8_t *lent;		 /* of seg_reader_use, for the next record */
	uint64_t pos;		 /* of the next part, in the segment */
	uint64_t after;		 /* end of the last record in the disk */
	struct seg_trailer seen; /* totals of the records that passed */
	uint32_t records;
	bool digest_begun;
	struct seg_digest digest;
	struct sha256 in_records, in_index; /* the same entries, both ways */
	/* index */
	uint32_t indexed; /* records that the index has named so far */
	uint64_t index_pos, record_pos, index_after;
	struct seg_dir_entry *pages; /* of a clear segment */
	uint32_t npages, pages_cap;
	uint8_t random[SEG_RANDOM_LEN], disk_digest[SHA256_LEN];
	bool has_disk_digest;
	uint32_t dir_len;
};

static int bad(struct err *e, const char *what)
{
	return err_set(e, PS_DATA, "damaged segment: %s", what);
}

/* Puts machine, disk and sequence before what went wrong. */
static int at(struct seg_reader *r, int rc, struct err *e)
{
	if (rc >= 0 || r->st->phase == BETWEEN)
		return rc;
	err_prefix(e, "%s/%s %llu", r->header.machine, r->header.disk,
		   (unsigned long long)r->header.seq);
	return rc;
}

int seg_reader_open(struct seg_reader *r, struct io_in *in, struct err *e)
{
	struct seg_reader_state *st = calloc(1, sizeof(*st));

	*r = (struct seg_reader){.in = in, .st = st};
	if (st == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s", in->name);
	st->cap = SEG_RECORD_MAX + SEG_PAGE_LEN;
	st->buf = malloc(st->cap);
	if (st->buf == NULL) {
		free(st);
		r->st = NULL;
		return err_sys(e, PS_TEMPFAIL, "%s", in->name);
	}
	return 0;
}

static void drop_hashes(struct seg_reader_state *st)
{
	if (!st->digest_begun)
		return;
	seg_digest_drop(&st->digest);
	sha256_drop(&st->in_records);
	sha256_drop(&st->in_index);
	st->digest_begun = false;
}

void seg_reader_close(struct seg_reader *r)
{
	if (r->st == NULL)
		return;
	drop_hashes(r->st);
	seg_trailer_free(&r->trailer);
	free(r->st->pages);
	free(r->st->buf);
	free(r->st);
	r->st = NULL;
}

void seg_reader_use(struct seg_reader *r, uint8_t *buf)
{
	r->st->lent = buf;
}

/* Reads n bytes that must be there. */
static int need(struct seg_reader *r, void *dst, size_t n, struct err *e)
{
	int rc = io_in_read(r->in, dst, n, e);

	if (rc == 0)
		return err_set(e, PS_DATA,
			       "%s: the stream ends inside a segment",
			       r->in->name);
	return rc < 0 ? rc : 0;
}

static int grow(struct seg_reader_state *st, size_t n, struct err *e)
{
	uint8_t *p;

	if (n <= st->cap)
		return 0;
	p = realloc(st->buf, n);
	if (p == NULL)
		return err_sys(e, PS_TEMPFAIL, "segment reader");
	st->buf = p;
	st->cap = n;
	return 0;
}

/* ---- header ---- */

static void begin_segment(struct seg_reader *r)
{
	struct seg_reader_state *st = r->st;

	drop_hashes(st);
	seg_trailer_free(&r->trailer);
	st->phase = RECORDS;
	st->pos = SEG_HEADER_LEN;
	st->after = st->index_after = 0;
	st->seen = (struct seg_trailer){0};
	st->records = st->indexed = st->npages = 0;
	st->record_pos = SEG_HEADER_LEN;
	if (seg_reader_clear(r)) {
		seg_digest_begin(&st->digest, &r->header);
		sha256_init(&st->in_records);
		sha256_init(&st->in_index);
		st->digest_begun = true;
	}
}

static int read_header(struct seg_reader *r, struct seg_item *item,
		       struct err *e)
{
	int rc = io_in_read(r->in, r->header_raw, SEG_HEADER_LEN, e);

	if (rc <= 0)
		return rc;
	rc = seg_header_unpack(&r->header, r->header_raw, e);
	if (rc < 0) {
		err_prefix(e, "%s", r->in->name);
		return rc;
	}
	begin_segment(r);
	item->part = SEG_PART_HEADER;
	item->pos = 0;
	item->raw = r->header_raw;
	item->raw_len = SEG_HEADER_LEN;
	return 1;
}

/* ---- records ---- */

/* What the encoding in the header says must be true of every record. */
static int check_coding(const struct seg_header *h, bool zero, uint8_t codec,
			uint64_t raw_len, uint32_t stored_len, struct err *e)
{
	uint32_t tag = (h->encoding & SEG_SEALED) != 0 ? SEG_TAG_LEN : 0;

	if (stored_len < tag || (zero && stored_len != tag) ||
	    (!zero && stored_len == tag))
		return bad(e, "seal of a record");
	if (codec != SEG_STORE && (h->encoding & SEG_COMPRESSED) == 0)
		return bad(e, "compressed record in a plain segment");
	if (!zero && codec == SEG_STORE && stored_len != raw_len + tag)
		return bad(e, "length of a stored record");
	if (codec != SEG_STORE && stored_len - tag >= raw_len)
		return bad(e, "length of a compressed record");
	return 0;
}

static void count_record(struct seg_trailer *t, bool zero, uint64_t raw_len,
			 uint32_t stored_len)
{
	t->stored_bytes += stored_len;
	if (zero) {
		t->zero_records++;
		t->zero_bytes += raw_len;
	} else {
		t->data_records++;
		t->data_bytes += raw_len;
	}
}

static int accept_record(struct seg_reader *r, const struct seg_record *rec,
			 struct err *e)
{
	struct seg_reader_state *st = r->st;
	uint8_t packed[SEG_ENTRY_LEN];
	int rc;

	if (st->records == SEG_RECORDS_MAX)
		return bad(e, "too many records");
	rc = seg_extent_check(&r->header, rec->zero, rec->offset, rec->raw_len,
			      st->after, e);
	if (rc == 0)
		rc = check_coding(&r->header, rec->zero, rec->codec,
				  rec->raw_len, rec->stored_len, e);
	if (rc < 0)
		return rc;
	st->after = rec->offset + rec->raw_len;
	count_record(&st->seen, rec->zero, rec->raw_len, rec->stored_len);
	if (st->digest_begun) {
		struct seg_entry en = {rec->zero, rec->codec, rec->stored_len,
				       rec->offset, rec->raw_len};

		seg_entry_pack(&en, packed);
		sha256_update(&st->in_records, packed, sizeof(packed));
	}
	return 0;
}

static int read_record(struct seg_reader *r, const uint8_t magic[4],
		       struct seg_item *item, struct err *e)
{
	struct seg_reader_state *st = r->st;
	uint8_t *buf = st->lent != NULL ? st->lent : st->buf;
	struct seg_record *rec = &item->record;
	int rc;

	memcpy(buf, magic, 4);
	rc = need(r, buf + 4, SEG_RECORD_LEN - 4, e);
	if (rc == 0)
		rc = seg_record_unpack(rec, buf, e);
	if (rc == 0)
		rc = accept_record(r, rec, e);
	if (rc == 0)
		rc = need(r, buf + SEG_RECORD_LEN, rec->stored_len, e);
	if (rc < 0)
		return rc;
	if (crc32c(0, buf + SEG_RECORD_LEN, rec->stored_len) !=
	    rec->payload_crc)
		return bad(e, "CRC of a record");
	if (buf == st->lent)
		st->lent = NULL;
	item->part = SEG_PART_RECORD;
	item->pos = st->pos;
	item->raw = buf;
	item->raw_len = SEG_RECORD_LEN + rec->stored_len;
	item->payload = buf + SEG_RECORD_LEN;
	item->record_no = st->records++;
	st->pos += item->raw_len;
	return 1;
}

/* ---- index pages ---- */

int seg_page_walk(const struct seg_header *h, const uint8_t *payload,
		  size_t len, size_t *pos, struct seg_entry *en,
		  const uint8_t **digests, struct err *e)
{
	size_t n;
	int rc;

	if (*pos == len)
		return 0;
	if (len - *pos < SEG_ENTRY_LEN)
		return bad(e, "index page");
	rc = seg_entry_unpack(en, payload + *pos, e);
	if (rc < 0)
		return rc;
	*pos += SEG_ENTRY_LEN;
	*digests = payload + *pos;
	n = en->zero
		? 0
		: seg_blocks(en->raw_len, h->block_size) * BLOCK_DIGEST_LEN;
	if (len - *pos < n)
		return bad(e, "index page");
	*pos += n;
	return 1;
}

/* Notes what a clear page says; the directory must say the same. */
static int note_page(struct seg_reader_state *st, const struct seg_page *page,
		     uint64_t first, uint64_t end, struct err *e)
{
	struct seg_dir_entry *p;

	if (st->npages == st->pages_cap) {
		st->pages_cap = st->pages_cap == 0 ? 16 : 2 * st->pages_cap;
		p = realloc(st->pages, st->pages_cap * sizeof(*p));
		if (p == NULL)
			return err_sys(e, PS_TEMPFAIL, "segment reader");
		st->pages = p;
	}
	st->pages[st->npages] = (struct seg_dir_entry){
	    .pos = st->pos,
	    .stored_len = page->stored_len,
	    .entries = page->entries,
	    .first_offset = first,
	    .end_offset = end,
	};
	return 0;
}

/* Entries of a clear page: in order, and hashed for two comparisons. */
static int check_page(struct seg_reader *r, const struct seg_page *page,
		      const uint8_t *payload, struct err *e)
{
	struct seg_reader_state *st = r->st;
	const uint8_t *digests;
	struct seg_entry en;
	uint64_t first = 0;
	uint32_t n = 0;
	size_t pos = 0, begin = 0;
	int rc;

	if (page->record_pos != st->record_pos)
		return bad(e, "place in an index page");
	while ((rc = seg_page_walk(&r->header, payload, page->stored_len, &pos,
				   &en, &digests, e)) > 0) {
		rc = seg_extent_check(&r->header, en.zero, en.offset,
				      en.raw_len, st->index_after, e);
		if (rc < 0)
			return rc;
		if (n++ == 0)
			first = en.offset;
		st->index_after = en.offset + en.raw_len;
		st->record_pos += SEG_RECORD_LEN + en.stored_len;
		sha256_update(&st->in_index, payload + begin, SEG_ENTRY_LEN);
		seg_digest_entry(&st->digest, &en, digests,
				 seg_blocks(en.raw_len, r->header.block_size));
		begin = pos;
	}
	if (rc < 0)
		return rc;
	if (n != page->entries)
		return bad(e, "number of entries in an index page");
	return note_page(st, page, first, st->index_after, e);
}

static int read_page(struct seg_reader *r, const uint8_t magic[4],
		     struct seg_item *item, struct err *e)
{
	struct seg_reader_state *st = r->st;
	struct seg_page *page = &item->page;
	int rc;

	if (st->phase == RECORDS) {
		st->phase = PAGES;
		st->index_pos = st->pos;
		st->npages = 0;
	}
	memcpy(st->buf, magic, 4);
	rc = need(r, st->buf + 4, SEG_PAGE_LEN - 4, e);
	if (rc == 0)
		rc = seg_page_unpack(page, st->buf, e);
	/* Sealed later it would be too long for every reader behind. */
	if (rc == 0 && seg_reader_clear(r) && page->stored_len > SEG_PAGE_MAX)
		rc = bad(e, "length of an index page");
	if (rc == 0)
		rc = need(r, st->buf + SEG_PAGE_LEN, page->stored_len, e);
	if (rc < 0)
		return rc;
	item->payload = st->buf + SEG_PAGE_LEN;
	if (crc32c(0, item->payload, page->stored_len) != page->payload_crc)
		return bad(e, "CRC of an index page");
	if (page->number != st->npages ||
	    page->entries > st->records - st->indexed)
		return bad(e, "index pages out of order");
	st->indexed += page->entries;
	if (seg_reader_clear(r))
		rc = check_page(r, page, item->payload, e);
	if (rc < 0)
		return rc;
	st->npages++;
	item->part = SEG_PART_PAGE;
	item->pos = st->pos;
	item->raw = st->buf;
	item->raw_len = SEG_PAGE_LEN + page->stored_len;
	st->pos += item->raw_len;
	return 1;
}

/* ---- directory ---- */

/* A clear directory must name the pages that passed. */
static int check_dir(struct seg_reader *r, const uint8_t *payload,
		     struct err *e)
{
	struct seg_reader_state *st = r->st;
	uint8_t a[SHA256_LEN], b[SHA256_LEN], packed[SEG_DIR_ENTRY_LEN];
	uint32_t i;

	memcpy(st->random, payload, SEG_RANDOM_LEN);
	memcpy(st->disk_digest, payload + SEG_RANDOM_LEN, SHA256_LEN);
	payload += SEG_RANDOM_LEN + SHA256_LEN;
	if (!st->has_disk_digest &&
	    !bytes_all_zero(st->disk_digest, SHA256_LEN))
		return bad(e, "disk digest in the directory");
	for (i = 0; i < st->npages; i++, payload += SEG_DIR_ENTRY_LEN) {
		seg_dir_entry_pack(&st->pages[i], packed);
		if (memcmp(packed, payload, sizeof(packed)) != 0)
			return bad(e, "page in the directory");
	}
	sha256_final(&st->in_records, a);
	sha256_final(&st->in_index, b);
	if (memcmp(a, b, sizeof(a)) != 0)
		return bad(e, "index and records differ");
	return 0;
}

static int read_dir(struct seg_reader *r, const uint8_t magic[4],
		    struct seg_item *item, struct err *e)
{
	struct seg_reader_state *st = r->st;
	uint32_t tag = seg_reader_clear(r) ? 0 : SEG_TAG_LEN;
	struct seg_dir *dir = &item->dir;
	int rc;

	if (st->phase == RECORDS)
		st->index_pos = st->pos;
	st->phase = DIRECTORY;
	memcpy(st->buf, magic, 4);
	rc = need(r, st->buf + 4, SEG_DIR_LEN - 4, e);
	if (rc == 0)
		rc = seg_dir_unpack(dir, st->buf, e);
	if (rc == 0)
		rc = grow(st, SEG_DIR_LEN + (size_t)dir->stored_len, e);
	if (rc == 0)
		rc = need(r, st->buf + SEG_DIR_LEN, dir->stored_len, e);
	if (rc < 0)
		return rc;
	item->payload = st->buf + SEG_DIR_LEN;
	if (crc32c(0, item->payload, dir->stored_len) != dir->payload_crc)
		return bad(e, "CRC of the directory");
	if (dir->pages != st->npages || st->indexed != st->records ||
	    dir->stored_len != SEG_RANDOM_LEN + SHA256_LEN +
				   dir->pages * SEG_DIR_ENTRY_LEN + tag)
		return bad(e, "index and records differ in number");
	st->has_disk_digest = dir->has_disk_digest;
	if (seg_reader_clear(r))
		rc = check_dir(r, item->payload, e);
	if (rc < 0)
		return rc;
	item->part = SEG_PART_DIR;
	item->pos = st->pos;
	item->raw = st->buf;
	item->raw_len = SEG_DIR_LEN + dir->stored_len;
	st->dir_len = (uint32_t)item->raw_len;
	st->pos += item->raw_len;
	return 1;
}

/* ---- trailer ---- */

/* Its length is known only when its lists have been read. */
static int read_trailer_bytes(struct seg_reader *r, size_t *ret_len,
			      struct err *e)
{
	struct seg_reader_state *st = r->st;
	size_t len = SEG_TRAILER_FIXED, rest;
	uint32_t members, replaced, i;
	int rc = need(r, st->buf + 4, SEG_TRAILER_FIXED - 4, e);

	if (rc < 0)
		return rc;
	members = get_le32(st->buf + 56);
	replaced = get_le32(st->buf + 60);
	if (members > SEG_MEMBERS_MAX || replaced > SEG_REPLACED_MAX)
		return bad(e, "lists in the trailer");
	rest = (size_t)replaced * (8 + SHA256_LEN) + SHA256_LEN + SEG_TAIL_LEN;
	rc = grow(st, len + members * (2 + 2 * 255u) + rest, e);
	for (i = 0; rc == 0 && i < members; i++) {
		size_t names;

		rc = need(r, st->buf + len, 2, e);
		if (rc < 0)
			break;
		names = (size_t)st->buf[len] + st->buf[len + 1];
		rc = need(r, st->buf + len + 2, names, e);
		len += 2 + names;
	}
	if (rc == 0)
		rc = need(r, st->buf + len, rest, e);
	*ret_len = len + rest;
	return rc;
}

static int check_totals(struct seg_reader *r, struct err *e)
{
	const struct seg_reader_state *st = r->st;
	const struct seg_trailer *t = &r->trailer;

	if (t->data_bytes != st->seen.data_bytes ||
	    t->zero_bytes != st->seen.zero_bytes ||
	    t->data_records != st->seen.data_records ||
	    t->zero_records != st->seen.zero_records ||
	    t->stored_bytes != st->seen.stored_bytes)
		return bad(e, "totals in the trailer");
	if (t->index_pos != st->index_pos || t->dir_len != st->dir_len ||
	    t->seg_len != st->pos + t->trailer_len)
		return bad(e, "places in the trailer");
	if (t->last_part != st->has_disk_digest)
		return bad(e, "last part without a disk digest");
	if ((r->header.first_seq == r->header.seq) != (t->nreplaced == 0))
		return bad(e, "replaced segments in the trailer");
	return 0;
}

static int check_digest(struct seg_reader *r, struct err *e)
{
	struct seg_reader_state *st = r->st;
	uint8_t digest[SHA256_LEN];

	st->digest_begun = false;
	seg_digest_end(&st->digest, st->random, st->disk_digest, &r->trailer,
		       digest);
	if (memcmp(digest, r->trailer.digest, SHA256_LEN) != 0)
		return bad(e, "the segment digest is wrong");
	return 0;
}

static int read_trailer(struct seg_reader *r, const uint8_t magic[4],
			struct seg_item *item, struct err *e)
{
	struct seg_reader_state *st = r->st;
	size_t len = 0;
	int rc;

	memcpy(st->buf, magic, 4);
	rc = read_trailer_bytes(r, &len, e);
	if (rc == 0)
		rc = seg_trailer_unpack(&r->trailer, st->buf, len, e);
	if (rc == 0)
		rc = check_totals(r, e);
	if (rc == 0 && seg_reader_clear(r))
		rc = check_digest(r, e);
	if (rc < 0)
		return rc;
	item->part = SEG_PART_TRAILER;
	item->pos = st->pos;
	item->raw = st->buf;
	item->raw_len = len;
	st->phase = BETWEEN;
	r->segments++;
	return 1;
}

static int read_part(struct seg_reader *r, struct seg_item *item, struct err *e)
{
	enum phase phase = r->st->phase;
	uint8_t magic[4];
	int rc = need(r, magic, sizeof(magic), e);

	if (rc < 0)
		return rc;
	switch (seg_part_of(magic)) {
	case SEG_PART_RECORD:
		if (phase == RECORDS)
			return read_record(r, magic, item, e);
		break;
	case SEG_PART_PAGE:
		if (phase != DIRECTORY)
			return read_page(r, magic, item, e);
		break;
	case SEG_PART_DIR:
		if (phase != DIRECTORY)
			return read_dir(r, magic, item, e);
		break;
	case SEG_PART_TRAILER:
		if (phase == DIRECTORY)
			return read_trailer(r, magic, item, e);
		break;
	default:
		break;
	}
	return bad(e, "a part is missing or unknown");
}

int seg_reader_next(struct seg_reader *r, struct seg_item *item, struct err *e)
{
	*item = (struct seg_item){0};
	if (r->st->phase == BETWEEN)
		return read_header(r, item, e);
	return at(r, read_part(r, item, e), e);
}
