#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/units.h"
#include "health/keep.h"

static int open_file(const struct keep *k, int dirfd, bool write, struct err *e)
{
	int fd = openat(
	    dirfd, k->name,
	    write ? O_RDWR | O_CREAT | O_CLOEXEC : O_RDONLY | O_CLOEXEC, 0644);

	return fd >= 0 ? fd : err_sys(e, 0, "%s", k->what);
}

/* 1: ours; 0: empty; -PS_DATA: something else. */
static int check_head(const struct keep *k, int fd, struct err *e)
{
	uint8_t got[KEEP_HEAD_MAX];
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return err_sys(e, 0, "%s", k->what);
	if (st.st_size == 0)
		return 0;
	n = io_pread_full(fd, got, k->head_len, 0);
	if (n < 0)
		return err_sys(e, 0, "%s", k->what);
	if ((size_t)n == k->head_len && memcmp(k->head, got, (size_t)n) == 0 &&
	    (k->size == 0 || (uint64_t)st.st_size == k->size))
		return 1;
	return err_set(e, PS_DATA, "%s: damaged, or of another version",
		       k->what);
}

static int set_aside(const struct keep *k, int dirfd, char *ret, size_t size,
		     struct err *e)
{
	snprintf(ret, size, "%s.damaged-%lld", k->name,
		 (long long)(time_now_ns() / NS_PER_S));
	if (renameat(dirfd, k->name, dirfd, ret) < 0)
		return err_sys(e, 0, "%s", k->what);
	return open_file(k, dirfd, true, e);
}

/* Cut off between the two it is damaged, and the next writer begins anew. */
static int begin(const struct keep *k, int fd, struct err *e)
{
	if (io_pwrite_full(fd, k->head, k->head_len, 0) < 0 ||
	    (k->size != 0 && ftruncate(fd, (off_t)k->size) < 0))
		return err_sys(e, 0, "%s", k->what);
	return 0;
}

int keep_open(const struct keep *k, int dirfd, bool write, char *ret_aside,
	      size_t aside_size, struct err *e)
{
	int fd = open_file(k, dirfd, write, e), rc;

	if (aside_size > 0)
		ret_aside[0] = '\0';
	if (fd < 0)
		return fd;
	rc = check_head(k, fd, e);
	if (rc == -PS_DATA && write) {
		close(fd);
		fd = set_aside(k, dirfd, ret_aside, aside_size, e);
		rc = fd < 0 ? fd : 0;
	}
	if (rc == 0 && write)
		rc = begin(k, fd, e);
	else if (rc == 0)
		rc = err_set(e, PS_NOINPUT, "%s: none yet", k->what);
	if (rc < 0 && fd >= 0)
		close(fd);
	return rc < 0 ? rc : fd;
}
