/*
 * bad-disk: preloaded into programs that read a disk, makes it a bad one.
 *
 *	BAD_DISK	the end of the path of the files that are meant
 *	BAD_DISK_IS	a file; each of its lines is a fault, and without the
 *			file there is none. It is read again at each pread:
 *
 *		slow MS			each read takes so long besides
 *		eio OFFSET LENGTH	reads that touch these bytes fail
 *
 *	BAD_DISK_SYNC	each fsync of whatever file takes so many milliseconds
 *			besides (in an environment only: who is confined reads
 *			no file)
 */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bool is_meant(int fd)
{
	const char *end = getenv("BAD_DISK");
	char link[64], path[4096];
	size_t len;
	ssize_t n;

	if (end == NULL)
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	len = strlen(end);
	return n >= (ssize_t)len &&
	       memcmp(path + (size_t)n - len, end, len) == 0;
}

/* True when the read has to fail. */
static bool suffer(uint64_t offset, size_t n)
{
	const char *path = getenv("BAD_DISK_IS");
	FILE *f = path != NULL ? fopen(path, "re") : NULL;
	uint64_t from, len;
	char line[80];
	bool fails = false;
	unsigned ms;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "slow %u", &ms) == 1)
			nanosleep(
			    &(struct timespec){ms / 1000, ms % 1000 * 1000000L},
			    NULL);
		else if (sscanf(line, "eio %" SCNu64 " %" SCNu64, &from,
				&len) == 2)
			fails =
			    fails || (offset < from + len && from < offset + n);
	}
	if (f != NULL)
		fclose(f);
	return fails;
}

/* The function behind ours. */
#define REAL(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

ssize_t pread(int fd, void *buf, size_t n, off_t offset)
{
	if (is_meant(fd) && suffer((uint64_t)offset, n)) {
		errno = EIO;
		return -1;
	}
	return REAL(pread)(fd, buf, n, offset);
}

int fsync(int fd)
{
	const char *ms = getenv("BAD_DISK_SYNC");
	long n = ms != NULL ? atol(ms) : 0;

	if (n > 0)
		nanosleep(&(struct timespec){n / 1000, n % 1000 * 1000000L},
			  NULL);
	return REAL(fsync)(fd);
}
