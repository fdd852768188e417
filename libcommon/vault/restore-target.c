#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/durable.h"
#include "base/io.h"
#include "base/units.h"
#include "vault/restore-target.h"

#define SECTOR 512u
/* One request for zeros; a device without offload takes a while for it. */
#define ZERO_PIECE (256ull << 20)

struct target {
	enum target_kind kind;
	char path[PATH_MAX]; /* symbolic links resolved */
	bool force;
	bool spoiled;
	bool own_fd;
	int fd;	      /* of what is written */
	int direct;   /* the same past the page cache; -1: not so */
	int dirfd;    /* of the folder of a file */
	mode_t mode;  /* of the file */
	uint64_t pos; /* of a stream */
	struct durable file;
};

static const uint8_t zeros[256 * 1024];

enum target_kind target_kind(const struct target *t)
{
	return t->kind;
}

const char *target_name(const struct target *t)
{
	return t->path;
}

bool target_spoiled(const struct target *t)
{
	return t->spoiled;
}

/* ---- what must not be written ---- */

/* One of the two is the other, a part of it or the whole of it. */
static bool same_disk(dev_t a, dev_t b)
{
	char link_a[64], link_b[64], path_a[PATH_MAX], path_b[PATH_MAX];
	size_t na, nb;

	if (a == b)
		return true;
	snprintf(link_a, sizeof(link_a), "/sys/dev/block/%u:%u", major(a),
		 minor(a));
	snprintf(link_b, sizeof(link_b), "/sys/dev/block/%u:%u", major(b),
		 minor(b));
	if (realpath(link_a, path_a) == NULL ||
	    realpath(link_b, path_b) == NULL)
		return false;
	/* A partition's folder lies in that of its disk. */
	na = strlen(path_a);
	nb = strlen(path_b);
	return na < nb ? strncmp(path_a, path_b, na) == 0 && path_b[na] == '/'
		       : strncmp(path_a, path_b, nb) == 0 && path_a[nb] == '/';
}

static int check_not_mounted(const char *path, dev_t dev, struct err *e)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t cap = 0;
	int rc = 0;

	if (f == NULL)
		return err_sys(e, PS_NOPERM, "/proc/self/mountinfo");
	while (rc == 0 && getline(&line, &cap, f) > 0) {
		unsigned maj, min;
		char where[256];

		if (sscanf(line, "%*d %*d %u:%u %*s %255s", &maj, &min,
			   where) == 3 &&
		    same_disk(makedev(maj, min), dev))
			rc = err_set(e, PS_NOPERM,
				     "%s: it, or a part of it, is mounted at "
				     "%s: not overwritten",
				     path, where);
	}
	free(line);
	fclose(f);
	return rc;
}

/* ---- opening ---- */

static int open_device(struct target *t, dev_t dev, struct err *e)
{
	int rc = check_not_mounted(t->path, dev, e);

	t->kind = TARGET_DEVICE;
	if (rc == 0 && !t->force) {
		rc = err_set(e, PS_CANTCREAT, "%s: it is a device", t->path);
		err_hint(e, "--force overwrites it");
	}
	if (rc < 0)
		return rc;
	/* Exclusive: nobody has it mounted, in a RAID, as swap. */
	t->fd = open(t->path, O_RDWR | O_EXCL | O_CLOEXEC);
	if (t->fd < 0)
		return err_sys(e, errno == EBUSY ? PS_NOPERM : 0, "%s",
			       t->path);
	t->own_fd = true;
	t->direct = open(t->path, O_WRONLY | O_DIRECT | O_CLOEXEC);
	return 0;
}

static int open_stream(struct target *t, struct err *e)
{
	t->kind = TARGET_STREAM;
	if (strcmp(t->path, "-") == 0) {
		snprintf(t->path, sizeof(t->path), "standard output");
		t->fd = STDOUT_FILENO;
	} else {
		t->fd = open(t->path, O_WRONLY | O_CLOEXEC);
		if (t->fd < 0)
			return err_sys(e, 0, "%s", t->path);
		t->own_fd = true;
	}
	io_grow_pipe(t->fd);
	return 0;
}

/* Opens the folder of the file and leaves the last part in t->file.name. */
static int open_folder(struct target *t, struct err *e)
{
	char copy[PATH_MAX];
	const char *name;
	size_t len = strlen(t->path);

	if (len > 0 && t->path[len - 1] == '/')
		return err_set(e, PS_USAGE, "%s: a folder, and not there",
			       t->path);
	memcpy(copy, t->path, sizeof(copy));
	name = basename(copy);
	if (strlen(name) >= sizeof(t->file.name) || strcmp(name, "/") == 0)
		return err_set(e, PS_USAGE, "%s: not a file name", t->path);
	memcpy(t->file.name, name, strlen(name) + 1);
	memcpy(copy, t->path, sizeof(copy));
	t->dirfd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->dirfd < 0)
		return err_sys(e, 0, "%s: its folder", t->path);
	t->kind = TARGET_FILE;
	return 0;
}

