#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/durable.h"
#include "base/io.h"
#include "base/name.h"
#include "vault/store.h"

/* Vaults hold what was on disks: nobody but the owner reads them. */
#define DIR_MODE 0700
#define FILE_MODE 0600
/* Write-back starts after this much, so that the sync has little to do. */
#define WRITEBACK (8 * 1024 * 1024u)

/* A folder whose own name is on stable storage, with those above it. */
struct settled {
	struct settled *next;
	char dir[];
};

struct file_store {
	struct store store;
	char *path;
	int root;
	pthread_mutex_t lock; /* of the list */
	struct settled *settled;
};

struct store_put {
	struct durable file;
	int dirfd;
	uint64_t written, started; /* bytes; of these under write-back */
};

static struct file_store *of(struct store *s)
{
	return (struct file_store *)s;
}

/* ---- opening ---- */

/* "file:///dir" and "/dir" are the same; the path is taken literally. */
static int path_of(const char *url, const char **ret, struct err *e)
{
	const char *path = url;

	if (strncmp(url, "file://", 7) == 0) {
		path = url + 7;
		if (strncmp(path, "localhost/", 10) == 0)
			path += 9;
		if (*path != '/') {
			err_set(e, PS_USAGE, "%s: not the name of a folder",
				url);
			err_hint(e, "write file:///DIR");
			return -PS_USAGE;
		}
	}
	*ret = path;
	return 0;
}

/* Syncs the folder that holds `path`'s last part. */
static int sync_above(const char *path, struct err *e)
{
	char copy[PATH_MAX];
	char *slash;
	int fd, rc;

	snprintf(copy, sizeof(copy), "%s", path);
	slash = strrchr(copy, '/');
	if (slash == NULL)
		snprintf(copy, sizeof(copy), ".");
	else
		slash[slash == copy ? 1 : 0] = '\0';
	fd = open(copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, 0, "%s", copy);
	rc = durable_sync(fd, copy, e);
	close(fd);
	return rc;
}

/* Makes a folder and what is missing above it, each on stable storage. */
static int make_path(const char *path, struct err *e)
{
	char copy[PATH_MAX];
	char *p = copy;
	size_t len = strlen(path);

	if (len >= sizeof(copy))
		return err_set(e, PS_USAGE, "%s: name too long", path);
	memcpy(copy, path, len + 1);
	while (len > 1 && copy[len - 1] == '/')
		copy[--len] = '\0';
	for (;;) {
		bool last;

		p += strspn(p, "/");
		p += strcspn(p, "/");
		last = *p == '\0';
		*p = '\0';
		if (mkdir(copy, DIR_MODE) == 0) {
			int rc = sync_above(copy, e);

			if (rc < 0)
				return rc;
		} else if (errno != EEXIST && errno != EISDIR) {
			return err_sys(e, 0, "%s: cannot create", copy);
		} else if (last) {
			/* Its maker may have died before the sync. */
			(void)sync_above(copy, NULL);
		}
		if (last)
			return 0;
		*p = '/';
	}
}

static int file_open(struct store **ret, const char *url, int create,
		     struct err *e)
{
	struct file_store *fs;
	const char *path;
	int rc = path_of(url, &path, e);

	if (rc == 0 && create)
		rc = make_path(path, e);
	if (rc < 0)
		return rc;
	fs = calloc(1, sizeof(*fs));
	if (fs == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s", path);
	fs->store.ops = &store_file;
	pthread_mutex_init(&fs->lock, NULL);
	fs->path = strdup(path);
	fs->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fs->path == NULL || fs->root < 0) {
		rc = err_sys(e, 0, "%s", path);
		store_file.close(&fs->store);
		return rc;
	}
	*ret = &fs->store;
	return 0;
}

static void file_close(struct store *s)
{
	struct file_store *fs = of(s);

	while (fs->settled != NULL) {
		struct settled *next = fs->settled->next;

		free(fs->settled);
		fs->settled = next;
	}
	if (fs->root >= 0)
		close(fs->root);
	pthread_mutex_destroy(&fs->lock);
	free(fs->path);
	free(fs);
}

/* ---- folders ---- */

/* Splits "a/b/c" into the folder "a/b" ("" for the top) and the rest. */
static int split(const char *name, char dir[PATH_MAX], const char **ret_base,
		 struct err *e)
{
	const char *slash = strrchr(name, '/');
	size_t len = slash != NULL ? (size_t)(slash - name) : 0;

	if (len >= PATH_MAX)
		return err_set(e, PS_USAGE, "%.80s...: name too long", name);
	memcpy(dir, name, len);
	dir[len] = '\0';
	*ret_base = slash != NULL ? slash + 1 : name;
	return 0;
}

