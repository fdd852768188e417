/* What a codec writes comes back, and damage is seen. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "segment/codec.h"

#define MAX SEG_RECORD_RAW_MAX

static uint8_t raw[MAX], coded[MAX], back[MAX + 1];
static struct codec_state *codec;

static int begin(void **state)
{
	(void)state;
	return codec_new(&codec, NULL);
}

static int end(void **state)
{
	(void)state;
	codec_free(codec);
	return 0;
}

/* Bytes of a chosen number of different values: 256 is random. */
static void fill(uint8_t *p, size_t n, unsigned values, uint32_t seed)
{
	size_t i;

	for (i = 0; i < n; i++) {
		seed = seed * 1664525 + 1013904223;
		p[i] = (uint8_t)((seed >> 16) % values);
	}
}

static void fill_text(uint8_t *p, size_t n, uint32_t seed)
{
	static const char words[] = "segments of a disk are compressed alone";
	size_t i;

	for (i = 0; i < n; i++) {
		if (i % 8 == 0)
			seed = seed * 1664525 + 1013904223;
		p[i] = (uint8_t)words[(seed >> 24) % 30 + i % 8];
	}
}

static const size_t sizes[] = {2,    3,	   100,	  511,	 512,	4095,
			       4096, 4097, 65535, 65536, 65537, MAX};

static void round_trip(uint8_t kind, int level, size_t n)
{
	size_t got = codec_compress(codec, kind, level, raw, n, coded);

	if (got == 0)
		return;
	assert_true(got < n);
	back[n] = 0x5a;
	assert_int_equal(codec_expand(codec, kind, coded, got, back, n, NULL),
			 0);
	assert_memory_equal(raw, back, n);
	assert_int_equal(back[n], 0x5a);
}

static void all_sizes(uint8_t kind, int level)
{
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		fill_text(raw, sizes[i], (uint32_t)i);
		round_trip(kind, level, sizes[i]);
		fill(raw, sizes[i], 256, (uint32_t)i);
		round_trip(kind, level, sizes[i]);
		memset(raw, 0, sizes[i]);
		round_trip(kind, level, sizes[i]);
	}
}

static void deflate_comes_back_at_every_level(void **state)
{
	int level;

	(void)state;
	for (level = 1; level <= 9; level++)
		all_sizes(SEG_DEFLATE, level);
}

static void zstd_comes_back_at_every_level(void **state)
{
	int level;

	(void)state;
	if (!codec_available(SEG_ZSTD))
		skip();
	for (level = 1; level <= 9; level++)
		all_sizes(SEG_ZSTD, level);
}

static void levels_may_change_between_records(void **state)
{
	static const int levels[] = {1, 6, 2, 9, 3, 1, 4};
	size_t i;

	(void)state;
	fill_text(raw, 100000, 5);
	for (i = 0; i < sizeof(levels) / sizeof(*levels); i++)
		round_trip(SEG_DEFLATE, levels[i], 100000);
}

static void text_gets_smaller(void **state)
{
	int level;

	(void)state;
	fill_text(raw, MAX, 1);
	for (level = 1; level <= 9; level++) {
		size_t n =
		    codec_compress(codec, SEG_DEFLATE, level, raw, MAX, coded);

		assert_in_range(n, 1, MAX / 2);
	}
}

static void random_bytes_are_stored(void **state)
{
	(void)state;
	fill(raw, MAX, 256, 77);
	assert_int_equal(codec_compress(codec, SEG_DEFLATE, 1, raw, MAX, coded),
			 0);
	assert_int_equal(
	    codec_compress(codec, SEG_DEFLATE, 6, raw, 4096, coded), 0);
}

/* The sampling test must not give up what deflate can shrink. */
static void random_bytes_that_repeat_are_compressed(void **state)
{
	size_t i;

	(void)state;
	fill(raw, 2048, 256, 3);
	for (i = 2048; i < MAX; i += 2048)
		memcpy(raw + i, raw, 2048);
	assert_in_range(codec_compress(codec, SEG_DEFLATE, 1, raw, MAX, coded),
			1, MAX / 4);
}

static void one_compressible_block_among_random_ones_counts(void **state)
{
	(void)state;
	fill(raw, MAX, 256, 4);
	memset(raw + 3 * 65536, 'x', 65536);
	assert_in_range(codec_compress(codec, SEG_DEFLATE, 1, raw, MAX, coded),
			1, MAX - 50000);
}

