#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "fleet/churn.h"
#include "fleet/profile.h"

#define SECTOR 512 /* of /proc/diskstats and /sys/block/X/size */
#define PATH_SIZE 256

static const char header[] = "time,machine,disk,size,seconds,write_bytes,"
			     "writes,changed_bytes,by\n";

void profile_header(FILE *out)
{
	fputs(header, out);
}

bool profile_is_header(FILE *in)
{
	char line[sizeof(header)];

	return fgets(line, sizeof(line), in) != NULL &&
	       strcmp(line, header) == 0;
}

static int add(struct profile *p, const char *name, struct err *e)
{
	if (p->n == PROFILE_DISKS)
		return err_set(e, PS_DATA, "more than %d disks", PROFILE_DISKS);
	snprintf(p->disks[p->n++].name, NAME_SIZE, "%.*s", NAME_MAX_LEN, name);
	return 0;
}

static bool made_of_others(const char *name)
{
	static const char *const prefixes[] = {"loop", "ram", "zram", "dm-",
					       "md",   "sr",  "fd",   "nbd"};

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	}
	return false;
}

int profile_find(struct profile *p, struct err *e)
{
	char path[PATH_SIZE];
	struct dirent *d;
	DIR *dir;
	int rc = 0;

	snprintf(path, sizeof(path), "%s/block", p->sys);
	dir = opendir(path);
	if (dir == NULL)
		return err_sys(e, 0, "%s", path);
	while (rc == 0 && (d = readdir(dir)) != NULL) {
		if (name_ok(d->d_name) && !made_of_others(d->d_name))
			rc = add(p, d->d_name, e);
	}
	(void)closedir(dir);
	if (rc == 0 && p->n == 0) {
		rc = err_set(e, PS_NOINPUT, "this machine has no disks");
		err_hint(e, "name the devices: ps-plan profile dm-0");
	}
	return rc;
}

/* Bytes; 0 when it is not known. */
static uint64_t size_of(const struct profile *p, const char *name)
{
	char path[PATH_SIZE];
	uint64_t sectors = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/class/block/%s/size", p->sys, name);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	if (fscanf(f, "%" SCNu64, &sectors) != 1)
		sectors = 0;
	(void)fclose(f);
	return sectors * SECTOR;
}

int profile_add(struct profile *p, const char *name, struct err *e)
{
	char path[PATH_SIZE];
	FILE *f;

	if (strncmp(name, "/dev/", 5) == 0)
		name += 5;
	if (!name_ok(name))
		return err_set(e, PS_USAGE, "'%s' is no name of a disk", name);
	snprintf(path, sizeof(path), "%s/class/block/%s/size", p->sys, name);
	f = fopen(path, "re");
	if (f == NULL)
		return err_sys(e, errno == ENOENT ? PS_NOINPUT : 0,
			       "there is no disk '%s'", name);
	(void)fclose(f);
	return add(p, name, e);
}

static struct profile_disk *find(struct profile *p, const char *name)
{
	for (unsigned i = 0; i < p->n; i++) {
		if (strcmp(p->disks[i].name, name) == 0)
			return &p->disks[i];
	}
	return NULL;
}

static void row(const struct profile *p, const struct profile_disk *d,
		uint64_t writes, uint64_t sectors, int64_t changed,
		double seconds, FILE *out)
{
	char now[TIME_TEXT];

	format_time(time_now_ns() / NS_PER_S * NS_PER_S, now);
	fprintf(out, "%s,%s,%s,%" PRIu64 ",%.0f,%" PRIu64 ",%" PRIu64, now,
		p->machine, d->name, size_of(p, d->name),
		seconds < 1 ? 1 : seconds, sectors * SECTOR, writes);
	if (changed >= 0)
		fprintf(out, ",%" PRId64 ",%s\n", changed,
			churn_by_name(CHURN_TRACE));
	else
		fprintf(out, ",,%s\n", churn_by_name(CHURN_WRITES));
}

int profile_sample(struct profile *p, FILE *out, struct err *e)
{
	int64_t now = mono_now_ns();
	double seconds = (double)(now - p->taken) / NS_PER_S;
	char path[PATH_SIZE], line[512], name[64];
	uint64_t writes, sectors;
	FILE *f;

	snprintf(path, sizeof(path), "%s/diskstats", p->proc);
	f = fopen(path, "re");
	if (f == NULL)
		return err_sys(e, 0, "%s", path);
	while (fgets(line, sizeof(line), f) != NULL) {
		struct profile_disk *d;
		int64_t changed = -1;

		if (sscanf(line,
			   "%*u %*u %63s %*u %*u %*u %*u %" SCNu64
			   " %*u %" SCNu64,
			   name, &writes, &sectors) != 3)
			continue;
		d = find(p, name);
		if (d == NULL)
			continue;
		if (p->changed != NULL)
			changed = p->changed(p->ctx, (unsigned)(d - p->disks));
		/* Counters that went back: it is another disk now. */
		if (out != NULL && d->seen && writes >= d->writes &&
		    sectors >= d->sectors)
			row(p, d, writes - d->writes, sectors - d->sectors,
			    changed, seconds, out);
		d->writes = writes;
		d->sectors = sectors;
		d->seen = true;
	}
	(void)fclose(f);
	p->taken = now;
	if (out != NULL && fflush(out) != 0)
		return err_sys(e, 0, "writing samples");
	return 0;
}
