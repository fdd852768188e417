/*
 * Never two scans of one disk: two agents with two state folders would each
 * delete the snapshots of the other and resynchronise behind it. All agents of
 * a machine share a folder with a lock for each disk, named by what the disk
 * is and not by how it is called. It is that of the origin, whatever a
 * provider makes of it, and is held for the round. Why it is not flock(2) on
 * the disk itself: doc/decisions.md.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent.h"
#include "base/bytes.h"
#include "base/digest.h"
#include "base/io.h"
#include "base/text.h"

#define RUN "/run/ps-toolkit"
#define RUN_OF_USER "/tmp/ps-toolkit.%u" /* who cannot write there */
#define FOLDER "disks"

/* ---- the folder ---- */

/* Nobody else may have made it: he could keep us from our disks. */
static int own_folder(const char *path, struct err *e)
{
	struct stat st;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(e, 0, "%s", path);
	if (lstat(path, &st) < 0)
		return err_sys(e, 0, "%s", path);
	if (S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	    (st.st_mode & 022) == 0)
		return 0;
	(void)err_set(e, PS_NOPERM, "%s: refused: others can write it", path);
	err_hint(e, "name a folder for locks with PS_RUN_DIR");
	return -PS_NOPERM;
}

static int open_folder(struct err *e)
{
	const char *given = getenv("PS_RUN_DIR");
	char run[PATH_MAX - 16], path[PATH_MAX];
	int fd, rc = 0;

	if (given != NULL && *given != '\0')
		snprintf(run, sizeof(run), "%s", given);
	else if (geteuid() == 0)
		snprintf(run, sizeof(run), RUN);
	else
		snprintf(run, sizeof(run), RUN_OF_USER, (unsigned)geteuid());
	if (strncmp(run, "/tmp/", 5) == 0 && given == NULL)
		rc = own_folder(run, e);
	else if (mkdir(run, 0755) < 0 && errno != EEXIST)
		rc = err_sys(e, 0, "%s", run);
	if (rc < 0)
		return rc;
	snprintf(path, sizeof(path), "%s/" FOLDER, run);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(e, 0, "%s", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_sys(e, 0, "%s", path) : fd;
}

/* ---- the name ---- */

/*
 * What is no disk or file (the socket of a virtual machine, whatever a
 * provider understands) is known by the words of the configuration.
 */
static void key_of_words(struct disk *d)
{
	const struct agent_disk_conf *c = d->conf;
	char hex[SHA256_HEX];
	uint8_t digest[SHA256_LEN];
	struct sha256 s;
	unsigned i;

	sha256_init(&s);
	sha256_update(&s, c->source, strlen(c->source) + 1);
	for (i = 0; i < c->noptions; i++) {
		const struct agent_option *o = &c->options[i];

		sha256_update(&s, o->key, strlen(o->key) + 1);
		sha256_update(&s, o->value, strlen(o->value) + 1);
	}
	sha256_final(&s, digest);
	hex_encode(digest, SHA256_LEN, hex);
	snprintf(d->key, sizeof(d->key), "w%.32s", hex);
}

/* "KEY TAB IDENTITY" of ps-scan --identify; empty: there is nothing. */
static void take_line(struct disk *d, const char *line)
{
	size_t n = strcspn(line, "\t");

	d->key[0] = d->found[0] = '\0';
	d->looked = line[n] == '\t' && strcmp(line + n, "\t?") != 0;
	if (d->looked)
		snprintf(d->found, sizeof(d->found), "%s", line + n + 1);
	d->found[strcspn(d->found, "\n")] = '\0';
	if (n > 0 && n < sizeof(d->key) && memchr(line, '/', n) == NULL)
		snprintf(d->key, sizeof(d->key), "%.*s", (int)n, line);
	else
		key_of_words(d);
}

/* ---- the lock ---- */

static const struct disk *twin(const struct disk *d)
{
	const struct agent *a = d->agent;
	unsigned i;

	for (i = 0; i < a->ndisks; i++)
		if (&a->disks[i] != d && a->disks[i].lockfd >= 0 &&
		    strcmp(a->disks[i].key, d->key) == 0)
			return &a->disks[i];
	return NULL;
}

static int held_by(const struct disk *d, int fd, struct err *e)
{
	char who[512];
	ssize_t n = io_pread_full(fd, who, sizeof(who) - 1, 0);

	who[n > 0 ? n : 0] = '\0';
	who[strcspn(who, "\n")] = '\0';
	text_tame(who);
	(void)err_set(e, PS_TEMPFAIL,
		      "%.100s: another ps-agent works on this disk (%.250s)",
		      d->conf->source, *who != '\0' ? who : "unknown");
	return -PS_TEMPFAIL;
}

/* For whoever finds it held. */
static void say_who(const struct disk *d, int fd)
{
	const struct agent_conf *c = d->agent->conf;
	char who[512];
	int n = snprintf(who, sizeof(who),
			 "process %d, disk %s of machine %s, state %.250s\n",
			 (int)getpid(), d->conf->name, c->machine, c->state);

	if (ftruncate(fd, 0) == 0 && n > 0)
		(void)!pwrite(fd, who, (size_t)n, 0);
}

#define LOCK_NAME 80

static const char *lock_name(const struct disk *d, char ret[LOCK_NAME])
{
	snprintf(ret, LOCK_NAME, "%s.lock", d->key);
	return ret;
}

/* Who lets go removes the file: is this still the one that has the name? */
static bool has_name(int dirfd, const char *name, int fd)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && fstatat(dirfd, name, &b, 0) == 0 &&
	       a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

static int take(const struct disk *d, int dirfd, struct err *e)
{
	char text[LOCK_NAME];
	const char *name = lock_name(d, text);

	for (;;) {
		int fd =
		    openat(dirfd, name,
			   O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		int rc;

		if (fd < 0)
			return err_sys(e, 0, "lock %s", name);
		if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
			if (has_name(dirfd, name, fd))
				return fd;
			close(fd);
			continue;
		}
		rc = errno == EWOULDBLOCK ? held_by(d, fd, e)
					  : err_sys(e, 0, "lock %s", name);
		close(fd);
		return rc;
	}
}

int disk_lock(struct disk *d, const char *line, struct err *e)
{
	const struct disk *other;
	int dirfd, fd;

	take_line(d, line);
	other = twin(d);
	if (other != NULL)
		return err_set(e, PS_CONFIG,
			       "%.100s and %.100s are the same disk (%s, %s)",
			       other->conf->source, d->conf->source,
			       other->conf->name, d->conf->name);
	dirfd = open_folder(e);
	if (dirfd < 0)
		return err_prefix(e, "locks of disks");
	fd = take(d, dirfd, e);
	if (fd < 0) {
		close(dirfd);
		return fd;
	}
	say_who(d, fd);
	d->lockfd = fd;
	d->lockdir = dirfd;
	return 0;
}

void disk_unlock(struct disk *d)
{
	char text[LOCK_NAME];

	if (d->lockfd < 0)
		return;
	(void)unlinkat(d->lockdir, lock_name(d, text), 0);
	close(d->lockfd);
	close(d->lockdir);
	d->lockfd = d->lockdir = -1;
}
