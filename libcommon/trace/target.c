#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/io.h"
#include "base/units.h"
#include "trace/target.h"

#define MINOR_BITS 20 /* of the kernel's dev_t */

/* One line of a small file; false when it cannot be had. */
static bool read_line(int dir, const char *name, char *buf, size_t size)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = io_read_full(fd, buf, size - 1);
	close(fd);
	if (n <= 0)
		return false;
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return true;
}

static bool read_number(int dir, const char *name, uint64_t *ret)
{
	char text[32];

	return read_line(dir, name, text, sizeof(text)) &&
	       parse_u64(text, UINT64_MAX, ret);
}

static int no_trace(const char *path, const char *why, struct err *e)
{
	return err_set(e, PS_UNAVAILABLE, "%s cannot be traced: %s", path, why);
}

/*
 * What lies on a device may hand it requests that were traced once already,
 * higher up (md, bcache); the device mapper makes new ones.
 */
static bool held_by_others(int dir)
{
	int fd = openat(dir, "holders", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	bool found = false;

	if (d == NULL) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while ((entry = readdir(d)) != NULL)
		if (entry->d_name[0] != '.' &&
		    strncmp(entry->d_name, "dm-", 3) != 0)
			found = true;
	closedir(d);
	return found;
}

/* The disk itself and each of its partitions. */
static bool disk_held(int disk)
{
	int fd = openat(disk, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	bool found = held_by_others(disk);

	if (d == NULL) {
		if (fd >= 0)
			close(fd);
		return found;
	}
	while ((entry = readdir(d)) != NULL) {
		int part = entry->d_name[0] == '.'
			       ? -1
			       : openat(disk, entry->d_name,
					O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (part < 0)
			continue;
		if (faccessat(part, "partition", F_OK, 0) == 0 &&
		    held_by_others(part))
			found = true;
		close(part);
	}
	closedir(d);
	return found;
}

static int look_at(struct target *t, int self, int disk, const char *path,
		   struct err *e)
{
	unsigned major_n, minor_n;
	char text[32];
	uint64_t dax;

	if (!read_number(self, "size", &t->sectors) || t->sectors == 0 ||
	    (self != disk && !read_number(self, "start", &t->start)) ||
	    !read_line(disk, "dev", text, sizeof(text)) ||
	    sscanf(text, "%u:%u", &major_n, &minor_n) != 2)
		return no_trace(path, "sysfs does not tell its size and place",
				e);
	t->disk = major_n << MINOR_BITS | minor_n;
	if (!read_number(disk, "diskseq", &t->diskseq))
		return no_trace(path, "the kernel is older than 5.15", e);
	if (read_line(disk, "queue/zoned", text, sizeof(text)) &&
	    strcmp(text, "none") != 0)
		return no_trace(path, "a zoned device", e);
	if (read_number(disk, "queue/dax", &dax) && dax != 0)
		return no_trace(path,
				"it is written past the block layer "
				"(DAX)",
				e);
	if (self == disk ? disk_held(disk) : held_by_others(self))
		return no_trace(path,
				"something other than the device mapper "
				"lies on it",
				e);
	return 0;
}

int target_find(struct target *t, const char *path, struct err *e)
{
	char sysfs[64];
	struct stat st;
	int self, disk, rc;

	*t = (struct target){0};
	if (stat(path, &st) < 0)
		return err_sys(e, 0, "%s", path);
	if (!S_ISBLK(st.st_mode))
		return err_set(e, PS_USAGE, "%s is no block device", path);
	t->dev = st.st_rdev;
	snprintf(sysfs, sizeof(sysfs), "/sys/dev/block/%u:%u",
		 major(st.st_rdev), minor(st.st_rdev));
	self = open(sysfs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (self < 0)
		return err_sys(e, PS_UNAVAILABLE, "%s", sysfs);
	disk = self;
	if (faccessat(self, "partition", F_OK, 0) == 0)
		disk = openat(self, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = disk < 0 ? err_sys(e, PS_UNAVAILABLE, "%s/..", sysfs)
		      : look_at(t, self, disk, path, e);
	if (disk >= 0 && disk != self)
		close(disk);
	close(self);
	return rc;
}

bool target_same(const struct target *a, const struct target *b)
{
	return a->dev == b->dev && a->disk == b->disk && a->start == b->start &&
	       a->sectors == b->sectors && a->diskseq == b->diskseq;
}
