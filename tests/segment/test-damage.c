/*
 * Damaged and forged streams through the transforms and through verify: they
 * are refused with the right code, and nothing that was not checked comes
 * out. What does come out is always the beginning of the true output.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "run.h"
#include "segment/codec.h"
#include "segment/keyring.h"
#include "segment/reader.h"

/* Every byte, or under sanitizers, which are slow, every seventh. */
#ifdef PS_SANITIZE
#define STEP 7
#else
#define STEP 1
#endif

static struct keyring *ring;
/* One content, stored in four ways; two segments. */
static struct sample plain, packed, sealed, both;

static int transform(enum transform_kind kind, const struct sample *in,
		     struct sample *out)
{
	return run_transform(kind, ring, in, out);
}

#define verify run_verify

static int begin(void **state)
{
	(void)state;
	assert_int_equal(keyring_new(&ring, NULL), 0);
	assert_int_equal(keyring_add(ring, NULL), 0);
	sample_make(&plain, 2);
	assert_int_equal(transform(TRANSFORM_COMPRESS, &plain, &packed), 0);
	assert_int_equal(transform(TRANSFORM_SEAL, &plain, &sealed), 0);
	assert_int_equal(transform(TRANSFORM_SEAL, &packed, &both), 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	sample_free(&plain);
	sample_free(&packed);
	sample_free(&sealed);
	sample_free(&both);
	keyring_free(ring);
	return 0;
}

static void assert_same(const struct sample *a, const struct sample *b)
{
	assert_int_equal(a->n, b->n);
	assert_memory_equal(a->p, b->p, a->n);
}

/* ---- what must work ---- */

static void each_transform_is_inverted_exactly(void **state)
{
	struct sample out = {0};

	(void)state;
	assert_true(packed.n < plain.n);
	assert_int_equal(transform(TRANSFORM_EXPAND, &packed, &out), 0);
	assert_same(&out, &plain);
	assert_int_equal(transform(TRANSFORM_OPEN, &sealed, &out), 0);
	assert_same(&out, &plain);
	assert_int_equal(transform(TRANSFORM_OPEN, &both, &out), 0);
	assert_same(&out, &packed);
	sample_free(&out);
}

static void what_is_done_passes_unchanged(void **state)
{
	struct sample out = {0};

	(void)state;
	assert_int_equal(transform(TRANSFORM_COMPRESS, &packed, &out), 0);
	assert_same(&out, &packed);
	assert_int_equal(transform(TRANSFORM_COMPRESS, &sealed, &out), 0);
	assert_same(&out, &sealed);
	assert_int_equal(transform(TRANSFORM_SEAL, &both, &out), 0);
	assert_same(&out, &both);
	assert_int_equal(transform(TRANSFORM_OPEN, &plain, &out), 0);
	assert_same(&out, &plain);
	assert_int_equal(transform(TRANSFORM_EXPAND, &plain, &out), 0);
	assert_same(&out, &plain);
	assert_int_equal(transform(TRANSFORM_EXPAND, &sealed, &out), -PS_DATA);
	sample_free(&out);
}

static void everything_verifies(void **state)
{
	(void)state;
	assert_int_equal(verify(&plain, NULL), 0);
	assert_int_equal(verify(&packed, NULL), 0);
	assert_int_equal(verify(&sealed, NULL), 0);
	assert_int_equal(verify(&sealed, ring), 0);
	assert_int_equal(verify(&both, ring), 0);
}

/* ---- damage ---- */

/* The output of a failed transform is the beginning of the true one. */
static void check_prefix(const struct sample *out, const struct sample *whole,
			 size_t at)
{
	if (out->n == 0)
		return;
	if (out->n >= whole->n || memcmp(out->p, whole->p, out->n) != 0)
		fail_msg("damage at %zu: wrong bytes came out", at);
}

static struct sample copy_of(const struct sample *s)
{
	struct sample c = {malloc(s->n), s->n, s->n};

	assert_non_null(c.p);
	memcpy(c.p, s->p, s->n);
	return c;
}

static void cut_everywhere(enum transform_kind kind, const struct sample *in,
			   const struct sample *whole, const struct keyring *k,
			   size_t first_len)
{
	struct sample out = {0};
	size_t n;

	for (n = 1; n < in->n; n += n < 4096 ? STEP : 97) {
		struct sample cut = {in->p, n, 0};
		int want = n == first_len ? 0 : -PS_DATA;

		assert_int_equal(transform(kind, &cut, &out), want);
		check_prefix(&out, whole, n);
		assert_int_equal(verify(&cut, k), want);
	}
	sample_free(&out);
}

/* Length of the first segment: its end is the one good place to cut. */
static size_t first_segment(const struct sample *s)
{
	struct sample_in src = {s->p, s->n, 0};
	struct seg_reader r;
	struct seg_item item;
	struct io_in in;
	size_t n = 0;

	assert_int_equal(io_in_open(&in, sample_read, &src, "s", NULL), 0);
	assert_int_equal(seg_reader_open(&r, &in, NULL), 0);
	while (r.segments == 0) {
		assert_int_equal(seg_reader_next(&r, &item, NULL), 1);
		n += item.raw_len;
	}
	seg_reader_close(&r);
	io_in_close(&in);
	return n;
}

static void a_cut_stream_is_seen(void **state)
{
	(void)state;
	cut_everywhere(TRANSFORM_EXPAND, &packed, &plain, NULL,
		       first_segment(&packed));
	cut_everywhere(TRANSFORM_OPEN, &both, &packed, ring,
		       first_segment(&both));
}

static void flip_everywhere(enum transform_kind kind, const struct sample *in,
			    const struct sample *whole, const struct keyring *k)
{
	struct sample bad = copy_of(in), out = {0};
	size_t i;

	for (i = 0; i < in->n; i += STEP) {
		uint8_t bit = (uint8_t)(1 << (i % 8));
		int rc;

		bad.p[i] ^= bit;
		rc = transform(kind, &bad, &out);
		if (rc != -PS_DATA && rc != -PS_PROTOCOL)
			fail_msg("a bit flipped at %zu: %d", i, rc);
		check_prefix(&out, whole, i);
		rc = verify(&bad, k);
		if (rc != -PS_DATA && rc != -PS_PROTOCOL)
			fail_msg("a bit flipped at %zu: verify %d", i, rc);
		bad.p[i] ^= bit;
	}
	sample_free(&bad);
	sample_free(&out);
}

static void a_flipped_bit_is_seen(void **state)
{
	(void)state;
	flip_everywhere(TRANSFORM_EXPAND, &packed, &plain, NULL);
	flip_everywhere(TRANSFORM_OPEN, &both, &packed, ring);
}

/* ---- forgery: the CRCs are made right again ---- */

struct part {
	size_t pos, len;
	enum seg_part part;
};

static unsigned parts_of(const struct sample *s, struct part *parts,
			 unsigned max)
{
	struct sample_in src = {s->p, s->n, 0};
	struct seg_reader r;
	struct seg_item item;
	struct io_in in;
	size_t pos = 0;
	unsigned n = 0;

	assert_int_equal(io_in_open(&in, sample_read, &src, "s", NULL), 0);
	assert_int_equal(seg_reader_open(&r, &in, NULL), 0);
	while (seg_reader_next(&r, &item, NULL) > 0) {
		assert_true(n < max);
		parts[n++] = (struct part){pos, item.raw_len, item.part};
		pos += item.raw_len;
	}
	seg_reader_close(&r);
	io_in_close(&in);
	return n;
}

/* Puts the CRC of p[0..n) behind it. */
static void crc_behind(uint8_t *p, size_t n)
{
	put_le32(p + n, crc32c(0, p, n));
}

static void fix_crcs(struct sample *s, const struct part *part)
{
	uint8_t *p = s->p + part->pos;
	size_t n = part->len;

	switch (part->part) {
	case SEG_PART_HEADER:
		crc_behind(p, SEG_HEADER_LEN - 4);
		break;
	case SEG_PART_RECORD:
		put_le32(p + 28,
			 crc32c(0, p + SEG_RECORD_LEN, n - SEG_RECORD_LEN));
		crc_behind(p, SEG_RECORD_LEN - 4);
		break;
	case SEG_PART_PAGE:
		put_le32(p + 24, crc32c(0, p + SEG_PAGE_LEN, n - SEG_PAGE_LEN));
		crc_behind(p, SEG_PAGE_LEN - 4);
		break;
	case SEG_PART_DIR:
		put_le32(p + 16, crc32c(0, p + SEG_DIR_LEN, n - SEG_DIR_LEN));
		crc_behind(p, SEG_DIR_LEN - 4);
		break;
	default:
		crc_behind(p, n - 8);
	}
}

/* Refused as damaged, as the future or as another key, never accepted. */
static bool refused(int rc)
{
	return rc == -PS_DATA || rc == -PS_PROTOCOL || rc == -PS_NOPERM;
}

static void a_forged_bit_in_a_sealed_segment_is_seen(void **state)
{
	struct sample bad = copy_of(&both), out = {0};
	struct part parts[32];
	unsigned n = parts_of(&both, parts, 32), i;
	size_t at;

	(void)state;
	for (i = 0; i < n; i++)
		for (at = 0; at < parts[i].len; at += STEP) {
			size_t pos = parts[i].pos + at;
			uint8_t bit = (uint8_t)(1 << (at % 8));

			bad.p[pos] ^= bit;
			fix_crcs(&bad, &parts[i]);
			if (memcmp(bad.p, both.p, both.n) != 0) {
				int rc = transform(TRANSFORM_OPEN, &bad, &out);

				if (!refused(rc))
					fail_msg("forged at %zu: %d", pos, rc);
				check_prefix(&out, &packed, pos);
				rc = verify(&bad, ring);
				if (!refused(rc))
					fail_msg("forged at %zu: verify %d",
						 pos, rc);
			}
			memcpy(bad.p + parts[i].pos, both.p + parts[i].pos,
			       parts[i].len);
		}
	sample_free(&bad);
	sample_free(&out);
}

/* In clear segments the digest finds what a forger left of the content. */
static void a_forged_block_in_a_clear_segment_is_seen(void **state)
{
	struct sample bad = copy_of(&plain);
	struct part parts[32];
	unsigned n = parts_of(&plain, parts, 32), i, seen = 0;

	(void)state;
	for (i = 0; i < n; i++) {
		if (parts[i].part != SEG_PART_RECORD ||
		    parts[i].len == SEG_RECORD_LEN)
			continue;
		bad.p[parts[i].pos + SEG_RECORD_LEN + 7] ^= 1;
		fix_crcs(&bad, &parts[i]);
		assert_int_equal(verify(&bad, NULL), -PS_DATA);
		memcpy(bad.p + parts[i].pos, plain.p + parts[i].pos,
		       parts[i].len);
		seen++;
	}
	assert_int_equal(seen, 2 * 3);
	sample_free(&bad);
}

/* Records that change places with CRCs and offsets that still fit. */
static void swapped_payloads_are_seen(void **state)
{
	struct sample bad = copy_of(&sealed), out = {0};
	struct part parts[32];
	unsigned n = parts_of(&sealed, parts, 32), half = n / 2, i, seen = 0;

	(void)state;
	/* the same record of the two segments: same header, other segment */
	for (i = 0; i < half; i++) {
		assert_int_equal(parts[i].len == parts[half + i].len ||
				     parts[i].part == SEG_PART_TRAILER,
				 true);
		if (parts[i].part == SEG_PART_HEADER ||
		    parts[i].part == SEG_PART_TRAILER)
			continue;
		memcpy(bad.p + parts[half + i].pos, sealed.p + parts[i].pos,
		       parts[i].len);
		assert_int_equal(transform(TRANSFORM_OPEN, &bad, &out),
				 -PS_DATA);
		check_prefix(&out, &plain, parts[half + i].pos);
		assert_int_equal(verify(&bad, ring), -PS_DATA);
		memcpy(bad.p, sealed.p, sealed.n);
		seen++;
	}
	assert_int_equal(seen, 4 + 1 + 1);
	sample_free(&bad);
	sample_free(&out);
}

static void repeated_and_missing_records_are_seen(void **state)
{
	struct sample out = {0};
	struct part parts[32];
	unsigned n = parts_of(&sealed, parts, 32), i;

	(void)state;
	for (i = 0; i < n; i++) {
		struct sample bad = {malloc(2 * sealed.n), 0, 2 * sealed.n};
		size_t behind = parts[i].pos + parts[i].len;

		assert_non_null(bad.p);
		/* twice */
		memcpy(bad.p, sealed.p, behind);
		memcpy(bad.p + behind, sealed.p + parts[i].pos,
		       sealed.n - parts[i].pos);
		bad.n = sealed.n + parts[i].len;
		assert_int_equal(transform(TRANSFORM_OPEN, &bad, &out),
				 -PS_DATA);
		if (parts[i].pos + parts[i].len < sealed.n)
			check_prefix(&out, &plain, parts[i].pos);
		/* not at all */
		memcpy(bad.p + parts[i].pos, sealed.p + behind,
		       sealed.n - behind);
		bad.n = sealed.n - parts[i].len;
		assert_int_equal(transform(TRANSFORM_OPEN, &bad, &out),
				 -PS_DATA);
		check_prefix(&out, &plain, parts[i].pos);
		assert_int_equal(verify(&bad, ring), -PS_DATA);
		sample_free(&bad);
	}
	sample_free(&out);
}

static void segments_out_of_order_are_seen(void **state)
{
	struct sample bad = copy_of(&plain);
	size_t first = first_segment(&plain);

	(void)state;
	memcpy(bad.p, plain.p + first, plain.n - first);
	memcpy(bad.p + plain.n - first, plain.p, first);
	assert_int_equal(verify(&bad, NULL), -PS_DATA);
	sample_free(&bad);
}

static void another_key_is_told_from_damage(void **state)
{
	struct keyring *mine = ring, *other;
	struct sample out = {0};

	(void)state;
	assert_int_equal(keyring_new(&other, NULL), 0);
	assert_int_equal(keyring_add(other, NULL), 0);
	ring = other;
	assert_int_equal(transform(TRANSFORM_OPEN, &sealed, &out), -PS_NOPERM);
	assert_int_equal(out.n, 0);
	assert_int_equal(verify(&sealed, other), -PS_NOPERM);
	ring = mine;
	keyring_free(other);
	sample_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_transform_is_inverted_exactly),
	    cmocka_unit_test(what_is_done_passes_unchanged),
	    cmocka_unit_test(everything_verifies),
	    cmocka_unit_test(a_cut_stream_is_seen),
	    cmocka_unit_test(a_flipped_bit_is_seen),
	    cmocka_unit_test(a_forged_bit_in_a_sealed_segment_is_seen),
	    cmocka_unit_test(a_forged_block_in_a_clear_segment_is_seen),
	    cmocka_unit_test(swapped_payloads_are_seen),
	    cmocka_unit_test(repeated_and_missing_records_are_seen),
	    cmocka_unit_test(segments_out_of_order_are_seen),
	    cmocka_unit_test(another_key_is_told_from_damage),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
