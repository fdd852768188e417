#include "config.h"

#include <string.h>

#include "base/bytes.h"

bool bytes_all_zero(const void *p, size_t n)
{
	const uint8_t *b = p;
	size_t i;

	/* A page whose first bytes differ is the common case: leave early. */
	for (i = 0; i < n && i < 16; i++)
		if (b[i] != 0)
			return false;
	/* Each byte equals the one 16 before it, and those are zero. */
	return n <= 16 || memcmp(b, b + 16, n - 16) == 0;
}

void hex_encode(const uint8_t *in, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < n; i++) {
		out[2 * i] = digits[in[i] >> 4];
		out[2 * i + 1] = digits[in[i] & 15];
	}
	out[2 * n] = '\0';
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool hex_decode(const char *in, uint8_t *out, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		int hi = nibble(in[2 * i]);
		int lo = hi < 0 ? -1 : nibble(in[2 * i + 1]);

		if (lo < 0)
			return false;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return in[2 * n] == '\0';
}
