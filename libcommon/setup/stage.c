#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/durable.h"
#include "setup/stage.h"

#define FRESH "new"
#define FORMER "old"
#define MARK "commit"
#define FILES_MAX 32

struct names {
	char list[FILES_MAX][NAME_MAX + 1];
	unsigned n;
};

static int open_dir(int at, const char *name)
{
	return openat(at, name,
		      O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

/* The files of a folder; -1 with errno. */
static int list_names(int dirfd, struct names *ret)
{
	int fd = open_dir(dirfd, ".");
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *it;

	ret->n = 0;
	if (d == NULL) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	while ((it = readdir(d)) != NULL && ret->n < FILES_MAX)
		if (strcmp(it->d_name, ".") != 0 &&
		    strcmp(it->d_name, "..") != 0)
			snprintf(ret->list[ret->n++], NAME_MAX + 1, "%s",
				 it->d_name);
	closedir(d);
	return 0;
}

static void empty(int at, const char *name)
{
	int fd = open_dir(at, name);
	struct names names;
	unsigned i;

	if (fd < 0)
		return;
	if (list_names(fd, &names) == 0)
		for (i = 0; i < names.n; i++)
			(void)unlinkat(fd, names.list[i], 0);
	close(fd);
	(void)unlinkat(at, name, AT_REMOVEDIR);
}

/* The mark goes last but one: until then the names are given again. */
static void forget(int etc, int own)
{
	empty(own, FORMER);
	empty(own, FRESH);
	durable_sweep(own);
	(void)unlinkat(own, MARK, 0);
	(void)unlinkat(etc, STAGE_DIR, AT_REMOVEDIR);
}

/* ---- naming ---- */

/* The old one stays in `old` until all is done. */
static int name_one(struct stage *s, int former, const char *name,
		    struct err *e)
{
	if (linkat(s->etc, name, former, name, 0) < 0 && errno != ENOENT &&
	    errno != EEXIST)
		return err_sys(e, 0, "%s", name);
	if (renameat(s->fresh, name, s->etc, name) < 0)
		return err_sys(e, 0, "%s", name);
	return 0;
}

static void take_back(struct stage *s, int former, const struct names *names,
		      unsigned done)
{
	while (done-- > 0)
		if (renameat(former, names->list[done], s->etc,
			     names->list[done]) < 0 &&
		    errno == ENOENT)
			(void)unlinkat(s->etc, names->list[done], 0);
	(void)fsync(s->etc);
}

static int name_all(struct stage *s, struct err *e)
{
	struct names names;
	int former, rc = 0;
	unsigned i;

	if (mkdirat(s->own, FORMER, 0700) < 0 && errno != EEXIST)
		return err_sys(e, 0, "%s/" FORMER, s->dir);
	former = open_dir(s->own, FORMER);
	if (former < 0 || list_names(s->fresh, &names) < 0) {
		rc = err_sys(e, 0, "%s", s->dir);
		names.n = 0;
	}
	for (i = 0; rc == 0 && i < names.n; i++)
		rc = name_one(s, former, names.list[i], e);
	if (rc == 0)
		rc = durable_sync(s->etc, "the folder of the configuration", e);
	else
		i = i > 0 ? i - 1 : 0;
	if (rc < 0)
		take_back(s, former, &names, i);
	if (former >= 0)
		close(former);
	return rc;
}

int stage_commit(struct stage *s, struct err *e)
{
	int rc = durable_sync(s->fresh, s->dir, e);

	if (rc == 0)
		rc = durable_write(s->own, MARK, "", 0, 0600, DURABLE_REPLACE,
				   e);
	if (rc == 0)
		rc = name_all(s, e);
	/* It failed, or it is done: never to be completed. */
	forget(s->etc, s->own);
	return rc;
}

/* ---- begin and end ---- */

static int open_both(struct stage *s, struct err *e)
{
	if (mkdirat(s->etc, STAGE_DIR, 0700) < 0 && errno != EEXIST)
		return err_sys(e, 0, "%s", s->dir);
	s->own = open_dir(s->etc, STAGE_DIR);
	if (s->own < 0 || (mkdirat(s->own, FRESH, 0700) < 0 && errno != EEXIST))
		return err_sys(e, 0, "%s", s->dir);
	s->fresh = open_dir(s->own, FRESH);
	return s->fresh < 0 ? err_sys(e, 0, "%s", s->dir) : 0;
}

/* Completes what was marked, forgets what was not. */
static int settle(struct stage *s, struct err *e)
{
	int rc = 0;

	s->own = open_dir(s->etc, STAGE_DIR);
	if (s->own < 0)
		return errno == ENOENT ? 0 : err_sys(e, 0, "%s", s->dir);
	s->fresh = open_dir(s->own, FRESH);
	if (s->fresh >= 0 && faccessat(s->own, MARK, F_OK, 0) == 0)
		rc = name_all(s, e);
	if (rc == 0)
		forget(s->etc, s->own);
	if (s->fresh >= 0)
		close(s->fresh);
	close(s->own);
	s->own = s->fresh = -1;
	return rc;
}

int stage_begin(struct stage *s, const char *folder, struct err *e)
{
	int rc;

	*s = (struct stage){.own = -1, .fresh = -1};
	snprintf(s->dir, sizeof(s->dir), "%s/" STAGE_DIR "/" FRESH, folder);
	s->etc = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->etc < 0)
		return err_sys(e, 0, "%s", folder);
	if (flock(s->etc, LOCK_EX | LOCK_NB) < 0)
		rc = err_set(e, PS_TEMPFAIL,
			     "%s: another installation is under way", folder);
	else
		rc = settle(s, e);
	if (rc == 0)
		rc = open_both(s, e);
	if (rc < 0)
		stage_end(s);
	return rc;
}

int stage_put(struct stage *s, const char *name, const void *text, size_t n,
	      mode_t mode, uid_t owner, gid_t group, struct err *e)
{
	int rc =
	    durable_write(s->fresh, name, text, n, mode, DURABLE_REPLACE, e);

	if (rc == 0 && owner != (uid_t)-1 &&
	    fchownat(s->fresh, name, owner, group, AT_SYMLINK_NOFOLLOW) < 0)
		rc = err_sys(e, 0, "%s", name);
	if (rc < 0 && e != NULL)
		rc = err_prefix(
		    e, "%.*s",
		    (int)(strlen(s->dir) - strlen("/" STAGE_DIR "/" FRESH)),
		    s->dir);
	return rc;
}

void stage_end(struct stage *s)
{
	if (s->own >= 0)
		forget(s->etc, s->own);
	if (s->fresh >= 0)
		close(s->fresh);
	if (s->own >= 0)
		close(s->own);
	if (s->etc >= 0)
		close(s->etc);
	s->etc = s->own = s->fresh = -1;
}
