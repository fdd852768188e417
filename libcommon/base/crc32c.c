#include "config.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

#include "base/digest.h"

#define POLY 0x82f63b78u /* reflected 0x1edc6f41 */

static uint32_t table[8][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_table(void)
{
	unsigned i, k;

	for (i = 0; i < 256; i++) {
		uint32_t c = i;

		for (k = 0; k < 8; k++)
			c = c & 1 ? c >> 1 ^ POLY : c >> 1;
		table[0][i] = c;
	}
	for (i = 0; i < 256; i++)
		for (k = 1; k < 8; k++)
			table[k][i] = table[k - 1][i] >> 8 ^
				      table[0][table[k - 1][i] & 255];
}

/* Eight table look-ups for eight bytes: any processor. */
static uint32_t crc_table(uint32_t crc, const uint8_t *p, size_t n)
{
	pthread_once(&once, make_table);
	for (; n >= 8; n -= 8, p += 8) {
		uint32_t lo =
		    crc ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 |
			   (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);

		crc = table[7][lo & 255] ^ table[6][lo >> 8 & 255] ^
		      table[5][lo >> 16 & 255] ^ table[4][lo >> 24] ^
		      table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^
		      table[0][p[7]];
	}
	for (; n > 0; n--, p++)
		crc = crc >> 8 ^ table[0][(crc ^ *p) & 255];
	return crc;
}

#if defined(__x86_64__)
/*
 * The instruction has a latency of 3 cycles and a throughput of 1: three
 * independent lanes, joined by shifting the earlier ones over zeros.
 */
#define LANE 4096

static uint32_t shift_lane[4][256]; /* CRC of a byte followed by LANE zeros */
static pthread_once_t shift_once = PTHREAD_ONCE_INIT;

static void make_shift(void)
{
	unsigned b, i, k;

	pthread_once(&once, make_table);
	/* It is linear: single bits are enough, the others are sums. */
	for (k = 0; k < 4; k++)
		for (b = 1; b < 256; b++) {
			uint32_t c = (uint32_t)b << (8 * k);

			if ((b & (b - 1)) != 0) {
				shift_lane[k][b] = shift_lane[k][b & (b - 1)] ^
						   shift_lane[k][b & -b];
				continue;
			}
			for (i = 0; i < LANE; i++)
				c = c >> 8 ^ table[0][c & 255];
			shift_lane[k][b] = c;
		}
}

static uint32_t shifted(uint32_t c)
{
	return shift_lane[0][c & 255] ^ shift_lane[1][c >> 8 & 255] ^
	       shift_lane[2][c >> 16 & 255] ^ shift_lane[3][c >> 24];
}

__attribute__((target("sse4.2"))) static uint32_t crc_sse42(uint32_t crc,
							    const uint8_t *p,
							    size_t n)
{
	uint64_t a = crc, v;

	if (n >= 3 * LANE)
		pthread_once(&shift_once, make_shift);
	for (; n >= 3 * LANE; n -= 3 * LANE, p += 3 * LANE) {
		uint64_t b = 0, c = 0, x, y, z;
		size_t i;

		for (i = 0; i < LANE; i += 8) {
			memcpy(&x, p + i, 8);
			memcpy(&y, p + LANE + i, 8);
			memcpy(&z, p + 2 * LANE + i, 8);
			a = _mm_crc32_u64(a, x);
			b = _mm_crc32_u64(b, y);
			c = _mm_crc32_u64(c, z);
		}
		a = shifted((uint32_t)a) ^ b;
		a = shifted((uint32_t)a) ^ c;
	}
	for (; n >= 8; n -= 8, p += 8) {
		memcpy(&v, p, 8);
		a = _mm_crc32_u64(a, v);
	}
	for (; n > 0; n--, p++)
		a = _mm_crc32_u8((uint32_t)a, *p);
	return (uint32_t)a;
}
#endif

uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("sse4.2"))
		return ~crc_sse42(~crc, p, n);
#endif
	return ~crc_table(~crc, p, n);
}
