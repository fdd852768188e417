/*
 * Seals are what ps-segment(5) says, by a second computation of it, and do
 * not open when anything was changed.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/bytes.h"
#include "base/hkdf.h"
#include "segment/keyring.h"

static struct keyring *ring;
static struct seg_header header;
static uint8_t header_raw[SEG_HEADER_LEN];
static struct seal *sealing;

static int begin(void **state)
{
	(void)state;
	header = (struct seg_header){.kind = SEG_BASE,
				     .part = 1,
				     .block_size = 4096,
				     .disk_size = 1 << 20,
				     .first_seq = 1,
				     .seq = 1,
				     .machine = "web01",
				     .disk = "root",
				     .bookmark = "b"};
	assert_int_equal(keyring_new(&ring, NULL), 0);
	assert_int_equal(keyring_add(ring, NULL), 0);
	assert_int_equal(seal_new(&sealing, ring, &header, NULL), 0);
	seg_header_pack(&header, header_raw);
	return 0;
}

static int end(void **state)
{
	(void)state;
	seal_free(sealing);
	keyring_free(ring);
	return 0;
}

/* ---- HKDF: RFC 5869, appendix A ---- */

static void check_hkdf(const char *ikm, const char *salt, const char *info,
		       const char *okm)
{
	uint8_t key[80], s[80], i[80], want[96], got[96];

	assert_true(hex_decode(ikm, key, strlen(ikm) / 2));
	assert_true(hex_decode(salt, s, strlen(salt) / 2));
	assert_true(hex_decode(info, i, strlen(info) / 2));
	assert_true(hex_decode(okm, want, strlen(okm) / 2));
	assert_int_equal(hkdf_sha256(key, strlen(ikm) / 2, s, strlen(salt) / 2,
				     i, strlen(info) / 2, got, strlen(okm) / 2,
				     NULL),
			 0);
	assert_memory_equal(want, got, strlen(okm) / 2);
}

static void hkdf_gives_the_vectors_of_rfc_5869(void **state)
{
	(void)state;
	check_hkdf("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
		   "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
		   "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc"
		   "4c5bf34007208d5b887185865");
	check_hkdf(
	    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	    "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
	    "404142434445464748494a4b4c4d4e4f",
	    "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f"
	    "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
	    "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
	    "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
	    "d0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeef"
	    "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
	    "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
	    "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
	    "cc30c58179ec3e87c14c01d5c1f3434f1d87");
	check_hkdf("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
		   "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c7"
		   "38d2d9d201395faa4b61a96c8");
}

/* ---- the construction, computed a second time ---- */

/* HKDF of one block, by HMAC alone. */
static void slow_hkdf(const uint8_t *key, const uint8_t *salt, size_t salt_len,
		      const void *info, size_t info_len, uint8_t out[32])
{
	static const uint8_t zeros[32];
	uint8_t prk[32], block[256];

	if (salt_len == 0) {
		salt = zeros;
		salt_len = sizeof(zeros);
	}
	HMAC(EVP_sha256(), salt, (int)salt_len, key, 32, prk, NULL);
	memcpy(block, info, info_len);
	block[info_len] = 1;
	HMAC(EVP_sha256(), prk, 32, block, info_len + 1, out, NULL);
}

static void slow_seal(uint64_t counter, bool last, const void *aad,
		      size_t aad_len, const void *in, size_t n, uint8_t *out)
{
	uint8_t machine[32], key[32], sum[32], nonce[12] = {0};
	const char *info = "ps-toolkit machineweb01";
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int got;

	slow_hkdf(ring->keys[0].secret, NULL, 0, info, strlen(info), machine);
	sha256_of(header_raw, sizeof(header_raw), sum);
	slow_hkdf(machine, header_raw + 336, 16, sum, 32, key);
	put_le64(nonce + 3, counter);
	nonce[11] = last;
	assert_int_equal(
	    EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, nonce), 1);
	assert_int_equal(EVP_EncryptUpdate(c, NULL, &got, aad, (int)aad_len),
			 1);
	assert_int_equal(EVP_EncryptUpdate(c, out, &got, in, (int)n), 1);
	assert_int_equal(EVP_EncryptFinal_ex(c, out + n, &got), 1);
	assert_int_equal(
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, 16, out + n), 1);
	EVP_CIPHER_CTX_free(c);
}

