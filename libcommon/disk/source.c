#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "disk/devices.h"
#include "disk/source.h"

#define PROBE_SIZE 4096

static int find_size(struct source *s, const struct stat *st, struct err *e)
{
	if (S_ISREG(st->st_mode)) {
		s->size = (uint64_t)st->st_size;
		return 0;
	}
	if (ioctl(s->fd, BLKGETSIZE64, &s->size) < 0)
		return err_sys(e, PS_IOERR, "%s: size of the device", s->path);
	s->mounted = device_mounted(st->st_rdev);
	return 0;
}

int source_open(struct source *s, const char *path, struct err *e)
{
	struct stat st;
	int rc;

	*s = (struct source){.fd = -1, .path = path};
	/* A FIFO must not block us before we can refuse it. */
	s->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (s->fd < 0)
		return err_sys(e, 0, "%s", path);
	if (fstat(s->fd, &st) < 0)
		rc = err_sys(e, 0, "%s", path);
	else if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		rc = err_set(e, PS_USAGE,
			     "%s: neither a regular file nor a block device",
			     path);
	else
		rc = find_size(s, &st, e);
	if (rc < 0) {
		source_close(s);
		return rc;
	}
	(void)posix_fadvise(s->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return 0;
}

void source_close(struct source *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

/* Finds the first stretch of data at or behind pos; none: at UINT64_MAX. */
static void look(struct source *s, uint64_t pos)
{
	off_t from = lseek(s->fd, (off_t)pos, SEEK_DATA), to;

	if (from < 0 && errno == ENXIO) {
		s->data_from = s->data_to = UINT64_MAX;
		return;
	}
	to = from < 0 ? -1 : lseek(s->fd, from, SEEK_HOLE);
	if (from < 0 || to <= from) { /* cannot say: all of it is data */
		s->data_from = pos;
		s->data_to = UINT64_MAX;
		return;
	}
	s->data_from = (uint64_t)from;
	s->data_to = (uint64_t)to;
}

bool source_next_data(struct source *s, uint64_t pos, uint64_t end,
		      uint64_t *ret_from, uint64_t *ret_to)
{
	/*
	 * What the last look found is still good while pos lies in it or in
	 * the hole before it; going back begins anew.
	 */
	if (pos >= s->data_to || pos < s->looked_at || s->data_to == 0) {
		look(s, pos);
		s->looked_at = pos;
	}
	if (s->data_from >= end)
		return false;
	*ret_from = s->data_from > pos ? s->data_from : pos;
	*ret_to = s->data_to < end ? s->data_to : end;
	return true;
}

/* Where is it that cannot be read? What can be read is read once more. */
static uint64_t bad_place(const struct source *s, uint64_t pos, size_t n)
{
	uint64_t end = pos + n;
	uint8_t probe[PROBE_SIZE];
	uint64_t at;

	for (at = pos; at < end; at += PROBE_SIZE)
		if (io_pread_full(s->fd, probe,
				  end - at < PROBE_SIZE ? end - at : PROBE_SIZE,
				  at) < 0)
			return at;
	return pos;
}

int source_read(const struct source *s, uint64_t pos, void *buf, size_t n,
		struct err *e)
{
	ssize_t got = io_pread_full(s->fd, buf, n, pos);

	if (got < 0) {
		int why = errno;
		uint64_t at = bad_place(s, pos, n);

		errno = why;
		return err_sys(e, PS_IOERR, "%s: reading at byte %llu", s->path,
			       (unsigned long long)at);
	}
	if ((size_t)got < n)
		return err_set(e, PS_IOERR,
			       "%s: ends at byte %llu, it had %llu bytes",
			       s->path, (unsigned long long)pos + got,
			       (unsigned long long)s->size);
	return 0;
}
