/*
 * CRC-32C and SHA-256 against published values, and both ways to compute the
 * CRC against each other: the file is included, to reach the one that this
 * processor does not choose.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"

#include "../../libcommon/base/crc32c.c"

/* RFC 3720, appendix B.4 (there as bytes on the wire, low byte first). */
static void values_of_rfc_3720(void **state)
{
	static const uint8_t read10[48] = {
	    0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00,
	    0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00,
	    0x00, 0x18, 0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	    0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};
	uint8_t buf[32];
	unsigned i;

	(void)state;
	memset(buf, 0, sizeof(buf));
	assert_int_equal(crc32c(0, buf, 32), 0x8a9136aa);
	memset(buf, 0xff, sizeof(buf));
	assert_int_equal(crc32c(0, buf, 32), 0x62a8ab43);
	for (i = 0; i < 32; i++)
		buf[i] = (uint8_t)i;
	assert_int_equal(crc32c(0, buf, 32), 0x46dd794e);
	for (i = 0; i < 32; i++)
		buf[i] = (uint8_t)(31 - i);
	assert_int_equal(crc32c(0, buf, 32), 0x113fdb5c);
	assert_int_equal(crc32c(0, read10, 48), 0xd9963a56);
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c(0, "", 0), 0);
}

static uint8_t *noise(size_t n)
{
	uint8_t *p = malloc(n);
	uint32_t x = 2463534242u;
	size_t i;

	assert_non_null(p);
	for (i = 0; i < n; i++) { /* xorshift, Marsaglia 2003 */
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		p[i] = (uint8_t)x;
	}
	return p;
}

/* One bit after another, as the definition says. */
static uint32_t slow(uint32_t crc, const uint8_t *p, size_t n)
{
	unsigned k;

	for (crc = ~crc; n > 0; n--, p++) {
		crc ^= *p;
		for (k = 0; k < 8; k++)
			crc = crc & 1 ? crc >> 1 ^ POLY : crc >> 1;
	}
	return ~crc;
}

static void both_ways_agree_with_the_definition(void **state)
{
	static const size_t lengths[] = {1,
					 7,
					 8,
					 9,
					 63,
					 4096,
					 3 * 4096 - 1,
					 3 * 4096,
					 3 * 4096 + 1,
					 6 * 4096,
					 65536,
					 100003};
	uint8_t *p = noise(100003 + 8);
	unsigned i, at;

	(void)state;
	for (i = 0; i < sizeof(lengths) / sizeof(*lengths); i++)
		for (at = 0; at < 8; at++) {
			size_t n = lengths[i];
			uint32_t want = slow(at, p + at, n);

			assert_int_equal(~crc_table(~at, p + at, n), want);
			assert_int_equal(crc32c(at, p + at, n), want);
		}
	free(p);
}

static void pieces_give_what_the_whole_gives(void **state)
{
	const size_t n = 50000;
	uint8_t *p = noise(n);
	uint32_t whole = crc32c(0, p, n);
	size_t cut;

	(void)state;
	for (cut = 0; cut < n; cut += 997)
		assert_int_equal(crc32c(crc32c(0, p, cut), p + cut, n - cut),
				 whole);
	free(p);
}

static void check_sha(const char *text, const char *hex)
{
	uint8_t got[SHA256_LEN], want[SHA256_LEN];
	struct sha256 s;
	size_t n = strlen(text), i;

	assert_true(hex_decode(hex, want, sizeof(want)));
	sha256_of(text, n, got);
	assert_memory_equal(got, want, sizeof(want));
	sha256_init(&s);
	for (i = 0; i < n; i++)
		sha256_update(&s, text + i, 1);
	sha256_final(&s, got);
	assert_memory_equal(got, want, sizeof(want));
	sha256_drop(&s); /* harmless */
}

static void sha256_of_the_standard(void **state)
{
	(void)state; /* FIPS 180-4 examples */
	check_sha("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b"
		      "7852b855");
	check_sha("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410f"
			 "f61f20015ad");
	check_sha("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db"
		  "06c1");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(values_of_rfc_3720),
	    cmocka_unit_test(both_ways_agree_with_the_definition),
	    cmocka_unit_test(pieces_give_what_the_whole_gives),
	    cmocka_unit_test(sha256_of_the_standard),
	};

	return cmocka_run_group_tests_name("crc32c", tests, NULL, NULL);
}
