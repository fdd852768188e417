#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/durable.h"
#include "base/io.h"
#include "doctor/steps.h"
#include "setup/former-mariadb.h"
#include "setup/former.h"

#define DATABASE "registry.db"
#define DUMP "registry.sql"
#define HALF "half"
#define COMPLETE "complete"
#define FILE_SIZE (1u << 20)
#define BLOCK 65536

void former_dir(const struct choices *c, const char *version,
		char out[PLACE_SIZE])
{
	place_keep(c, version, out);
}

static bool has(const struct choices *c, const char *version, const char *name)
{
	char dir[PLACE_SIZE], path[PLACE_SIZE + NAME_MAX];

	former_dir(c, version, dir);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return access(path, F_OK) == 0;
}

bool former_complete(const struct choices *c, const char *version)
{
	return has(c, version, COMPLETE);
}

bool former_has_registry(const struct choices *c, const char *version)
{
	return has(c, version, DATABASE) || has(c, version, DUMP);
}

char *former_file(const struct choices *c, const char *version,
		  const char *name)
{
	char dir[PLACE_SIZE], path[PLACE_SIZE + NAME_MAX];

	former_dir(c, version, dir);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return doctor_read(path, FILE_SIZE, NULL);
}

/* ---- copying ---- */

static int open_file(int dirfd, const char *name, struct err *e)
{
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? err_sys(e, 0, "%s", name) : fd;
}

