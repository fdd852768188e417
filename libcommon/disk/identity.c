#include "config.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#ifdef HAVE_BLKID
#include <blkid.h>
#endif

#include "disk/identity.h"

/* Printable ASCII. */
static void tame(char *p)
{
	for (; *p != '\0'; p++)
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
}

/* The first line of a file, without blanks at its ends; false: none. */
static bool first_line(const char *path, char *out, size_t size)
{
	FILE *f = fopen(path, "re");
	size_t skip, n;

	*out = '\0';
	if (f == NULL)
		return false;
	if (fgets(out, (int)size, f) == NULL)
		*out = '\0';
	fclose(f);
	skip = strspn(out, " \t\n");
	memmove(out, out + skip, strlen(out + skip) + 1);
	n = strlen(out);
	while (n > 0 && strchr(" \t\n", out[n - 1]) != NULL)
		out[--n] = '\0';
	tame(out);
	return n > 0;
}

static bool attribute(const char *dir, const char *name, char *out, size_t size)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/%s", dir, name) <
		   (int)sizeof(path) &&
	       first_line(path, out, size);
}

/*
 * In the order of what is most its own. Of the files that stand for a loop
 * device the end of a long name tells more than its beginning.
 */
static void of_device(const char *dir, char ret[IDENTITY_SIZE])
{
	static const struct {
		const char *file, *kind;
	} all[] = {{"wwid", "wwid"},		/* NVMe */
		   {"device/wwid", "wwid"},	/* SCSI, SATA */
		   {"serial", "serial"},	/* virtio */
		   {"device/serial", "serial"}, /* MMC */
		   {"dm/uuid", "dm"},
		   {"md/uuid", "md"},
		   {"loop/backing_file", "loop"}};
	char text[PATH_MAX];
	size_t i, n, most;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (!attribute(dir, all[i].file, text, sizeof(text)))
			continue;
		n = strlen(text);
		most = IDENTITY_SIZE - 64; /* a partition adds some */
		snprintf(ret, IDENTITY_SIZE, "%s:%s", all[i].kind,
			 text + (n > most ? n - most : 0));
		return;
	}
}

void identity_of_device(const char *sysfs, dev_t device,
			char ret[IDENTITY_SIZE])
{
	char dir[PATH_MAX - 4], parent[PATH_MAX], start[32];
	size_t n;

	*ret = '\0';
	if (snprintf(dir, sizeof(dir), "%s/dev/block/%u:%u", sysfs,
		     major(device), minor(device)) >= (int)sizeof(dir))
		return;
	if (!attribute(dir, "partition", start, sizeof(start))) {
		of_device(dir, ret);
		return;
	}
	/* The link leads to DISK/PARTITION. */
	snprintf(parent, sizeof(parent), "%s/..", dir);
	of_device(parent, ret);
	n = strlen(ret);
	if (n > 0 && attribute(dir, "start", start, sizeof(start)))
		snprintf(ret + n, IDENTITY_SIZE - n, " from sector %s", start);
}

bool identity_of_disk(const char *path, char ret[IDENTITY_SIZE])
{
	struct stat st;

	*ret = '\0';
	if (strncmp(path, "/dev/", 5) != 0 || stat(path, &st) < 0)
		return false;
	if (S_ISBLK(st.st_mode))
		identity_of_device("/sys", st.st_rdev, ret);
	return true;
}

/* ---- by what is on it ---- */

#ifdef HAVE_BLKID
/* "gpt:UUID", "ext4:UUID" */
static bool say_contents(blkid_probe probe, const char *kind, const char *id,
			 char ret[IDENTITY_SIZE])
{
	const char *type, *text;

	if (blkid_probe_lookup_value(probe, id, &text, NULL) < 0 ||
	    *text == '\0' ||
	    blkid_probe_lookup_value(probe, kind, &type, NULL) < 0)
		return false;
	snprintf(ret, IDENTITY_SIZE, "%.40s:%.200s", type, text);
	tame(ret);
	return true;
}

bool identity_of_contents(int fd, char ret[IDENTITY_SIZE])
{
	blkid_probe probe = blkid_new_probe();
	bool read = false;

	*ret = '\0';
	if (probe != NULL && blkid_probe_set_device(probe, fd, 0, 0) == 0) {
		blkid_probe_enable_partitions(probe, 1);
		blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_UUID |
							     BLKID_SUBLKS_TYPE);
		switch (blkid_do_safeprobe(probe)) {
		case 0:
			read = true;
			if (!say_contents(probe, "PTTYPE", "PTUUID", ret))
				say_contents(probe, "TYPE", "UUID", ret);
			break;
		case 1:	 /* nothing */
		case -2: /* more than one thing */
			read = true;
			break;
		default:
			break;
		}
	}
	blkid_free_probe(probe);
	return read;
}
#else
bool identity_of_contents(int fd, char ret[IDENTITY_SIZE])
{
	(void)fd;
	*ret = '\0';
	return false;
}
#endif

static void make_key(const struct stat *st, char ret[IDENTITY_KEY])
{
	if (S_ISBLK(st->st_mode))
		snprintf(ret, IDENTITY_KEY, "b%u:%u", major(st->st_rdev),
			 minor(st->st_rdev));
	else
		snprintf(ret, IDENTITY_KEY, "f%llu:%llu",
			 (unsigned long long)st->st_dev,
			 (unsigned long long)st->st_ino);
}

int identity_find(const char *path, struct identity *ret, struct err *e)
{
	struct stat st;
	int fd;

	*ret = (struct identity){.known = true};
	if (stat(path, &st) < 0)
		return err_sys(e, 0, "%s", path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0) {
		int rc = err_sys(e, 0, "%s", path);

		if (fd >= 0)
			close(fd);
		return rc;
	}
	make_key(&st, ret->key);
	if (S_ISBLK(st.st_mode))
		identity_of_device("/sys", st.st_rdev, ret->text);
	if (ret->text[0] == '\0')
		ret->known = identity_of_contents(fd, ret->text);
	close(fd);
	return 0;
}

/* ---- the machine ---- */

void identity_of_host(char ret[IDENTITY_SIZE])
{
	char id[80], uuid[80];

	if (!first_line("/etc/machine-id", id, sizeof(id)))
		snprintf(id, sizeof(id), "-");
	if (!first_line("/sys/class/dmi/id/product_uuid", uuid, sizeof(uuid)))
		snprintf(uuid, sizeof(uuid), "-");
	snprintf(ret, IDENTITY_SIZE, "%s %s", id, uuid);
}

/* Are there two words, and are they different ones? */
static bool words_differ(const char *a, size_t na, const char *b, size_t nb)
{
	bool known = na > 0 && nb > 0 && !(na == 1 && *a == '-') &&
		     !(nb == 1 && *b == '-');

	return known && (na != nb || memcmp(a, b, na) != 0);
}

bool identity_hosts_differ(const char *a, const char *b)
{
	size_t na = strcspn(a, " "), nb = strcspn(b, " ");
	const char *ua = a + na + strspn(a + na, " ");
	const char *ub = b + nb + strspn(b + nb, " ");

	return words_differ(a, na, b, nb) ||
	       words_differ(ua, strlen(ua), ub, strlen(ub));
}
