#include "config.h"

#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

/* The length of the letter that begins here; 0: this is none. */
static size_t letter(const uint8_t *p)
{
	uint32_t least, v;
	size_t n, i;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] < 0xe0) {
		n = 2;
		least = 0x80;
	} else if (p[0] >= 0xe0 && p[0] < 0xf0) {
		n = 3;
		least = 0x800;
	} else if (p[0] >= 0xf0 && p[0] < 0xf5) {
		n = 4;
		least = 0x10000;
	} else {
		return 0;
	}
	v = p[0] & (0x7fu >> n);
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80) /* also the end */
			return 0;
		v = v << 6 | (p[i] & 0x3fu);
	}
	return v < least || v > 0x10ffff || (v >= 0xd800 && v < 0xe000) ? 0 : n;
}

void text_tame(char *text)
{
	uint8_t *p = (uint8_t *)text;

	while (*p != '\0') {
		size_t n = letter(p);

		if (n == 0)
			*p = '?';
		p += n == 0 ? 1 : n;
	}
}
