/*
 * A source that holds the key and lies: its seals are right, so only index,
 * records and digests can tell.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "run.h"
#include "segment/keyring.h"
#include "segment/rewrite.h"

static struct keyring *ring;
static struct sample plain;

static int begin(void **state)
{
	(void)state;
	assert_int_equal(keyring_new(&ring, NULL), 0);
	assert_int_equal(keyring_add(ring, NULL), 0);
	sample_make(&plain, 1);
	return 0;
}

static int end(void **state)
{
	(void)state;
	sample_free(&plain);
	keyring_free(ring);
	return 0;
}

enum lie {
	NONE,
	RANDOM_BYTES,
	BLOCK_DIGEST,
	OFFSET,
	DISK_DIGEST,
	STORED_LENGTH,
	RECORD_PLACE,
	DIRECTORY_ENTRY,
	LIES,
};

static int lie_in_page(struct seg_rewrite *w, const struct seg_item *item,
		       struct seg_index *x, enum lie lie)
{
	struct seg_index_page page;

	assert_int_equal(seg_index_page(x, item, &page, NULL), 0);
	if (lie == BLOCK_DIGEST)
		page.payload[SEG_ENTRY_LEN] ^= 1;
	if (lie == OFFSET) /* of the second entry, by a block */
		page.payload[SEG_ENTRY_LEN + BLOCK_DIGEST_LEN + 9] ^= 0x10;
	if (lie == RECORD_PLACE)
		w->record_pos += 4;
	if (lie == STORED_LENGTH)
		put_le32(w->coded.p, get_le32(w->coded.p) - 1);
	return seg_rewrite_page(w, &item->page, &page, NULL);
}

static int lie_at_end(struct seg_rewrite *w, const struct seg_reader *r,
		      const struct seg_item *item, struct seg_index *x,
		      enum lie lie)
{
	assert_int_equal(seg_index_end(x, &r->trailer, item, NULL), 0);
	if (lie == RANDOM_BYTES)
		x->random[0] ^= 1;
	if (lie == DISK_DIGEST)
		x->disk_digest[0] ^= 1;
	if (lie == DIRECTORY_ENTRY) /* first offset */
		w->dir_entries.p[17] ^= 0x10;
	return seg_rewrite_end(w, x, &r->trailer, NULL);
}

/* Seals the record in place, as the engine does. */
static int seal_record(struct seg_rewrite *w, struct seg_item *item,
		       uint8_t *buf)
{
	struct seg_record *rec = &item->record;
	uint8_t *payload = buf + SEG_RECORD_LEN;
	uint32_t n = rec->stored_len;

	memcpy(buf, item->raw, item->raw_len);
	rec->stored_len += SEG_TAG_LEN;
	seg_record_pack(rec, buf);
	assert_int_equal(seal_bytes(w->seal, item->record_no, false, buf,
				    SEAL_RECORD_AAD, payload, n, payload, NULL),
			 0);
	rec->payload_crc = crc32c(0, payload, rec->stored_len);
	seg_record_pack(rec, buf);
	return seg_rewrite_record(
	    w, rec, buf, SEG_RECORD_LEN + (size_t)rec->stored_len, NULL);
}

/* Seals the first segment of `plain` with one lie in it. */
static void seal_lying(struct sample *out, enum lie lie)
{
	struct sample_in src = {plain.p, plain.n, 0};
	static uint8_t buf[SEG_RECORD_MAX];
	struct seg_rewrite w = {0};
	struct seg_index x = {0};
	struct seal *seal = NULL;
	struct seg_reader r;
	struct seg_header h;
	struct seg_item item;
	struct io_out sink;
	struct io_in in;

	out->n = 0;
	assert_int_equal(io_in_open(&in, sample_read, &src, "s", NULL), 0);
	assert_int_equal(io_out_open(&sink, sample_write, out, "o", NULL), 0);
	assert_int_equal(seg_reader_open(&r, &in, NULL), 0);
	while (r.segments == 0) {
		int rc = 0;

		assert_int_equal(seg_reader_next(&r, &item, NULL), 1);
		if (item.part == SEG_PART_HEADER) {
			h = r.header;
			assert_int_equal(seal_new(&seal, ring, &h, NULL), 0);
			seg_index_begin(&x, &r.header, NULL);
			seg_rewrite_begin(&w, &sink, &h, seal);
		} else if (item.part == SEG_PART_RECORD) {
			seg_index_record(&x, &item.record);
			rc = seal_record(&w, &item, buf);
		} else if (item.part == SEG_PART_PAGE) {
			rc = lie_in_page(&w, &item, &x, lie);
		} else if (item.part == SEG_PART_DIR) {
			rc = seg_index_dir(&x, &item, NULL);
		} else {
			rc = lie_at_end(&w, &r, &item, &x, lie);
		}
		assert_int_equal(rc, 0);
	}
	seal_free(seal);
	seg_rewrite_free(&w);
	seg_index_free(&x);
	seg_reader_close(&r);
	io_in_close(&in);
	io_out_close(&sink);
}

/* The seal is right, so only index, records and digest can tell. */
static void a_lie_under_a_good_seal_is_seen(void **state)
{
	struct sample s = {0}, out = {0};
	enum lie lie;

	(void)state;
	seal_lying(&s, NONE);
	assert_int_equal(run_transform(TRANSFORM_OPEN, ring, &s, &out), 0);
	assert_memory_equal(out.p, plain.p, out.n);
	assert_int_equal(run_verify(&s, ring), 0);
	for (lie = RANDOM_BYTES; lie < LIES; lie++) {
		seal_lying(&s, lie);
		assert_int_equal(run_verify(&s, NULL), 0);
		assert_int_equal(run_transform(TRANSFORM_OPEN, ring, &s, &out),
				 -PS_DATA);
		assert_int_equal(run_verify(&s, ring), -PS_DATA);
	}
	sample_free(&s);
	sample_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_lie_under_a_good_seal_is_seen),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
