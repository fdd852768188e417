/*
 * Changes a disk image at random and prints what it changed as a change list:
 *
 *	scribble FILE SEED CHANGES
 *
 * The same seed does the same. Few different contents are used, so blocks
 * often change back to what they were; a fifth of the changes write zeros and
 * a fifth punch holes. On images over 1 GiB half of the changes lie around
 * the borders of its GiBs.
 */
#include "config.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

#define GIB (1ull << 30)
#define LONGEST (160 * 1024u)

static uint64_t state;

static uint64_t draw(uint64_t below)
{
	state ^= state << 13; /* xorshift64: Marsaglia 2003 */
	state ^= state >> 7;
	state ^= state << 17;
	return below == 0 ? 0 : state % below;
}

static uint64_t draw_place(uint64_t size)
{
	uint64_t at;

	if (size <= GIB || draw(2) == 0)
		return draw(size);
	at = draw(size / GIB + 1) * GIB;
	at += draw(2 * LONGEST);
	return at < LONGEST || at - LONGEST >= size ? draw(size) : at - LONGEST;
}

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int change(int fd, uint64_t at, uint64_t len)
{
	static uint8_t buf[LONGEST];
	uint64_t kind = draw(5), i;

	if (kind == 0)
		return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				 (off_t)at, (off_t)len);
	/* The content goes with the place, so that it can come back. */
	for (i = 0; i < len; i++)
		buf[i] = kind == 1 ? 0 : (uint8_t)((at + i) % 251 + kind);
	return io_pwrite_full(fd, buf, len, at);
}

int main(int argc, char **argv)
{
	uint64_t places[64], size, after = 0;
	unsigned i, n;
	struct stat st;
	int fd;

	if (argc != 4)
		return 64;
	fd = open(argv[1], O_RDWR);
	if (fd < 0 || fstat(fd, &st) < 0)
		return 74;
	size = (uint64_t)st.st_size;
	state = 88172645463325252ull + (uint64_t)atoll(argv[2]) * 2654435761u;
	n = (unsigned)atoi(argv[3]) % 64;
	for (i = 0; i < n; i++)
		places[i] = draw_place(size);
	qsort(places, n, sizeof(*places), by_value);
	for (i = 0; i < n && size > 0; i++) {
		uint64_t at = places[i] < after ? after : places[i];
		uint64_t len = 1 + draw(LONGEST);

		if (at >= size)
			break;
		if (len > size - at)
			len = size - at;
		if (change(fd, at, len) < 0)
			return 74;
		printf("%llu %llu dirty\n", (unsigned long long)at,
		       (unsigned long long)len);
		after = at + len;
	}
	return close(fd) < 0 || fflush(stdout) != 0 ? 74 : 0;
}
