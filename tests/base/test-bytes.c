/* Packing, hexadecimal and the search for zeros. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"

static void fields_are_little_endian(void **state)
{
	static const uint8_t want[14] = {1, 2, 3,  4,  5,  6,  7,
					 8, 9, 10, 11, 12, 13, 14};
	uint8_t buf[14];

	(void)state;
	put_le16(buf, 0x0201);
	put_le32(buf + 2, 0x06050403);
	put_le64(buf + 6, 0x0e0d0c0b0a090807);
	assert_memory_equal(buf, want, sizeof(want));
	assert_int_equal(get_le16(buf), 0x0201);
	assert_int_equal(get_le32(buf + 2), 0x06050403);
	assert_true(get_le64(buf + 6) == 0x0e0d0c0b0a090807);
}

static void the_highest_bit_survives(void **state)
{
	uint8_t buf[8];

	(void)state;
	put_le64(buf, UINT64_MAX);
	assert_true(get_le64(buf) == UINT64_MAX);
	put_le32(buf, 0x80000000u);
	assert_true(get_le32(buf) == 0x80000000u);
	put_le16(buf, 0x8000);
	assert_int_equal(get_le16(buf), 0x8000);
}

static void arithmetic_that_does_not_fit_is_seen(void **state)
{
	uint64_t r;
	uint32_t small;

	(void)state;
	assert_false(add_overflows(UINT64_MAX - 1, (uint64_t)1, &r));
	assert_true(r == UINT64_MAX);
	assert_true(add_overflows(UINT64_MAX, (uint64_t)1, &r));
	assert_true(mul_overflows((uint64_t)1 << 63, (uint64_t)2, &r));
	assert_true(mul_overflows((uint64_t)65536, (uint64_t)65536, &small));
	assert_true(DIV_ROUND_UP(UINT64_MAX, 2) == (uint64_t)1 << 63);
	assert_int_equal(DIV_ROUND_UP(0, 7), 0);
	assert_int_equal(DIV_ROUND_UP(8, 7), 2);
}

/* One byte that differs is found wherever it is, at every length. */
static void one_byte_that_is_not_zero_is_found(void **state)
{
	static uint8_t buf[300];
	size_t n, i;

	(void)state;
	for (n = 0; n < sizeof(buf); n++) {
		assert_true(bytes_all_zero(buf, n));
		for (i = 0; i < n; i++) {
			buf[i] = 0x80;
			assert_false(bytes_all_zero(buf, n));
			buf[i] = 0;
		}
		if (n < sizeof(buf)) { /* what lies behind does not count */
			buf[n] = 1;
			assert_true(bytes_all_zero(buf, n));
			buf[n] = 0;
		}
	}
}

static void hexadecimal_goes_there_and_back(void **state)
{
	uint8_t all[256], back[256];
	char text[2 * sizeof(all) + 1];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)i;
	hex_encode(all, sizeof(all), text);
	assert_int_equal(strlen(text), 512);
	assert_memory_equal(text + 2 * 0xa5, "a5", 2);
	assert_true(hex_decode(text, back, sizeof(back)));
	assert_memory_equal(all, back, sizeof(all));
	assert_true(hex_decode("FFfF", back, 2));
	assert_int_equal(back[1], 255);
}

static void hexadecimal_of_another_length_is_refused(void **state)
{
	uint8_t out[4];

	(void)state;
	assert_false(hex_decode("", out, 1));
	assert_false(hex_decode("a", out, 1));
	assert_false(hex_decode("abc", out, 1));
	assert_false(hex_decode("abcd", out, 1));
	assert_false(hex_decode("g0", out, 1));
	assert_false(hex_decode("0 ", out, 1));
	assert_false(hex_decode("0x", out, 1));
	assert_true(hex_decode("", out, 0));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(fields_are_little_endian),
	    cmocka_unit_test(the_highest_bit_survives),
	    cmocka_unit_test(arithmetic_that_does_not_fit_is_seen),
	    cmocka_unit_test(one_byte_that_is_not_zero_is_found),
	    cmocka_unit_test(hexadecimal_goes_there_and_back),
	    cmocka_unit_test(hexadecimal_of_another_length_is_refused),
	};

	return cmocka_run_group_tests_name("bytes", tests, NULL, NULL);
}
