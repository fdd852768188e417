/* The stream reader takes what the writer makes, and nothing else. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sample.h"
#include "segment/reader.h"

struct result {
	int rc;
	unsigned parts;
	uint64_t segments;
};

static struct result read_all(const uint8_t *p, size_t n)
{
	struct sample_in src = {p, n, 0};
	struct result res = {0};
	struct seg_reader r;
	struct seg_item item;
	struct io_in in;
	struct err e = {0};

	assert_int_equal(io_in_open(&in, sample_read, &src, "sample", &e), 0);
	assert_int_equal(seg_reader_open(&r, &in, &e), 0);
	while ((res.rc = seg_reader_next(&r, &item, &e)) > 0)
		res.parts++;
	if (res.rc < 0) {
		assert_int_equal(-res.rc, e.code);
		assert_true(strlen(e.msg) > 10);
	}
	res.segments = r.segments;
	seg_reader_close(&r);
	io_in_close(&in);
	return res;
}

static void reads_what_the_writer_makes(void **state)
{
	struct sample s;
	struct result res;

	(void)state;
	sample_make(&s, 3);
	res = read_all(s.p, s.n);
	assert_int_equal(res.rc, 0);
	assert_int_equal(res.segments, 3);
	/* header, 4 records, page, directory, trailer */
	assert_int_equal(res.parts, 3 * 8);
	sample_free(&s);
}

static void an_empty_stream_is_a_stream(void **state)
{
	struct result res = read_all((const uint8_t *)"", 0);

	(void)state;
	assert_int_equal(res.rc, 0);
	assert_int_equal(res.segments, 0);
}

static void every_truncation_is_seen(void **state)
{
	struct sample s;
	size_t n;

	(void)state;
	sample_make(&s, 1);
	for (n = 1; n < s.n; n++)
		assert_int_equal(read_all(s.p, n).rc, -PS_DATA);
	sample_free(&s);
}

/* Every bit of a stored segment is under a CRC or is checked by itself. */
static void every_flipped_bit_is_seen(void **state)
{
	struct sample s;
	size_t i;

	(void)state;
	sample_make(&s, 1);
	for (i = 0; i < s.n; i++) {
		s.p[i] ^= (uint8_t)(1 << (i % 8));
		if (read_all(s.p, s.n).rc >= 0)
			fail_msg("a bit flipped at %zu went unseen", i);
		s.p[i] ^= (uint8_t)(1 << (i % 8));
	}
	sample_free(&s);
}

static void garbage_behind_a_segment_is_seen(void **state)
{
	struct sample s;
	struct result res;

	(void)state;
	sample_make(&s, 1);
	s.p[s.n] = 'x'; /* the buffer is larger than what it holds */
	res = read_all(s.p, s.n + 1);
	assert_int_equal(res.rc, -PS_DATA);
	assert_int_equal(res.segments, 1);
	sample_free(&s);
}

/* Parts of one segment cannot stand in another one. */
static void a_part_of_another_segment_is_seen(void **state)
{
	struct sample s, mixed = {0};
	size_t half;

	(void)state;
	sample_make(&s, 2);
	half = s.n / 2; /* the two differ only by the trailer's member */
	mixed.p = s.p;
	memcpy(mixed.p + SEG_HEADER_LEN, s.p + half, 512);
	assert_true(read_all(mixed.p, s.n).rc < 0);
	sample_free(&s);
}

static void a_segment_digest_ignores_encoding_only(void **state)
{
	struct seg_header h = {.kind = SEG_DELTA,
			       .part = 1,
			       .block_size = 4096,
			       .disk_size = 8192,
			       .first_seq = 2,
			       .seq = 2,
			       .machine = "m",
			       .disk = "d",
			       .bookmark = "b"};
	static const uint8_t zeros[SHA256_LEN];
	struct seg_trailer t = {0};
	uint8_t a[SHA256_LEN], b[SHA256_LEN], c[SHA256_LEN];
	struct seg_digest d;

	(void)state;
	seg_digest_begin(&d, &h);
	seg_digest_end(&d, zeros, NULL, &t, a);
	h.encoding = SEG_COMPRESSED | SEG_SEALED;
	h.salt[3] = h.key_id[4] = 9;
	seg_digest_begin(&d, &h);
	t.stored_bytes = t.seg_len = 77;
	seg_digest_end(&d, zeros, NULL, &t, b);
	assert_memory_equal(a, b, SHA256_LEN);
	h.initial = true;
	seg_digest_begin(&d, &h);
	seg_digest_end(&d, zeros, NULL, &t, c);
	assert_memory_not_equal(a, c, SHA256_LEN);
}

