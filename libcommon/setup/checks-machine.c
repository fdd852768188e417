/* The machine itself: rights, programs, processors, memory, disk. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/io.h"
#include "base/units.h"
#include "base/version.h"
#include "doctor/command.h"
#include "fleet/sizes.h"
#include "net/sandbox.h"
#include "setup/checks.h"
#include "setup/preflight.h"

#define PIECE (1u << 20)
#define DISK_BYTES (32u * PIECE)
#define DISK_S 3
/* 2 TB of churn a day, the most that a process server takes, on average. */
#define DISK_RATE (2048.0 * 1024 * 1024 * 1024 / 86400)

const struct choices *check_choices(const struct doctor *d)
{
	return d->more;
}

static const struct server_size *sizes_of(const struct choices *c)
{
	return c->cs ? sizes_config : sizes_process;
}

/* The folder of the data, or the nearest above it that exists. */
static void nearest(const struct choices *c, char out[2 * PATH_MAX])
{
	char *slash;

	snprintf(out, 2 * PATH_MAX, "%s%s", c->root != NULL ? c->root : "",
		 c->dir);
	while (access(out, F_OK) < 0 && errno == ENOENT) {
		slash = strrchr(out, '/');
		if (slash == NULL)
			snprintf(out, 2 * PATH_MAX, ".");
		else
			slash[slash == out ? 1 : 0] = '\0';
		if (slash == NULL || slash == out)
			break;
	}
}

/* ---- rights ---- */

void check_rights(const struct doctor *d, struct finding *f)
{
	const struct choices *c = check_choices(d);
	char dir[2 * PATH_MAX];

	if (c->root == NULL && geteuid() != 0) {
		find_failed(f, DOCTOR_CAUSE, "this user is not root");
		find_next(f, "run it as root, or stage it into a folder: "
			     "--root DIR");
		return;
	}
	if (c->root == NULL && getpwnam(SANDBOX_USER) == NULL) {
		find_failed(f, DOCTOR_CAUSE, "there is no user '%s'",
			    SANDBOX_USER);
		find_next(f, "the package makes it; or: useradd --system "
			     "--home-dir /nonexistent " SANDBOX_USER);
		return;
	}
	nearest(c, dir);
	if (access(dir, W_OK | X_OK) < 0) {
		find_failed(f, DOCTOR_CAUSE, "%.150s: %s", dir,
			    strerror(errno));
		find_next(f, "choose another /InstallLocation, or make it "
			     "writable");
		return;
	}
	find_passed(f, "%.180s may be written", dir);
}

/* ---- versions ---- */

static bool same_version(const char *program, struct finding *f)
{
	const char *const argv[] = {program, "--version", NULL};
	struct command run = {.argv = argv, .seconds = 5, .max = 4096};
	char *text, want[64];
	struct err e = {0};
	bool same;
	int status;

	if (command_run(&run, &text, &status, &e) < 0) {
		find_shows(f, "%s", e.msg);
		return false;
	}
	snprintf(want, sizeof(want), " %s", version_ours());
	text[strcspn(text, "\n")] = '\0';
	same = status == 0 && strstr(text, want) != NULL;
	if (!same)
		find_shows(f, "%s: %s", program, text);
	free(text);
	return same;
}