static int open_dir(struct file_store *fs, const char *dir)
{
	return openat(fs->root, *dir != '\0' ? dir : ".",
		      O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool is_settled(struct file_store *fs, const char *dir)
{
	const struct settled *s;

	pthread_mutex_lock(&fs->lock);
	for (s = fs->settled; s != NULL; s = s->next)
		if (strcmp(s->dir, dir) == 0)
			break;
	pthread_mutex_unlock(&fs->lock);
	return s != NULL;
}

/* Not remembering it costs a few syncs more, nothing else. */
static void note_settled(struct file_store *fs, const char *dir)
{
	size_t len = strlen(dir);
	struct settled *s = malloc(sizeof(*s) + len + 1);

	if (s == NULL)
		return;
	memcpy(s->dir, dir, len + 1);
	pthread_mutex_lock(&fs->lock);
	s->next = fs->settled;
	fs->settled = s;
	pthread_mutex_unlock(&fs->lock);
}

static int sync_dir(struct file_store *fs, const char *dir, struct err *e)
{
	int fd = open_dir(fs, dir);
	int rc;

	if (fd < 0)
		return err_sys(e, 0, "%s/%s", fs->path, dir);
	rc = durable_sync(fd, *dir != '\0' ? dir : fs->path, e);
	close(fd);
	return rc;
}

/*
 * Sees to it that `dir` exists (when `create`) and that its name and those
 * above it are on stable storage: whoever made it may have died before its
 * sync. Done once for each folder and process; then leftovers go, too.
 */
static int settle(struct file_store *fs, const char *dir, bool create,
		  struct err *e)
{
	char part[PATH_MAX];
	char *p = part;
	int fd;

	if (is_settled(fs, dir))
		return 0;
	snprintf(part, sizeof(part), "%s", dir);
	while (*p != '\0') {
		char above[PATH_MAX];
		const char *base;
		int rc;

		p += strcspn(p, "/");
		if (*p == '/')
			*p = '\0';
		if (create && mkdirat(fs->root, part, DIR_MODE) < 0 &&
		    errno != EEXIST)
			return err_sys(e, 0, "%s/%s: cannot create", fs->path,
				       part);
		rc = split(part, above, &base, e);
		if (rc == 0)
			rc = sync_dir(fs, above, e);
		if (rc < 0)
			return rc;
		if (p < part + strlen(dir))
			*p++ = '/';
	}
	fd = open_dir(fs, dir);
	if (fd < 0)
		return err_sys(e, 0, "%s/%s", fs->path, dir);
	durable_sweep_dead(fd);
	close(fd);
	note_settled(fs, dir);
	return 0;
}

/* ---- listing ---- */

struct entry {
	char *name;
	bool is_dir;
	uint64_t size;
};

struct entries {
	struct entry *items;
	size_t n, cap;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name,
		      ((const struct entry *)b)->name);
}

static int add_entry(struct entries *all, const char *name,
		     const struct stat *st)
{
	struct entry *en;

	if (all->n == all->cap) {
		size_t cap = 2 * all->cap + 64;
		struct entry *grown = realloc(all->items, cap * sizeof(*grown));

		if (grown == NULL)
			return -1;
		all->items = grown;
		all->cap = cap;
	}
	en = &all->items[all->n];
	en->name = strdup(name);
	if (en->name == NULL)
		return -1;
	en->is_dir = S_ISDIR(st->st_mode);
	en->size = en->is_dir ? 0 : (uint64_t)st->st_size;
	all->n++;
	return 0;
}

/*
 * What is not a checked name is not ours, temporary files among it; what
 * went away since readdir(3) is no child any more. -1 with errno.
 */
static int read_entries(DIR *d, struct entries *all)
{
	struct dirent *ent;
	struct stat st;

	while ((errno = 0, ent = readdir(d)) != NULL) {
		if (!name_ok(ent->d_name))
			continue;
		if (fstatat(dirfd(d), ent->d_name, &st, 0) < 0) {
			if (errno == ENOENT)
				continue;
			return -1;
		}
		if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
			continue;
		if (add_entry(all, ent->d_name, &st) < 0)
			return -1;
	}
	return errno == 0 ? 0 : -1;
}

static int file_list(struct store *s, const char *dir, store_list_fn *fn,
		     void *ctx, struct err *e)
{
	struct file_store *fs = of(s);
	struct entries all = {0};
	int fd = open_dir(fs, dir);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	size_t i;
	int rc = 0;

	if (d == NULL) {
		if (errno != ENOENT && errno != ENOTDIR)
			rc = err_sys(e, 0, "%s/%s", fs->path, dir);
		if (fd >= 0)
			close(fd);
		return rc;
	}
	if (read_entries(d, &all) < 0)
		rc = err_sys(e, 0, "%s/%s", fs->path, dir);
	closedir(d);
	if (all.n > 0)
		qsort(all.items, all.n, sizeof(*all.items), by_name);
	for (i = 0; rc == 0 && i < all.n; i++)
		rc = fn(ctx,
			&(struct store_entry){.name = all.items[i].name,
					      .is_dir = all.items[i].is_dir,
					      .size = all.items[i].size},
			e);
	for (i = 0; i < all.n; i++)
		free(all.items[i].name);
	free(all.items);
	return rc;
}

/* ---- reading ---- */

static int file_size(struct store *s, const char *name, uint64_t *ret,
		     struct err *e)
{
	struct stat st;

	if (fstatat(of(s)->root, name, &st, 0) < 0)
		return err_sys(e, 0, "%s", name);
	if (!S_ISREG(st.st_mode))
		return err_set(e, PS_NOINPUT, "%s: not a file", name);
	*ret = (uint64_t)st.st_size;
	return 0;
}

static int file_read(struct store *s, const char *name, uint64_t pos, void *buf,
		     size_t n, struct err *e)
{
	int fd = openat(of(s)->root, name, O_RDONLY | O_CLOEXEC);
	ssize_t got;
	int rc = 0;

	if (fd < 0)
		return err_sys(e, 0, "%s", name);
	got = io_pread_full(fd, buf, n, pos);
	if (got < 0)
		rc = err_sys(e, 0, "%s", name);
	else if ((size_t)got != n)
		rc = err_set(e, PS_DATA, "%s: ends before byte %llu", name,
			     (unsigned long long)(pos + n));
	close(fd);
	return rc;
}

/* ---- writing ---- */

static int file_put_begin(struct store *s, const char *name,
			  struct store_put **ret, struct err *e)
{
	struct file_store *fs = of(s);
	struct store_put *p;
	char dir[PATH_MAX];
	const char *base = NULL;
	int rc = split(name, dir, &base, e);

	if (rc == 0)
		rc = settle(fs, dir, true, e);
	if (rc < 0)
		return rc;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s", name);
	p->file.fd = -1;
	p->dirfd = open_dir(fs, dir);
	if (p->dirfd < 0)
		rc = err_sys(e, 0, "%s/%s", fs->path, dir);
	else
		rc = durable_begin(&p->file, p->dirfd, base, FILE_MODE, e);
	if (rc < 0) {
		if (p->dirfd >= 0)
			close(p->dirfd);
		free(p);
		return rc;
	}
	*ret = p;
	return 0;
}

static int file_put_write(struct store_put *p, const void *buf, size_t n,
			  struct err *e)
{
	if (io_write_full(p->file.fd, buf, n) < 0)
		return err_sys(e, 0, "%s", p->file.name);
	p->written += n;
	if (p->written - p->started >= WRITEBACK) {
		/* Only a hint: the sync at the end is what counts. */
		(void)sync_file_range(p->file.fd, (off_t)p->started,
				      (off_t)(p->written - p->started),
				      SYNC_FILE_RANGE_WRITE);
		p->started = p->written;
	}
	return 0;
}

static void file_put_abort(struct store_put *p)
{
	durable_abort(&p->file);
	close(p->dirfd);
	free(p);
}

/*
 * Two failures are worth another try with the same data, as the temporary
 * file is gone: no room, which NFS tells only at the sync; and a temporary
 * file that a sweeper on another host took for a leftover.
 */
static int file_put_commit(struct store_put *p, struct err *e)
{
	struct err why = {0};
	int rc = durable_commit(&p->file, DURABLE_CREATE, &why);

	file_put_abort(p);
	if (rc == -PS_NOINPUT || why.sys == ENOSPC || why.sys == EDQUOT)
		why.code = PS_TEMPFAIL;
	if (rc == 0 || rc == -PS_NO)
		return rc;
	if (e != NULL)
		*e = why;
	return -why.code;
}

static int file_confirm(struct store *s, const char *name, struct err *e)
{
	struct file_store *fs = of(s);
	char dir[PATH_MAX];
	const char *base;
	int rc = split(name, dir, &base, e);
	int fd;

	if (rc < 0)
		return rc;
	fd = openat(fs->root, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, 0, "%s", name);
	rc = durable_sync(fd, name, e);
	close(fd);
	if (rc == 0)
		rc = sync_dir(fs, dir, e);
	return rc < 0 ? rc : settle(fs, dir, false, e);
}

static int file_remove(struct store *s, const char *name, struct err *e)
{
	if (unlinkat(of(s)->root, name, 0) < 0 && errno != ENOENT)
		return err_sys(e, 0, "%s: cannot remove", name);
	return 0;
}

const struct store_ops store_file = {
    .scheme = "file",
    .open = file_open,
    .close = file_close,
    .list = file_list,
    .size = file_size,
    .read = file_read,
    .put_begin = file_put_begin,
    .put_write = file_put_write,
    .put_commit = file_put_commit,
    .put_abort = file_put_abort,
    .confirm = file_confirm,
    .remove = file_remove,
};