static void a_seal_is_what_the_manual_says(void **state)
{
	static const uint64_t counters[] = {0, 1, 255, 256, 0x0102030405060708};
	uint8_t want[1016], got[1016], data[1000];
	unsigned i;

	(void)state;
	memset(data, 'a', sizeof(data));
	for (i = 0; i < 5; i++) {
		bool last = i % 2 == 1;

		slow_seal(counters[i], last, "header", 6, data, 1000, want);
		assert_int_equal(seal_bytes(sealing, counters[i], last,
					    "header", 6, data, 1000, got, NULL),
				 0);
		assert_memory_equal(want, got, sizeof(want));
	}
}

static void the_key_id_is_what_the_manual_says(void **state)
{
	const char *info = "ps-toolkit key id";
	uint8_t id[32];

	(void)state;
	slow_hkdf(ring->keys[0].secret, NULL, 0, info, strlen(info), id);
	assert_memory_equal(ring->keys[0].id, id, SEG_KEY_ID_LEN);
	assert_memory_equal(header.key_id, id, SEG_KEY_ID_LEN);
}

/* ---- opening ---- */

static int open_one(const uint8_t *in, size_t n, uint64_t counter, bool last,
		    const char *aad, uint8_t *out)
{
	return open_bytes(sealing, counter, last, aad, strlen(aad), in, n, out,
			  NULL);
}

static void what_was_sealed_opens_in_place(void **state)
{
	uint8_t buf[100 + SEG_TAG_LEN], data[100];

	(void)state;
	memset(data, 7, sizeof(data));
	memcpy(buf, data, sizeof(data));
	assert_int_equal(
	    seal_bytes(sealing, 3, false, "h", 1, buf, 100, buf, NULL), 0);
	assert_memory_not_equal(buf, data, 100);
	assert_int_equal(open_one(buf, sizeof(buf), 3, false, "h", buf), 0);
	assert_memory_equal(buf, data, 100);
}

static void no_bytes_at_all_have_a_seal_too(void **state)
{
	uint8_t tag[SEG_TAG_LEN];

	(void)state;
	assert_int_equal(
	    seal_bytes(sealing, 9, false, "zero", 4, NULL, 0, tag, NULL), 0);
	assert_int_equal(open_one(tag, sizeof(tag), 9, false, "zero", tag), 0);
	assert_int_equal(
	    seal_bytes(sealing, 9, false, "zero", 4, NULL, 0, tag, NULL), 0);
	assert_int_equal(open_one(tag, sizeof(tag), 9, false, "zerO", tag),
			 -PS_DATA);
}

static void anything_else_does_not_open_and_leaves_zeros(void **state)
{
	uint8_t good[64 + SEG_TAG_LEN], bad[64 + SEG_TAG_LEN], out[64];
	unsigned i;

	(void)state;
	memset(out, 1, sizeof(out));
	assert_int_equal(
	    seal_bytes(sealing, 5, false, "aad", 3, out, 64, good, NULL), 0);
	assert_int_equal(open_one(good, sizeof(good), 6, false, "aad", out),
			 -PS_DATA);
	assert_true(bytes_all_zero(out, sizeof(out)));
	assert_int_equal(open_one(good, sizeof(good), 5, true, "aad", out),
			 -PS_DATA);
	assert_int_equal(open_one(good, sizeof(good), 5, false, "aae", out),
			 -PS_DATA);
	assert_int_equal(open_one(good, sizeof(good) - 1, 5, false, "aad", out),
			 -PS_DATA);
	assert_int_equal(open_one(good, SEG_TAG_LEN - 1, 5, false, "aad", out),
			 -PS_DATA);
	for (i = 0; i < 8 * sizeof(good); i++) {
		memcpy(bad, good, sizeof(good));
		bad[i / 8] ^= (uint8_t)(1 << (i % 8));
		memset(out, 1, sizeof(out));
		assert_int_equal(
		    open_one(bad, sizeof(bad), 5, false, "aad", out), -PS_DATA);
		assert_true(bytes_all_zero(out, sizeof(out)));
	}
	/* a failure does not spoil the context that is used again */
	assert_int_equal(open_one(good, sizeof(good), 5, false, "aad", out), 0);
	assert_true(out[0] == 1 && out[63] == 1);
}