static int pump(int from, int to, const char *name, struct err *e)
{
	char *buf = malloc(BLOCK);
	ssize_t n = -1;
	int rc = 0;

	if (buf == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s", name);
	while (rc == 0 && (n = io_read_full(from, buf, BLOCK)) > 0)
		if (io_write_full(to, buf, (size_t)n) < 0)
			rc = err_sys(e, 0, "%s", name);
	if (n < 0)
		rc = err_sys(e, 0, "%s", name);
	free(buf);
	return rc;
}

/* Wholly or not. owner -1: who runs this. */
static int copy(int from, int to, const char *name, uid_t owner, gid_t group,
		struct err *e)
{
	struct durable d;
	struct stat st;
	int fd = open_file(from, name, e);
	int rc = fd;

	if (rc >= 0)
		rc = fstat(fd, &st) < 0 ? err_sys(e, 0, "%s", name) : 0;
	if (rc == 0)
		rc = durable_begin(&d, to, name, st.st_mode & 0777, e);
	if (rc == 0) {
		rc = pump(fd, d.fd, name, e);
		if (rc == 0 && owner != (uid_t)-1 &&
		    fchown(d.fd, owner, group) < 0)
			rc = err_sys(e, 0, "%s", name);
		if (rc == 0)
			rc = durable_commit(&d, DURABLE_REPLACE, e);
		else
			durable_abort(&d);
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

static int open_dir(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? err_sys(e, 0, "%s", path) : fd;
}

static int copy_between(const char *from, const char *to, const char *name,
			uid_t owner, gid_t group, struct err *e)
{
	int a = open_dir(from, e), b = a < 0 ? -1 : open_dir(to, e);
	int rc = a < 0 ? a : b < 0 ? b : copy(a, b, name, owner, group, e);

	if (a >= 0)
		close(a);
	if (b >= 0)
		close(b);
	return rc;
}

/* ---- keeping ---- */

static int make_keep(const struct steps *s, const char *dir, struct err *e)
{
	char all[PLACE_SIZE];

	place_keep(s->p.c, "", all);
	if (mkdir(all, 0700) < 0 && errno != EEXIST)
		return err_sys(e, 0, "%s", all);
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_sys(e, 0, "%s", dir);
	return 0;
}

/* What is there of another upgrade from the same version is older. */
int former_keep(struct steps *s, struct err *e)
{
	static const char *const names[] = {"ps.yaml", RECORD_FILE};
	char path[PLACE_SIZE + NAME_MAX];
	size_t i;
	int rc;

	if (strcmp(s->doing.what, "upgrade") != 0 ||
	    strcmp(s->doing.from, s->was.version) != 0) {
		if (setup_remove_tree(s->keep) < 0 && errno != ENOENT)
			return err_sys(e, 0, "%s", s->keep);
	}
	s->doing = (struct doing){.what = "upgrade"};
	snprintf(s->doing.from, sizeof(s->doing.from), "%s", s->was.version);
	snprintf(s->doing.to, sizeof(s->doing.to), "%s", s->now.version);
	rc = doing_write(s->p.c, &s->doing, e);
	if (rc == 0 && has(s->p.c, s->was.version, names[0]))
		return 1;
	if (rc == 0)
		rc = make_keep(s, s->keep, e);
	for (i = sizeof(names) / sizeof(names[0]); rc == 0 && i-- > 0;) {
		snprintf(path, sizeof(path), "%s/%s", s->p.etc, names[i]);
		if (access(path, F_OK) == 0)
			rc = copy_between(s->p.etc, s->keep, names[i],
					  (uid_t)-1, (gid_t)-1, e);
	}
	return rc;
}

int former_forget(struct steps *s, struct err *e)
{
	if (s->stuck)
		return err_set(e, PS_NO,
			       "they stay: the same command needs "
			       "them to go on");
	if (setup_remove_tree(s->keep) < 0 && errno != ENOENT)
		return err_sys(e, 0, "%s", s->keep);
	s->doing.what[0] = '\0';
	return doing_end(s->p.c, e);
}

/* ---- the registry ---- */

void former_database(const struct steps *s, char out[PLACE_SIZE])
{
	struct conf *conf = NULL;
	struct err e = {0};
	const char *dir;

	*out = '\0';
	if (conf_read(&conf, s->yaml, &e) < 0)
		return;
	dir = conf_get(conf, "config.dir");
	if (dir != NULL && conf_get(conf, "config.credentials") == NULL)
		snprintf(out, PLACE_SIZE, "%s", dir);
	conf_free(conf);
}

/* What SQLite keeps beside it while somebody has it open. */
static bool is_open(const char *dir, const char *suffix)
{
	char path[PLACE_SIZE + 32];
	struct stat st;

	snprintf(path, sizeof(path), "%s/" DATABASE "%s", dir, suffix);
	return lstat(path, &st) == 0 && st.st_size > 0;
}

/*
 * Who opens it last and closes it writes what stands beside it into it, also
 * when the tables are too old for that program.
 */
static int settle(struct steps *s, const char *dir, struct err *e)
{
	const char *const argv[] = {"ps-config", "list",  "--json",
				    "--config",	 s->yaml, NULL};
	struct err ignored = {0};
	int rc;

	(void)steps_program(s, argv, &ignored);
	if (!is_open(dir, "-wal"))
		return 0;
	rc = err_set(e, PS_TEMPFAIL, "%s/" DATABASE ": somebody has it open",
		     dir);
	err_hint(e, "end what uses it (ps-config), and try again");
	return rc;
}

/* SQLite's file, which nobody may change meanwhile. */
static int keep_file(struct steps *s, const char *dir, struct err *e)
{
	char path[PLACE_SIZE + 32];
	struct stat before, after;
	int rc = settle(s, dir, e);

	snprintf(path, sizeof(path), "%s/" DATABASE, dir);
	if (rc == 0 && lstat(path, &before) < 0)
		rc = err_sys(e, 0, "%s", path);
	if (rc == 0)
		rc = copy_between(dir, s->keep, DATABASE, (uid_t)-1, (gid_t)-1,
				  e);
	if (rc == 0 && (lstat(path, &after) < 0 ||
			after.st_mtim.tv_sec != before.st_mtim.tv_sec ||
			after.st_mtim.tv_nsec != before.st_mtim.tv_nsec ||
			is_open(dir, "-wal")))
		rc = err_set(e, PS_TEMPFAIL, "%s: was changed meanwhile", path);
	return rc;
}

int former_keep_registry(struct steps *s, struct err *e)
{
	char dir[PLACE_SIZE];
	int rc = 0, fd;

	former_database(s, dir);
	if (former_complete(s->p.c, s->was.version))
		return 1;
	if (dir[0] != '\0')
		rc = keep_file(s, dir, e);
	else if (mariadb_is_ours(s) && mariadb_can())
		rc = mariadb_save(s, s->keep, DUMP, e);
	fd = rc < 0 ? rc : open_dir(s->keep, e);
	if (fd < 0)
		return fd;
	rc = durable_write(fd, COMPLETE, "", 0, 0600, DURABLE_REPLACE, e);
	close(fd);
	return rc;
}

/* No service runs: what stands beside it is of nobody. */
static int put_file(struct steps *s, const char *dir, const char *from,
		    struct err *e)
{
	static const char *const beside[] = {DATABASE "-wal", DATABASE "-shm"};
	int rc = settle(s, dir, e), fd = rc < 0 ? rc : open_dir(dir, e);
	size_t i;

	if (fd < 0)
		return fd;
	for (i = 0; i < sizeof(beside) / sizeof(beside[0]); i++)
		if (unlinkat(fd, beside[i], 0) < 0 && errno != ENOENT)
			rc = err_sys(e, 0, "%s/%s", dir, beside[i]);
	close(fd);
	return rc < 0
		   ? rc
		   : copy_between(from, dir, DATABASE, s->p.uid, s->p.gid, e);
}

/* ---- tables of MariaDB, which are made one after another ---- */

static void half_path(const struct steps *s, char out[PLACE_SIZE + 32])
{
	snprintf(out, PLACE_SIZE + 32, "%s/" HALF, s->keep);
}

bool former_is_half(const struct steps *s)
{
	char mark[PLACE_SIZE + 32];

	half_path(s, mark);
	return access(mark, F_OK) == 0;
}

int former_begin_half(const struct steps *s, struct err *e)
{
	char path[PLACE_SIZE + 32];

	snprintf(path, sizeof(path), "%s/" DUMP, s->keep);
	if (access(path, F_OK) < 0)
		return 0;
	half_path(s, path);
	return durable_write_path(path, "", 0, 0600, DURABLE_REPLACE, e);
}

int former_end_half(const struct steps *s, struct err *e)
{
	char mark[PLACE_SIZE + 32];

	half_path(s, mark);
	return unlink(mark) < 0 && errno != ENOENT ? err_sys(e, 0, "%s", mark)
						   : 0;
}

static int put_dump(struct steps *s, const char *from, struct err *e)
{
	char dump[PLACE_SIZE + 32];
	int rc;

	snprintf(dump, sizeof(dump), "%s/" DUMP, from);
	if (access(dump, F_OK) < 0)
		return 1;
	rc = former_begin_half(s, e);
	if (rc == 0)
		rc = mariadb_load(s, from, DUMP, e);
	return rc < 0 ? rc : former_end_half(s, e);
}

/* ---- either of them ---- */

static int put_registry(struct steps *s, const char *from, struct err *e)
{
	char dir[PLACE_SIZE];

	former_database(s, dir);
	return dir[0] != '\0' ? put_file(s, dir, from, e)
			      : put_dump(s, from, e);
}

int former_registry(struct steps *s, struct err *e)
{
	return put_registry(s, s->keep, e);
}

int former_set_aside(struct steps *s, const char *version, struct err *e)
{
	char dir[PLACE_SIZE], to[PLACE_SIZE];
	int rc;

	/* Who set it aside was killed, and what is there now is older. */
	if (*version == '\0' || former_has_registry(s->p.c, version))
		return 1;
	former_database(s, dir);
	former_dir(s->p.c, version, to);
	rc = make_keep(s, to, e);
	if (rc < 0)
		return rc;
	if (dir[0] == '\0')
		return mariadb_save(s, to, DUMP, e);
	rc = settle(s, dir, e);
	return rc < 0
		   ? rc
		   : copy_between(dir, to, DATABASE, (uid_t)-1, (gid_t)-1, e);
}

int former_take_again(struct steps *s, const char *version, struct err *e)
{
	char from[PLACE_SIZE];
	int rc = 1;

	former_dir(s->p.c, version, from);
	if (*version == '\0' || strcmp(from, s->keep) == 0)
		return 1;
	if (former_has_registry(s->p.c, version))
		rc = put_registry(s, from, e);
	if (rc >= 0 && setup_remove_tree(from) < 0 && errno != ENOENT)
		rc = err_sys(e, 0, "%s", from);
	return rc;
}