/*
 * A clear segment of `n` ZERO records whose entries all stand in one page:
 * what no writer of ours makes, but a peer may.
 */
static void make_one_page(struct sample *s, uint32_t n)
{
	struct seg_header h = {.kind = SEG_BASE,
			       .part = 1,
			       .block_size = 4096,
			       .disk_size = (uint64_t)n * 4096,
			       .first_seq = 1,
			       .seq = 1,
			       .machine = "web01",
			       .disk = "root",
			       .bookmark = "p1"};
	struct seg_trailer t = {.zero_bytes = h.disk_size, .zero_records = n};
	struct seg_dir dir = {.pages = 1,
			      .stored_len = SEG_RANDOM_LEN + SHA256_LEN +
					    SEG_DIR_ENTRY_LEN};
	struct seg_page page = {.entries = n,
				.stored_len = n * SEG_ENTRY_LEN,
				.record_pos = SEG_HEADER_LEN};
	struct seg_dir_entry de = {.stored_len = page.stored_len,
				   .entries = n,
				   .end_offset = h.disk_size};
	uint8_t random[SEG_RANDOM_LEN] = {1};
	struct seg_digest digest;
	uint8_t *p, *entries;
	uint32_t i;

	t.trailer_len = (uint32_t)seg_trailer_size(&t);
	s->n = SEG_HEADER_LEN + (size_t)n * (SEG_RECORD_LEN + SEG_ENTRY_LEN) +
	       SEG_PAGE_LEN + SEG_DIR_LEN + dir.stored_len + t.trailer_len;
	s->p = p = calloc(1, s->n);
	assert_non_null(p);
	seg_header_pack(&h, p);
	p += SEG_HEADER_LEN;
	t.index_pos = de.pos = SEG_HEADER_LEN + (uint64_t)n * SEG_RECORD_LEN;
	entries = s->p + de.pos + SEG_PAGE_LEN;
	seg_digest_begin(&digest, &h);
	for (i = 0; i < n; i++, p += SEG_RECORD_LEN) {
		struct seg_record r = {.zero = true,
				       .offset = (uint64_t)i * 4096,
				       .raw_len = 4096};
		struct seg_entry en = {true, 0, 0, r.offset, r.raw_len};

		seg_record_pack(&r, p);
		seg_entry_pack(&en, entries + (size_t)i * SEG_ENTRY_LEN);
		seg_digest_entry(&digest, &en, NULL, 0);
	}
	page.payload_crc = crc32c(0, entries, page.stored_len);
	seg_page_pack(&page, p);
	p = entries + page.stored_len;
	memcpy(p + SEG_DIR_LEN, random, sizeof(random));
	seg_dir_entry_pack(&de, p + SEG_DIR_LEN + SEG_RANDOM_LEN + SHA256_LEN);
	dir.payload_crc = crc32c(0, p + SEG_DIR_LEN, dir.stored_len);
	seg_dir_pack(&dir, p);
	t.dir_len = SEG_DIR_LEN + dir.stored_len;
	t.seg_len = s->n;
	seg_digest_end(&digest, random, NULL, &t, t.digest);
	seg_trailer_pack(&t, p + t.dir_len);
}

/*
 * Its seal would make such a page too long for every reader behind it: one
 * machine's segment would end the chain of all.
 */
static void a_clear_page_leaves_room_for_its_seal(void **state)
{
	const uint32_t fit = SEG_PAGE_MAX / SEG_ENTRY_LEN;
	struct sample s = {0};

	(void)state;
	make_one_page(&s, fit);
	assert_int_equal(read_all(s.p, s.n).rc, 0);
	sample_free(&s);
	make_one_page(&s, fit + 1);
	assert_int_equal(read_all(s.p, s.n).rc, -PS_DATA);
	sample_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_clear_page_leaves_room_for_its_seal),
	    cmocka_unit_test(reads_what_the_writer_makes),
	    cmocka_unit_test(an_empty_stream_is_a_stream),
	    cmocka_unit_test(every_truncation_is_seen),
	    cmocka_unit_test(every_flipped_bit_is_seen),
	    cmocka_unit_test(garbage_behind_a_segment_is_seen),
	    cmocka_unit_test(a_part_of_another_segment_is_seen),
	    cmocka_unit_test(a_segment_digest_ignores_encoding_only),
	};

	return cmocka_run_group_tests_name("segment reader", tests, NULL, NULL);
}
