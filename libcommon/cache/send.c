#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "base/io.h"
#include "cache/follow.h"
#include "cache/send.h"

#define COPY_SIZE (256 * 1024)

int send_open(struct folder *f, uint64_t seq, int *ret_fd,
	      struct spool_info *ret, struct err *e)
{
	int fd = spool_open(f->dirfd, seq, e), rc;

	if (fd < 0)
		return fd;
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	rc = spool_check(fd, seq, f->machine, f->disk, ret, e);
	if (rc < 0)
		close(fd);
	else
		*ret_fd = fd;
	return rc;
}

/* For an output that sendfile(2) does not know. */
static int copy(int out, int fd, uint64_t pos, uint64_t n, struct err *e)
{
	uint8_t *buf = malloc(COPY_SIZE);
	int rc = 0;

	if (buf == NULL)
		return err_sys(e, 0, "standard output");
	while (rc == 0 && pos < n) {
		size_t want =
		    n - pos < COPY_SIZE ? (size_t)(n - pos) : COPY_SIZE;
		ssize_t got = io_pread_full(fd, buf, want, pos);

		if (got < 0)
			rc = err_sys(e, 0, "segment");
		else if ((size_t)got != want)
			rc = err_set(e, PS_IOERR, "segment: became shorter");
		else if (io_write_full(out, buf, want) < 0)
			rc = err_sys(e, 0, "standard output");
		pos += want;
	}
	free(buf);
	return rc;
}

int send_file(int out, int fd, uint64_t n, struct err *e)
{
	off_t pos = 0;

	while ((uint64_t)pos < n) {
		ssize_t put =
		    sendfile(out, fd, &pos, (size_t)(n - (uint64_t)pos));

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0 && (errno == EINVAL || errno == ENOSYS))
			return copy(out, fd, (uint64_t)pos, n, e);
		if (put < 0)
			return err_sys(e, 0, "standard output");
		if (put == 0)
			return err_set(e, PS_IOERR, "segment: became shorter");
	}
	return 0;
}

int cache_cat(struct cache *c, const char *machine, const char *disk,
	      uint64_t seq, int out, struct err *e)
{
	struct spool_info info;
	struct folder f;
	int fd, rc = folder_open(&f, c, machine, disk, false, e);

	if (rc == 0)
		return err_set(e, PS_NOINPUT, "cache %s: no disk %s/%s",
			       c->path, machine, disk);
	if (rc < 0)
		return rc;
	rc = send_open(&f, seq, &fd, &info, e);
	if (rc == 0) {
		rc = send_file(out, fd, info.bytes, e);
		close(fd);
	} else {
		err_prefix(e, "%s/%s", machine, disk);
	}
	folder_close(&f);
	return rc;
}
