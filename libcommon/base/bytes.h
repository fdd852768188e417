/*
 * Bytes as they stand on disk and on the wire: fixed width, little-endian,
 * packed and unpacked one field at a time; and arithmetic on lengths that
 * came from outside.
 */
#ifndef PS_BASE_BYTES_H
#define PS_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline void put_le16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static inline void put_le32(uint8_t *p, uint32_t v)
{
	put_le16(p, (uint16_t)v);
	put_le16(p + 2, (uint16_t)(v >> 16));
}

static inline void put_le64(uint8_t *p, uint64_t v)
{
	put_le32(p, (uint32_t)v);
	put_le32(p + 4, (uint32_t)(v >> 32));
}

static inline uint16_t get_le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t get_le32(const uint8_t *p)
{
	return (uint32_t)get_le16(p) | (uint32_t)get_le16(p + 2) << 16;
}

static inline uint64_t get_le64(const uint8_t *p)
{
	return (uint64_t)get_le32(p) | (uint64_t)get_le32(p + 4) << 32;
}

/* Checked arithmetic: true when the result does not fit. */
#define add_overflows(a, b, ret) __builtin_add_overflow((a), (b), (ret))
#define mul_overflows(a, b, ret) __builtin_mul_overflow((a), (b), (ret))

#define DIV_ROUND_UP(n, d) (((n) / (d)) + ((n) % (d) != 0))

/* True when all n bytes are zero; about memory speed. */
bool bytes_all_zero(const void *p, size_t n);

/* Lower-case hexadecimal; `out` has room for 2 * n + 1 characters. */
void hex_encode(const uint8_t *in, size_t n, char *out);

/* Reads exactly 2 * n digits (either case), then NUL; false otherwise. */
bool hex_decode(const char *in, uint8_t *out, size_t n);

#endif