/* Two keys for two segments even when everything but the salt is equal. */
static void every_segment_has_a_key_of_its_own(void **state)
{
	struct seg_header a = header, b = header;
	uint8_t x[32 + SEG_TAG_LEN], y[32 + SEG_TAG_LEN], data[32] = {0};
	struct seal *s, *t;

	(void)state;
	assert_int_equal(seal_new(&s, ring, &a, NULL), 0);
	assert_int_equal(seal_new(&t, ring, &b, NULL), 0);
	assert_memory_not_equal(a.salt, b.salt, SEG_SALT_LEN);
	assert_int_equal(seal_bytes(s, 0, false, "", 0, data, 32, x, NULL), 0);
	assert_int_equal(seal_bytes(t, 0, false, "", 0, data, 32, y, NULL), 0);
	assert_memory_not_equal(x, y, sizeof(x));
	seal_free(s);
	seal_free(t);
}

/* The header is authentic because the key comes from it. */
static void a_changed_header_gives_another_key(void **state)
{
	uint8_t raw[SEG_HEADER_LEN], sealed[32], out[16] = {0};
	struct seg_header h = header;
	struct seal *s;

	(void)state;
	assert_int_equal(
	    seal_bytes(sealing, 0, false, "", 0, out, 16, sealed, NULL), 0);
	h.bookmark_time++;
	seg_header_pack(&h, raw);
	assert_int_equal(seal_for(&s, ring, &h, raw, NULL), 0);
	assert_int_equal(open_bytes(s, 0, false, "", 0, sealed, 32, out, NULL),
			 -PS_DATA);
	seal_free(s);
	assert_int_equal(seal_for(&s, ring, &header, header_raw, NULL), 0);
	assert_int_equal(open_bytes(s, 0, false, "", 0, sealed, 32, out, NULL),
			 0);
	seal_free(s);
}

static void a_key_that_is_not_in_the_ring_is_not_permitted(void **state)
{
	struct keyring *other;
	struct err e = {0};
	struct seal *s;

	(void)state;
	assert_int_equal(keyring_new(&other, NULL), 0);
	assert_int_equal(keyring_add(other, NULL), 0);
	assert_int_equal(seal_for(&s, other, &header, header_raw, &e),
			 -PS_NOPERM);
	keyring_free(other);
}

static void a_machine_seals_and_the_vault_key_opens(void **state)
{
	struct keyring *web, *db;
	struct seg_header h = header;
	uint8_t raw[SEG_HEADER_LEN], sealed[32], out[16] = {0};
	struct seal *s;

	(void)state;
	assert_int_equal(keyring_derive(&web, ring, "web01", NULL), 0);
	assert_int_equal(keyring_derive(&db, ring, "db01", NULL), 0);
	assert_int_equal(seal_new(&s, db, &h, NULL), -PS_NOPERM);
	assert_int_equal(seal_for(&s, db, &header, header_raw, NULL),
			 -PS_NOPERM);
	assert_int_equal(seal_new(&s, web, &h, NULL), 0);
	assert_int_equal(seal_bytes(s, 0, false, "", 0, out, 16, sealed, NULL),
			 0);
	seal_free(s);
	seg_header_pack(&h, raw);
	assert_int_equal(seal_for(&s, ring, &h, raw, NULL), 0);
	assert_int_equal(open_bytes(s, 0, false, "", 0, sealed, 32, out, NULL),
			 0);
	seal_free(s);
	keyring_free(web);
	keyring_free(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(hkdf_gives_the_vectors_of_rfc_5869),
	    cmocka_unit_test(a_seal_is_what_the_manual_says),
	    cmocka_unit_test(the_key_id_is_what_the_manual_says),
	    cmocka_unit_test(what_was_sealed_opens_in_place),
	    cmocka_unit_test(no_bytes_at_all_have_a_seal_too),
	    cmocka_unit_test(anything_else_does_not_open_and_leaves_zeros),
	    cmocka_unit_test(every_segment_has_a_key_of_its_own),
	    cmocka_unit_test(a_changed_header_gives_another_key),
	    cmocka_unit_test(a_key_that_is_not_in_the_ring_is_not_permitted),
	    cmocka_unit_test(a_machine_seals_and_the_vault_key_opens),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