static int open_existing_file(struct target *t, const struct stat *st,
			      struct err *e)
{
	char real[PATH_MAX];
	int rc;

	if (!t->force) {
		rc = err_set(e, PS_CANTCREAT, "%s: it is there already",
			     t->path);
		err_hint(e, "--force replaces it");
		return rc;
	}
	/* The file behind a symbolic link is replaced, not the link. */
	if (realpath(t->path, real) == NULL)
		return err_sys(e, 0, "%s", t->path);
	memcpy(t->path, real, strlen(real) + 1);
	t->mode = st->st_mode & 0777;
	return open_folder(t, e);
}

static int open_path(struct target *t, struct err *e)
{
	struct stat st;

	if (strcmp(t->path, "-") == 0)
		return open_stream(t, e);
	if (stat(t->path, &st) < 0) {
		if (errno != ENOENT)
			return err_sys(e, 0, "%s", t->path);
		if (lstat(t->path, &st) == 0)
			return err_set(e, PS_USAGE,
				       "%s: a symbolic link that leads nowhere",
				       t->path);
		return open_folder(t, e);
	}
	if (S_ISBLK(st.st_mode))
		return open_device(t, st.st_rdev, e);
	if (S_ISREG(st.st_mode))
		return open_existing_file(t, &st, e);
	if (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode))
		return open_stream(t, e);
	return err_set(e, PS_USAGE, "%s: neither a file nor a device", t->path);
}

int target_open(struct target **ret, const char *path, bool force,
		struct err *e)
{
	struct target *t;
	int rc = 0;

	if (path != NULL && strlen(path) >= PATH_MAX)
		return err_set(e, PS_USAGE, "target: name too long");
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return err_sys(e, PS_TEMPFAIL, "target");
	t->fd = t->direct = t->dirfd = t->file.fd = -1;
	t->force = force;
	t->mode = 0600; /* what a key was needed for is not for everybody */
	if (path != NULL) {
		memcpy(t->path, path, strlen(path) + 1);
		rc = open_path(t, e);
	}
	if (rc < 0) {
		target_close(t);
		return rc;
	}
	*ret = t;
	return 0;
}

void target_close(struct target *t)
{
	if (t == NULL)
		return;
	if (t->kind == TARGET_FILE)
		durable_abort(&t->file);
	if (t->direct >= 0)
		close(t->direct);
	if (t->own_fd && t->fd >= 0)
		close(t->fd);
	if (t->dirfd >= 0)
		close(t->dirfd);
	free(t);
}

/* ---- beginning ---- */

static int begin_device(struct target *t, uint64_t size, struct err *e)
{
	char have[32], want[32];
	uint64_t bytes;

	if (ioctl(t->fd, BLKGETSIZE64, &bytes) < 0)
		return err_sys(e, 0, "%s: size", t->path);
	if (bytes >= size) {
		t->spoiled = true;
		return 0;
	}
	format_size(bytes, have, sizeof(have));
	format_size(size, want, sizeof(want));
	return err_set(e, PS_USAGE,
		       "%s: too small: %s (%llu bytes), the disk has %s (%llu)",
		       t->path, have, (unsigned long long)bytes, want,
		       (unsigned long long)size);
}

static int check_room(const struct target *t, uint64_t data_bytes,
		      struct err *e)
{
	char have[32], want[32];
	struct statvfs vfs;
	int rc;

	if (t->force || fstatvfs(t->dirfd, &vfs) < 0 || vfs.f_blocks == 0 ||
	    data_bytes / vfs.f_frsize < vfs.f_bavail)
		return 0;
	format_size(vfs.f_bavail * vfs.f_frsize, have, sizeof(have));
	format_size(data_bytes, want, sizeof(want));
	rc = err_set(e, PS_TEMPFAIL,
		     "%s: not enough room: %s free, the disk holds %s of data",
		     t->path, have, want);
	err_hint(e, "if the file system compresses, --force tries it");
	return rc;
}

static int begin_file(struct target *t, uint64_t size, uint64_t data_bytes,
		      struct err *e)
{
	char name[sizeof(t->file.name)], want[32];
	int rc = check_room(t, data_bytes, e);

