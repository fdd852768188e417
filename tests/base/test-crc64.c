#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/crc64.h"

/* Bit by bit, as the definition reads. */
static uint64_t slow(const uint8_t *p, size_t n)
{
	uint64_t v = ~0ULL;
	int k;

	for (; n > 0; n--) {
		v ^= *p++;
		for (k = 0; k < 8; k++)
			v = (v >> 1) ^
			    ((v & 1) != 0 ? 0x9a6c9329ac4bc9b5ULL : 0);
	}
	return ~v;
}

static void published_values(void **state)
{
	static uint8_t page[4096];
	size_t i;

	(void)state;
	/* The catalogue of parametrised CRC algorithms, CRC-64/NVME. */
	assert_true(crc64(0, "123456789", 9) == 0xae8b14860a799888ULL);
	/* NVM Command Set Specification 1.0, figure 92. */
	assert_true(crc64(0, page, 4096) == 0x6482d367eb22b64eULL);
	memset(page, 0xff, sizeof(page));
	assert_true(crc64(0, page, 4096) == 0xc0ddba7302eca3acULL);
	for (i = 0; i < sizeof(page); i++)
		page[i] = (uint8_t)i;
	assert_true(crc64(0, page, 4096) == 0x3e729f5f6750449cULL);
}

static void all_lengths_and_pieces(void **state)
{
	static uint8_t data[700];
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 167 + i / 7);
	for (n = 0; n <= 640; n++) {
		const uint8_t *p = data + n % 13;
		uint64_t whole = slow(p, n);

		assert_true(crc64(0, p, n) == whole);
		assert_true(crc64(crc64(0, p, n / 3), p + n / 3, n - n / 3) ==
			    whole);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(published_values),
	    cmocka_unit_test(all_lengths_and_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