void check_versions(const struct doctor *d, struct finding *f)
{
	static const char *const programs[] = {
	    "ps-receive", "ps-pipeline", "ps-cache", "ps-compress",
	    "ps-encrypt", "ps-upload",	 "ps-vault", "ps-health",
	    "ps-config",  "cxpsclient"};
	unsigned i, bad = 0;

	(void)d;
	for (i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		bad += !same_version(programs[i], f);
	if (bad > 0) {
		find_failed(f, DOCTOR_CAUSE,
			    "%u programs are missing or not of version %s", bad,
			    version_ours());
		find_next(f, "install the whole package of one version; PATH "
			     "has to have it first");
		return;
	}
	find_passed(f, "%s, all programs", version_ours());
}

/* ---- sizes ---- */

void check_processors(const struct doctor *d, struct finding *f)
{
	const struct server_size *sizes = sizes_of(check_choices(d));
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	if (n >= (long)sizes[0].cores) {
		find_passed(f, "%ld; published sizes: %u, %u, %u", n,
			    sizes[0].cores, sizes[1].cores, sizes[2].cores);
		return;
	}
	find_warned(f, "%ld; the smallest published size has %u", n,
		    sizes[0].cores);
	find_next(f, "it will carry less; see 'space' for how much");
}

static uint64_t memory_here(void)
{
	return (uint64_t)sysconf(_SC_PHYS_PAGES) *
	       (uint64_t)sysconf(_SC_PAGESIZE);
}

void check_memory(const struct doctor *d, struct finding *f)
{
	const struct server_size *sizes = sizes_of(check_choices(d));
	uint64_t have = memory_here(), want = sizes[0].memory;
	char text[32], least[32];

	format_size(have, text, sizeof(text));
	format_size(want, least, sizeof(least));
	/* Firmware takes some of it. */
	if (have >= want - want / 16) {
		find_passed(f, "%s; the smallest published size has %s", text,
			    least);
		return;
	}
	find_warned(f, "%s; the smallest published size has %s", text, least);
	find_next(f, "it will carry less; see 'space' for how much");
}

/* What the server may carry, by its scarcest part. */
static void show_size(const struct choices *c, uint64_t room, struct finding *f)
{
	unsigned machines;
	uint64_t churn;
	char text[32];

	(void)sizes_fit(sizes_of(c), (unsigned)sysconf(_SC_NPROCESSORS_ONLN),
			memory_here(), room, &churn, &machines);
	format_size(churn, text, sizeof(text));
	find_shows(f,
		   "by processors, memory and this room it may carry %u "
		   "machines with %s of changes a day",
		   machines, text);
}

void check_space(const struct doctor *d, struct finding *f)
{
	const struct choices *c = check_choices(d);
	char dir[2 * PATH_MAX], text[32];
	struct statvfs v;
	uint64_t room;

	nearest(c, dir);
	if (statvfs(dir, &v) < 0) {
		find_failed(f, DOCTOR_CAUSE, "%.150s: %s", dir,
			    strerror(errno));
		find_next(f, "choose another /InstallLocation");
		return;
	}
	room = (uint64_t)v.f_bavail * v.f_frsize;
	format_size(room, text, sizeof(text));
	show_size(c, room, f);
	if (room < PREFLIGHT_SPACE_MIN && !c->skip_space) {
		find_failed(f, DOCTOR_CAUSE,
			    "%s are free for the cache; 5 GB is the least",
			    text);
		find_next(f, "another /InstallLocation; /SkipSpaceCheck goes "
			     "on all the same, for a trial");
	} else if (room < PREFLIGHT_SPACE_MIN) {
		find_warned(f,
			    "%s are free for the cache; the check was to be "
			    "skipped",
			    text);
		find_next(f, "sources are held back when less than a fifth "
			     "is free");
	} else if (room < PREFLIGHT_SPACE_GOOD - PREFLIGHT_SPACE_GOOD / 16) {
		find_warned(f,
			    "%s are free for the cache; 600 GB is "
			    "recommended",
			    text);
		find_next(f, "enough for a small site: ps-plan says how much "
			     "an outage of the line needs");
	} else {
		find_passed(f, "%s are free for the cache", text);
	}
}

/* ---- throughput ---- */

/* A file without a name: nothing is left of it, whatever happens. */
static int open_unnamed(const char *dir)
{
	char path[2 * PATH_MAX + 32];
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
		return fd;
	snprintf(path, sizeof(path), "%s/.setup-XXXXXX", dir);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

/* Bytes a second until they are on stable storage; < 0 with errno. */
static double measure(int fd)
{
	int64_t begun = mono_now_ns(), took;
	uint64_t done = 0;
	uint8_t *piece = malloc(PIECE);
	uint32_t x = 1;
	size_t i;

	if (piece == NULL)
		return -1;
	for (i = 0; i < PIECE; i++) {
		x = x * 1664525u + 1013904223u;
		piece[i] = (uint8_t)(x >> 24);
	}
	do {
		if (io_write_full(fd, piece, PIECE) < 0 || fdatasync(fd) < 0) {
			free(piece);
			return -1;
		}
		done += PIECE;
		took = mono_now_ns() - begun;
	} while (done < DISK_BYTES && took < DISK_S * NS_PER_S);
	free(piece);
	return (double)done * NS_PER_S / (double)(took > 0 ? took : 1);
}

/* What is "synced" there is gone when the machine restarts. */
static bool is_memory(const char *dir)
{
	struct statfs s;

	return statfs(dir, &s) == 0 &&
	       (s.f_type == TMPFS_MAGIC || s.f_type == RAMFS_MAGIC);
}

void check_disk(const struct doctor *d, struct finding *f)
{
	char dir[2 * PATH_MAX];
	double rate = -1;
	int fd;

	nearest(check_choices(d), dir);
	snprintf(f->whom, sizeof(f->whom), "%.100s", dir);
	fd = open_unnamed(dir);
	if (fd >= 0)
		rate = measure(fd);
	if (rate < 0 && (errno == EACCES || errno == EPERM)) {
		find_skipped(f, "%.150s: %s", dir, strerror(errno));
	} else if (rate < 0) {
		find_failed(f, DOCTOR_CAUSE, "%.150s: %s", dir,
			    strerror(errno));
		find_next(f, "the cache needs a disk that takes writes");
	} else if (is_memory(dir)) {
		find_warned(f,
			    "%.150s is memory, no disk: what the cache "
			    "holds is lost when the machine restarts",
			    dir);
		find_next(f, "for more than a trial: /InstallLocation on a "
			     "disk");
	} else if (rate < DISK_RATE) {
		find_warned(f,
			    "%.1f MB/s, each MiB synced: %.1f are needed for "
			    "2 TB of changes a day",
			    rate / 1e6, DISK_RATE / 1e6);
		find_next(f, "a faster disk for the cache (the published "
			     "sizes were measured with 8 disks of 10k, RAID "
			     "10)");
	} else {
		find_passed(f, "%.0f MB/s, each MiB synced", rate / 1e6);
	}
	f->rate = rate > 0 ? rate : 0;
	if (fd >= 0)
		close(fd);
}
