#include "config.h"

#include <pthread.h>

#include "base/bytes.h"
#include "base/crc64.h"

#define POLY 0x9a6c9329ac4bc9b5ULL /* 0xad93d23594c93659 reflected */
#define SLICES 16

static uint64_t table[SLICES][256];
static pthread_once_t made = PTHREAD_ONCE_INIT;

static void make_table(void)
{
	int i, k;

	for (i = 0; i < 256; i++) {
		uint64_t v = (uint64_t)i;

		for (k = 0; k < 8; k++)
			v = (v >> 1) ^ ((v & 1) != 0 ? POLY : 0);
		table[0][i] = v;
	}
	for (i = 0; i < 256; i++)
		for (k = 1; k < SLICES; k++)
			table[k][i] = (table[k - 1][i] >> 8) ^
				      table[0][table[k - 1][i] & 255];
}

/* Eight bytes through the tables t[7] (the first byte) to t[0]. */
static uint64_t eight(uint64_t (*t)[256], uint64_t v)
{
	return t[7][v & 255] ^ t[6][v >> 8 & 255] ^ t[5][v >> 16 & 255] ^
	       t[4][v >> 24 & 255] ^ t[3][v >> 32 & 255] ^ t[2][v >> 40 & 255] ^
	       t[1][v >> 48 & 255] ^ t[0][v >> 56];
}

static uint64_t by_table(uint64_t v, const uint8_t *p, size_t n)
{
	pthread_once(&made, make_table);
	for (; n >= 16; n -= 16, p += 16)
		v = eight(table + 8, v ^ get_le64(p)) ^
		    eight(table, get_le64(p + 8));
	for (; n > 0; n--)
		v = (v >> 8) ^ table[0][(v ^ *p++) & 255];
	return v;
}

#if defined(__x86_64__)
#include <immintrin.h>

/*
 * Folding with carry-less multiplication ("Fast CRC Computation for Generic
 * Polynomials Using PCLMULQDQ", Gopal and others, Intel 2009), reflected:
 * a 128-bit word is moved over D bits by multiplying its halves with
 * x^(D + 63) and x^(D - 1) modulo the polynomial. What is left is 16 bytes
 * with the same CRC, which the tables finish.
 */
static uint64_t x_to_the(unsigned n)
{
	uint64_t v = 1ULL << 63; /* 1, reflected */

	while (n-- > 0)
		v = (v >> 1) ^ ((v & 1) != 0 ? POLY : 0);
	return v;
}

static uint64_t fold_far[2], fold_near[2];
static pthread_once_t folds_made = PTHREAD_ONCE_INIT;

static void make_folds(void)
{
	fold_far[0] = x_to_the(512 + 63);
	fold_far[1] = x_to_the(512 - 1);
	fold_near[0] = x_to_the(128 + 63);
	fold_near[1] = x_to_the(128 - 1);
}

__attribute__((target("pclmul,sse4.1"))) static __m128i fold(__m128i v,
							     __m128i by,
							     __m128i next)
{
	__m128i low = _mm_clmulepi64_si128(v, by, 0x00);
	__m128i high = _mm_clmulepi64_si128(v, by, 0x11);

	return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

__attribute__((target("pclmul,sse4.1"))) static uint64_t by_folding(
    uint64_t crc, const uint8_t *p, size_t n)
{
	const __m128i *in = (const __m128i *)p;
	__m128i far, near, v[4];
	uint8_t rest[16];
	size_t words = n / 16, i;
	int k;

	pthread_once(&folds_made, make_folds);
	far = _mm_set_epi64x((long long)fold_far[1], (long long)fold_far[0]);
	near = _mm_set_epi64x((long long)fold_near[1], (long long)fold_near[0]);
	for (k = 0; k < 4; k++)
		v[k] = _mm_loadu_si128(in + k);
	v[0] = _mm_xor_si128(v[0], _mm_set_epi64x(0, (long long)crc));
	for (i = 4; i + 4 <= words; i += 4)
		for (k = 0; k < 4; k++)
			v[k] = fold(v[k], far, _mm_loadu_si128(in + i + k));
	for (k = 0; k < 3; k++)
		v[k + 1] = fold(v[k], near, v[k + 1]);
	for (; i < words; i++)
		v[3] = fold(v[3], near, _mm_loadu_si128(in + i));
	_mm_storeu_si128((__m128i *)rest, v[3]);
	crc = by_table(0, rest, sizeof(rest));
	return by_table(crc, p + 16 * words, n - 16 * words);
}
#endif

uint64_t crc64(uint64_t crc, const void *p, size_t n)
{
#if defined(__x86_64__)
	if (n >= 128 && __builtin_cpu_supports("pclmul"))
		return ~by_folding(~crc, p, n);
#endif
	return ~by_table(~crc, p, n);
}