/* Raw deflate as RFC 1951 has it: any zlib reads it. */
static void zlib_reads_what_we_write(void **state)
{
	int level;

	(void)state;
	fill_text(raw, MAX, 9);
	for (level = 1; level <= 9; level++) {
		size_t n =
		    codec_compress(codec, SEG_DEFLATE, level, raw, MAX, coded);
		z_stream s = {.next_in = coded,
			      .avail_in = (uInt)n,
			      .next_out = back,
			      .avail_out = MAX};

		assert_true(n > 0);
		assert_int_equal(inflateInit2(&s, -15), Z_OK);
		assert_int_equal(inflate(&s, Z_FINISH), Z_STREAM_END);
		assert_int_equal(s.total_out, MAX);
		assert_int_equal(s.avail_in, 0);
		inflateEnd(&s);
		assert_memory_equal(raw, back, MAX);
	}
}

static void we_read_what_zlib_writes(void **state)
{
	int level, strategy;

	(void)state;
	fill_text(raw, 300000, 11);
	for (level = 0; level <= 9; level++)
		for (strategy = 0; strategy <= Z_FIXED; strategy++) {
			z_stream s = {.next_in = raw,
				      .avail_in = 300000,
				      .next_out = coded,
				      .avail_out = MAX};

			assert_int_equal(deflateInit2(&s, level, Z_DEFLATED,
						      -15, 8, strategy),
					 Z_OK);
			assert_int_equal(deflate(&s, Z_FINISH), Z_STREAM_END);
			assert_int_equal(codec_expand(codec, SEG_DEFLATE, coded,
						      s.total_out, back, 300000,
						      NULL),
					 0);
			assert_memory_equal(raw, back, 300000);
			deflateEnd(&s);
		}
}

static void wrong_lengths_are_refused(void **state)
{
	uint8_t kind;

	(void)state;
	fill_text(raw, 10000, 2);
	for (kind = SEG_DEFLATE; kind <= SEG_ZSTD; kind++) {
		size_t n;

		if (!codec_available(kind))
			continue;
		n = codec_compress(codec, kind, 1, raw, 10000, coded);
		assert_true(n > 0);
		memset(coded + n, 0, 8);
		/* more or less came out, more or less went in */
		assert_int_equal(
		    codec_expand(codec, kind, coded, n, back, 9999, NULL),
		    -PS_DATA);
		assert_int_equal(
		    codec_expand(codec, kind, coded, n, back, 10001, NULL),
		    -PS_DATA);
		assert_int_equal(
		    codec_expand(codec, kind, coded, n - 1, back, 10000, NULL),
		    -PS_DATA);
		assert_int_equal(
		    codec_expand(codec, kind, coded, n + 1, back, 10000, NULL),
		    -PS_DATA);
		assert_int_equal(
		    codec_expand(codec, kind, coded, n + 8, back, 10000, NULL),
		    -PS_DATA);
		/* and the state is still good */
		round_trip(kind, 1, 10000);
	}
	assert_int_equal(
	    codec_expand(codec, SEG_STORE, raw, 10, back, 11, NULL), -PS_DATA);
}

/* Damage may come out as other bytes (the CRC finds it), never as a crash. */
static void damage_is_survived(void **state)
{
	uint8_t kind;
	unsigned i;

	(void)state;
	for (kind = SEG_DEFLATE; kind <= SEG_ZSTD; kind++) {
		uint32_t seed = kind;
		unsigned refused = 0;
		size_t n;

		if (!codec_available(kind))
			continue;
		fill_text(raw, 20000, 8);
		n = codec_compress(codec, kind, 1, raw, 20000, coded);
		for (i = 0; i < 3000; i++) {
			size_t at;

			seed = seed * 1664525 + 1013904223;
			at = (seed >> 8) % n;
			coded[at] ^= (uint8_t)(1 << (i % 8));
			back[20000] = 0x5a;
			if (codec_expand(codec, kind, coded, n, back, 20000,
					 NULL) < 0)
				refused++;
			assert_int_equal(back[20000], 0x5a);
			coded[at] ^= (uint8_t)(1 << (i % 8));
		}
		assert_true(refused > 100);
		round_trip(kind, 1, 20000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(deflate_comes_back_at_every_level),
	    cmocka_unit_test(zstd_comes_back_at_every_level),
	    cmocka_unit_test(levels_may_change_between_records),
	    cmocka_unit_test(text_gets_smaller),
	    cmocka_unit_test(random_bytes_are_stored),
	    cmocka_unit_test(random_bytes_that_repeat_are_compressed),
	    cmocka_unit_test(one_compressible_block_among_random_ones_counts),
	    cmocka_unit_test(zlib_reads_what_we_write),
	    cmocka_unit_test(we_read_what_zlib_writes),
	    cmocka_unit_test(wrong_lengths_are_refused),
	    cmocka_unit_test(damage_is_survived),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