	if (rc < 0)
		return rc;
	memcpy(name, t->file.name, sizeof(name));
	rc = durable_begin(&t->file, t->dirfd, name, t->mode, e);
	/* PS_NOINPUT would be said of the vault: plan again. */
	if (rc == -PS_NOINPUT)
		return err_set(e, PS_IOERR,
			       "%s: its folder is gone, or takes "
			       "no files",
			       t->path);
	if (rc < 0)
		return rc;
	if (fchmod(t->file.fd, t->mode) < 0)
		return err_sys(e, 0, "%s: mode", t->path);
	format_size(size, want, sizeof(want));
	if (ftruncate(t->file.fd, (off_t)size) < 0)
		return err_sys(e, 0, "%s: cannot make a file of %s", t->path,
			       want);
	t->fd = t->file.fd;
	t->direct =
	    openat(t->dirfd, t->file.tmp, O_WRONLY | O_DIRECT | O_CLOEXEC);
	return 0;
}

int target_begin(struct target *t, uint64_t size, uint64_t data_bytes,
		 struct err *e)
{
	if (t->kind == TARGET_DEVICE)
		return begin_device(t, size, e);
	if (t->kind == TARGET_FILE)
		return begin_file(t, size, data_bytes, e);
	return 0;
}

/* ---- writing ---- */

/*
 * Past the page cache: what is restored is not read again, copying it there
 * costs more than all else but inflating, and the sync at the end would have
 * to wait for it. 1: not possible here, write it the other way.
 */
static int write_direct(struct target *t, uint64_t offset, const void *buf,
			size_t n)
{
	if (t->direct < 0 || ((uintptr_t)buf | offset | n) % TARGET_ALIGN != 0)
		return 1;
	if (io_pwrite_full(t->direct, buf, n, offset) == 0)
		return 0;
	/* The file system or device wants another alignment. */
	return errno == EINVAL || errno == EOPNOTSUPP ? 1 : -1;
}

int target_write(struct target *t, uint64_t offset, const void *buf, size_t n,
		 struct err *e)
{
	int rc;

	if (t->kind == TARGET_NONE || n == 0)
		return 0;
	if (t->kind != TARGET_STREAM) {
		rc = write_direct(t, offset, buf, n);
		if (rc > 0)
			rc = io_pwrite_full(t->fd, buf, n, offset);
		return rc < 0 ? err_sys(e, 0, "%s", t->path) : 0;
	}
	if (offset != t->pos)
		return err_set(e, PS_SOFTWARE, "%s: out of order", t->path);
	t->spoiled = true;
	if (io_write_full(t->fd, buf, n) < 0)
		return err_sys(e, 0, "%s", t->path);
	t->pos += n;
	return 0;
}

static int write_zeros(struct target *t, uint64_t offset, uint64_t n,
		       struct err *e)
{
	while (n > 0) {
		size_t piece = n < sizeof(zeros) ? (size_t)n : sizeof(zeros);
		int rc = target_write(t, offset, zeros, piece, e);

		if (rc < 0)
			return rc;
		offset += piece;
		n -= piece;
	}
	return 0;
}

int target_zero(struct target *t, uint64_t offset, uint64_t n, struct err *e)
{
	if (t->kind == TARGET_NONE || t->kind == TARGET_FILE)
		return 0;
	while (t->kind == TARGET_DEVICE && n >= SECTOR) {
		uint64_t range[2] = {offset, n < ZERO_PIECE ? n : ZERO_PIECE};

		range[1] -= range[1] % SECTOR;
		/* A device that cannot, or has larger sectors, is written. */
		if (ioctl(t->fd, BLKZEROOUT, range) < 0)
			break;
		offset += range[1];
		n -= range[1];
	}
	return write_zeros(t, offset, n, e);
}

void target_hurry(struct target *t)
{
	if (t->kind == TARGET_FILE || t->kind == TARGET_DEVICE)
		sync_file_range(t->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

/* ---- the end ---- */

static int commit_file(struct target *t, struct err *e)
{
	int rc = durable_commit(&t->file,
				t->force ? DURABLE_REPLACE : DURABLE_CREATE, e);

	t->fd = -1;
	if (rc == -PS_NO)
		return err_set(e, PS_CANTCREAT, "%s: someone else made it",
			       t->path);
	return rc;
}

int target_commit(struct target *t, struct err *e)
{
	struct stat st;
	int rc = 0;

	if (t->kind == TARGET_FILE)
		return commit_file(t, e);
	if (t->kind == TARGET_NONE)
		return 0;
	/* A pipe has no stable storage. */
	if (fstat(t->fd, &st) == 0 &&
	    (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)))
		rc = durable_sync(t->fd, t->path, e);
	if (t->own_fd) {
		int fd = t->fd;

		t->fd = -1;
		if (close(fd) < 0 && rc == 0)
			rc = err_sys(e, PS_STORAGE, "%s: close", t->path);
	}
	if (rc == 0)
		t->spoiled = false;
	return rc;
}
