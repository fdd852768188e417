#include "config.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "disk/devices.h"

static bool known(const struct devices *d, dev_t id)
{
	unsigned i;

	for (i = 0; i < d->n; i++)
		if (d->ids[i] == id)
			return true;
	return false;
}

static void add(struct devices *d, dev_t id)
{
	if (d->n < DEVICES_MAX && !known(d, id))
		d->ids[d->n++] = id;
}

/* Adds the device whose number stands in the file `dir`/NAME/dev. */
static void add_child(struct devices *d, const char *dir, const char *name)
{
	char path[PATH_MAX];
	unsigned maj, min;
	FILE *f;

	if (snprintf(path, sizeof(path), "%s/%s/dev", dir, name) >=
	    (int)sizeof(path))
		return;
	f = fopen(path, "re");
	if (f == NULL)
		return;
	if (fscanf(f, "%u:%u", &maj, &min) == 2)
		add(d, makedev(maj, min));
	fclose(f);
}

/*
 * Partitions are folders in the device's folder, what is stacked on it are
 * links in its folder "holders"; each of them has a file "dev".
 */
static void add_children(struct devices *d, const char *dir)
{
	struct dirent *ent;
	DIR *folder = opendir(dir);

	if (folder == NULL)
		return;
	while ((ent = readdir(folder)) != NULL)
		if (ent->d_name[0] != '.')
			add_child(d, dir, ent->d_name);
	closedir(folder);
}

void devices_above(struct devices *d, const char *sysfs, dev_t device)
{
	char dir[PATH_MAX];
	unsigned i;

	d->n = 0;
	add(d, device);
	for (i = 0; i < d->n; i++) {
		snprintf(dir, sizeof(dir), "%s/dev/block/%u:%u", sysfs,
			 major(d->ids[i]), minor(d->ids[i]));
		add_children(d, dir);
		snprintf(dir, sizeof(dir), "%s/dev/block/%u:%u/holders", sysfs,
			 major(d->ids[i]), minor(d->ids[i]));
		add_children(d, dir);
	}
}

/* Is the option "rw" among "rw,relatime,..."? */
static bool read_write(const char *options)
{
	return strncmp(options, "rw", 2) == 0 &&
	       (options[2] == '\0' || options[2] == ',' || options[2] == '\n');
}

/*
 * Some file systems (btrfs) show an anonymous number, so the device they name
 * is looked at too. The options of the file system count, not those of the
 * mount: a read-only bind mount does not keep others from writing.
 */
static bool line_mounts(const struct devices *d, char *line)
{
	char *tail = strstr(line, " - "), *save = NULL;
	char *device, *options;
	unsigned maj, min;
	struct stat st;

	if (tail == NULL || sscanf(line, "%*u %*u %u:%u", &maj, &min) != 2)
		return false;
	if (strtok_r(tail + 3, " ", &save) == NULL)
		return false;
	device = strtok_r(NULL, " ", &save);
	options = strtok_r(NULL, " \n", &save);
	if (options == NULL || !read_write(options))
		return false;
	return known(d, makedev(maj, min)) ||
	       (device[0] == '/' && stat(device, &st) == 0 &&
		S_ISBLK(st.st_mode) && known(d, st.st_rdev));
}

bool devices_mounted(const struct devices *d, FILE *mountinfo)
{
	bool found = false;
	char *line = NULL;
	size_t cap = 0;

	while (!found && getline(&line, &cap, mountinfo) > 0)
		found = line_mounts(d, line);
	free(line);
	return found;
}

bool device_mounted(dev_t device)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	struct devices d;
	bool found;

	if (f == NULL)
		return true; /* not known: better ask */
	devices_above(&d, "/sys", device);
	found = devices_mounted(&d, f);
	fclose(f);
	return found;
}
