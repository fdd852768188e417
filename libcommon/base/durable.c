#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/durable.h"
#include "base/io.h"

#define TMP_PREFIX ".tmp."

/*
 * Locks a new temporary file for as long as its writer lives. False when a
 * sweeper was quicker and took it for a leftover: it is then gone.
 */
static bool claim(int fd)
{
	struct stat st;

	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno != EWOULDBLOCK; /* no locks there: go without */
	return fstat(fd, &st) == 0 && st.st_nlink > 0;
}

int durable_begin(struct durable *d, int dirfd, const char *name, mode_t mode,
		  struct err *e)
{
	*d = (struct durable){.dirfd = dirfd, .fd = -1};
	if (strlen(name) >= sizeof(d->name))
		return err_set(e, PS_USAGE, "%s: name too long", name);
	memcpy(d->name, name, strlen(name) + 1);
	for (;;) {
		unsigned long long r[2];

		if (getrandom(r, sizeof(r), 0) != (ssize_t)sizeof(r))
			return err_sys(e, PS_IOERR, "getrandom");
		snprintf(d->tmp, sizeof(d->tmp), TMP_PREFIX "%016llx%016llx",
			 r[0], r[1]);
		d->fd = openat(dirfd, d->tmp,
			       O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
		if (d->fd >= 0 && claim(d->fd))
			return 0;
		if (d->fd >= 0)
			durable_abort(d);
		else if (errno != EEXIST)
			return err_sys(e, 0, "%s: cannot create", name);
	}
}

void durable_abort(struct durable *d)
{
	if (d->fd >= 0) {
		close(d->fd);
		d->fd = -1;
	}
	if (d->tmp[0] != '\0') {
		unlinkat(d->dirfd, d->tmp, 0);
		d->tmp[0] = '\0';
	}
}

int durable_sync(int fd, const char *what, struct err *e)
{
	if (fsync(fd) < 0)
		return err_sys(e, PS_STORAGE, "%s: fsync", what);
	return 0;
}

/* Root could lose /dev/null to a file. */
static int check_replaced(const struct durable *d, struct err *e)
{
	struct stat st;

	if (fstatat(d->dirfd, d->name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    S_ISREG(st.st_mode) || S_ISLNK(st.st_mode) || S_ISDIR(st.st_mode))
		return 0;
	return err_set(e, PS_CANTCREAT,
		       "%s: a device or a pipe does not give way to a file",
		       d->name);
}

/* Gives the synced temporary file its name. 0, -PS_NO or -CODE. */
static int give_name(struct durable *d, enum durable_mode how, struct err *e)
{
	if (how == DURABLE_REPLACE) {
		int rc = check_replaced(d, e);

		if (rc < 0)
			return rc;
		if (renameat(d->dirfd, d->tmp, d->dirfd, d->name) < 0)
			return err_sys(e, 0, "%s: rename", d->name);
		d->tmp[0] = '\0';
		return 0;
	}
	/* link(2) never replaces, on every file system; abort unlinks tmp. */
	if (linkat(d->dirfd, d->tmp, d->dirfd, d->name, 0) < 0) {
		if (errno == EEXIST)
			return -PS_NO;
		if (errno != EPERM && errno != EOPNOTSUPP)
			return err_sys(e, 0, "%s: link", d->name);
		/* No hard links there (exFAT, some FUSE): same promise. */
		if (renameat2(d->dirfd, d->tmp, d->dirfd, d->name,
			      RENAME_NOREPLACE) < 0)
			return errno == EEXIST
				   ? -PS_NO
				   : err_sys(e, 0, "%s: rename", d->name);
		d->tmp[0] = '\0';
	}
	return 0;
}

int durable_commit(struct durable *d, enum durable_mode how, struct err *e)
{
	int rc = durable_sync(d->fd, d->name, e);
	/* The lock stays until the file has its name, or a sweeper takes it. */
	int lock = fcntl(d->fd, F_DUPFD_CLOEXEC, 0);

	if (rc == 0) {
		int fd = d->fd;

		d->fd = -1;
		if (close(fd) < 0)
			rc = err_sys(e, PS_STORAGE, "%s: close", d->name);
	}
	if (rc == 0)
		rc = give_name(d, how, e);
	durable_abort(d);
	if (lock >= 0 && close(lock) < 0 && rc == 0)
		rc = err_sys(e, PS_STORAGE, "%s: close", d->name);
	if (rc == 0)
		rc = durable_sync(d->dirfd, d->name, e);
	return rc;
}

int durable_write(int dirfd, const char *name, const void *buf, size_t n,
		  mode_t mode, enum durable_mode how, struct err *e)
{
	struct durable d;
	int rc = durable_begin(&d, dirfd, name, mode, e);

	if (rc < 0)
		return rc;
	if (io_write_full(d.fd, buf, n) < 0) {
		rc = err_sys(e, 0, "%s", name);
		durable_abort(&d);
		return rc;
	}
	return durable_commit(&d, how, e);
}

int durable_folder(const char *path, const char **ret_name, struct err *e)
{
	const char *slash = strrchr(path, '/');
	char *dir;
	int fd;

	*ret_name = slash == NULL ? path : slash + 1;
	if (**ret_name == '\0')
		return err_set(e, PS_USAGE, "%s: not a file name", path);
	dir = slash == NULL ? strdup(".")
			    : strndup(path, (size_t)(slash - path) + 1);
	if (dir == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s", path);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		fd = err_sys(e, 0, "%s", dir);
	free(dir);
	return fd;
}

bool durable_is_channel(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode) &&
	    (strncmp(path, "/dev/", 5) == 0 || strncmp(path, "/proc/", 6) == 0))
		return true;
	return stat(path, &st) == 0 && !S_ISREG(st.st_mode) &&
	       !S_ISDIR(st.st_mode);
}

static int write_to(const char *path, const void *buf, size_t n, struct err *e)
{
	int rc = 0, fd = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || io_write_full(fd, buf, n) < 0)
		rc = err_sys(e, 0, "%s", path);
	if (fd >= 0)
		close(fd);
	return rc;
}

int durable_write_path(const char *path, const void *buf, size_t n, mode_t mode,
		       enum durable_mode how, struct err *e)
{
	const char *name;
	int rc, fd;

	if (how == DURABLE_REPLACE && durable_is_channel(path))
		return write_to(path, buf, n, e);
	fd = durable_folder(path, &name, e);
	if (fd < 0)
		return fd;
	rc = durable_write(fd, name, buf, n, mode, how, e);
	close(fd);
	return rc;
}

/* Removes one temporary file; `dead_only`: unless its writer lives. */
static void sweep_one(int dirfd, const char *name, bool dead_only)
{
	int fd = -1;

	if (dead_only) {
		fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return;
	}
	if (!dead_only || flock(fd, LOCK_EX | LOCK_NB) == 0)
		unlinkat(dirfd, name, 0);
	if (fd >= 0)
		close(fd);
}

static void sweep(int dirfd, bool dead_only)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *ent;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((ent = readdir(dir)) != NULL)
		if (strncmp(ent->d_name, TMP_PREFIX, strlen(TMP_PREFIX)) == 0)
			sweep_one(dirfd, ent->d_name, dead_only);
	closedir(dir);
}

void durable_sweep(int dirfd)
{
	sweep(dirfd, false);
}

void durable_sweep_dead(int dirfd)
{
	sweep(dirfd, true);
}
