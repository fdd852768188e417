#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/durable.h"
#include "base/units.h"
#include "cache/folder.h"

#define LOCK_FILE ".lock"
#define LOCK_WAIT_S 60

/* ---- folder ---- */

static int open_folder(int at, const char *name, bool create, struct err *e)
{
	int fd;

	if (create && mkdirat(at, name, 0700) < 0 && errno != EEXIST)
		return err_sys(e, 0, "folder %s", name);
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd >= 0 ? fd : err_sys(e, 0, "folder %s", name);
}

int cache_folder(struct cache *c, const char *machine, struct err *e)
{
	if (machine == NULL)
		return open_folder(c->dirfd, ".", false, e);
	if (!cache_machine_ok(machine))
		return err_set(e, PS_USAGE, "'%.80s' cannot be a machine here",
			       machine);
	return open_folder(c->dirfd, machine, true, e);
}

static int only_names(const struct dirent *ent)
{
	return name_ok(ent->d_name) && ent->d_type != DT_REG;
}

static void free_names(struct dirent **names, int n)
{
	while (n > 0)
		free(names[--n]);
	free(names);
}

/* A new folder of a disk, unless its machine has too many of them. */
static int make_disk(int at, const char *machine, const char *disk,
		     struct err *e)
{
	struct dirent **names;
	int n;

	if (mkdirat(at, disk, 0700) < 0)
		return errno == EEXIST ? 0 : err_sys(e, 0, "folder %s", disk);
	n = scandirat(at, ".", &names, only_names, NULL);
	if (n < 0)
		return err_sys(e, 0, "folder %s", machine);
	free_names(names, n);
	if (n <= CACHE_DISKS_MAX)
		return 0;
	(void)unlinkat(at, disk, AT_REMOVEDIR);
	return err_set(e, PS_TEMPFAIL, "%s has %d disks here already", machine,
		       CACHE_DISKS_MAX);
}

int folder_open(struct folder *ret, struct cache *c, const char *machine,
		const char *disk, bool create, struct err *e)
{
	struct folder f = {.c = c, .dirfd = -1, .lockfd = -1};
	int at, rc = name_check("disk", disk, PS_USAGE, e);

	if (rc == 0 && !cache_machine_ok(machine))
		rc = err_set(e, PS_USAGE, "'%.80s' cannot be a machine here",
			     machine);
	if (rc < 0)
		return rc;
	memcpy(f.machine, machine, strlen(machine) + 1);
	memcpy(f.disk, disk, strlen(disk) + 1);
	at = open_folder(c->dirfd, machine, create, e);
	if (at < 0)
		return at == -PS_NOINPUT ? 0 : at;
	rc = create ? make_disk(at, machine, disk, e) : 0;
	f.dirfd = rc < 0 ? rc : open_folder(at, disk, false, e);
	close(at);
	if (f.dirfd < 0)
		return f.dirfd == -PS_NOINPUT ? 0 : f.dirfd;
	*ret = f;
	return 1;
}

void folder_close(struct folder *f)
{
	folder_unlock(f);
	close(f->dirfd);
	f->dirfd = -1;
}

int folder_lock(struct folder *f, bool exclusive, struct err *e)
{
	int64_t end = mono_now_ns() + LOCK_WAIT_S * NS_PER_S;
	struct timespec pause = {0, 200000};
	/* Who only looks may have no right to write. */
	int fd =
	    openat(f->dirfd, LOCK_FILE,
		   (exclusive ? O_RDWR : O_RDONLY) | O_CREAT | O_CLOEXEC, 0600);

	/* Nobody has locked it yet, and we may not make what locks. */
	if (fd < 0 && errno == EACCES && !exclusive)
		return 0;
	if (fd < 0)
		return err_sys(e, 0, "%s/%s: lock", f->machine, f->disk);
	while (flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR) {
			int rc =
			    err_sys(e, 0, "%s/%s: lock", f->machine, f->disk);

			close(fd);
			return rc;
		}
		if (mono_now_ns() > end) {
			close(fd);
			return err_set(e, PS_TEMPFAIL,
				       "%s/%s: locked for over %d s",
				       f->machine, f->disk, LOCK_WAIT_S);
		}
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < 20000000)
			pause.tv_nsec *= 2;
	}
	f->lockfd = fd;
	return 0;
}

void folder_unlock(struct folder *f)
{
	if (f->lockfd >= 0)
		close(f->lockfd);
	f->lockfd = -1;
}

int folder_sync_path(const struct folder *f, struct err *e)
{
	int fd = openat(f->dirfd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd < 0)
		return err_sys(e, 0, "folder %s", f->machine);
	rc = durable_sync(fd, f->machine, e);
	close(fd);
	return rc < 0 ? rc : durable_sync(f->c->dirfd, f->c->path, e);
}

/* ---- state ---- */

/* The last accepted: what the head says, or a segment behind it. */
static int find_last(struct folder *f, struct folder_state *s, struct err *e)
{
	struct spool_info info;
	struct err why = {0};
	uint64_t top;
	int rc;

	s->last = s->head.accepted;
	s->initial = s->known ? s->head.initial : true;
	if (s->list.n == 0)
		return 0;
	top = s->list.seqs[s->list.n - 1];
	if (top <= s->last.seq)
		return 0;
	rc = spool_peek(f->dirfd, top, f->machine, f->disk, &info, &why);
	if (rc == 0) {
		s->last = info.at;
		s->initial = info.header.initial && !info.last_part;
		return 0;
	}
	if (spool_is_damage(rc)) {
		head_hold(&s->head, top, why.msg);
		return 0;
	}
	if (e != NULL)
		*e = why;
	return rc;
}

int folder_state(struct folder *f, struct folder_state *ret, struct err *e)
{
	struct folder_state s = {0};
	int rc = spool_list(f->dirfd, 0, &s.list, e), there;

	if (rc < 0)
		return err_prefix(e, "%s/%s", f->machine, f->disk);
	there = head_read(f->dirfd, &s.head, e);
	if (there >= 0) {
		s.known = there > 0 || s.list.n > 0;
		s.seated = s.known && !s.head.unseated;
		rc = find_last(f, &s, e);
	} else {
		rc = there;
	}
	if (rc < 0) {
		spool_list_free(&s.list);
		return err_prefix(e, "%s/%s", f->machine, f->disk);
	}
	*ret = s;
	return 0;
}

void folder_state_free(struct folder_state *s)
{
	spool_list_free(&s->list);
}

/* Among the marks of the head. */
static const struct mark *mark_at(const struct folder_state *s, uint64_t seq)
{
	const struct head *h = &s->head;
	unsigned i;

	if (s->last.seq == seq)
		return &s->last;
	if (h->accepted.seq == seq)
		return &h->accepted;
	if (h->stored.seq == seq)
		return &h->stored;
	for (i = 0; i < h->nfollowers; i++)
		if (h->followers[i].at.seq == seq)
			return &h->followers[i].at;
	for (i = 0; i < h->nrecent; i++)
		if (h->recent[i].seq == seq)
			return &h->recent[i];
	return NULL;
}

int folder_digest_at(struct folder *f, const struct folder_state *s,
		     uint64_t seq, uint8_t ret[SHA256_LEN], struct err *e)
{
	const struct mark *m = mark_at(s, seq);
	struct spool_info info;
	size_t i;
	int rc;

	if (m != NULL) {
		memcpy(ret, m->digest, SHA256_LEN);
		return 1;
	}
	for (i = 0; i < s->list.n && s->list.seqs[i] < seq; i++)
		;
	if (i == s->list.n)
		return 0;
	rc = spool_peek(f->dirfd, s->list.seqs[i], f->machine, f->disk, &info,
			e);
	if (rc < 0)
		return spool_is_damage(rc) || rc == -PS_NOINPUT ? 0 : rc;
	if (info.at.seq == seq)
		memcpy(ret, info.at.digest, SHA256_LEN);
	else if (info.header.first_seq == seq + 1)
		memcpy(ret, info.header.prev, SHA256_LEN);
	else
		return 0;
	return 1;
}

int folder_bytes(const struct folder *f, const struct spool_list *l,
		 uint64_t *ret, struct err *e)
{
	char name[SPOOL_NAME_SIZE];
	uint64_t sum = 0;
	struct stat st;
	size_t i;

	for (i = 0; i < l->n; i++) {
		spool_name(l->seqs[i], name);
		if (fstatat(f->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			sum += (uint64_t)st.st_size;
		else if (errno != ENOENT)
			return err_sys(e, 0, "%s/%s/%s", f->machine, f->disk,
				       name);
	}
	*ret = sum;
	return 0;
}

/* ---- all of them ---- */

static int each_disk(struct cache *c, const char *machine, folder_fn *fn,
		     void *ctx, struct err *e)
{
	struct dirent **names;
	struct folder f;
	int i, n = scandirat(c->dirfd, machine, &names, only_names, alphasort),
	       rc = 0;

	if (n < 0)
		return errno == ENOENT || errno == ENOTDIR
			   ? 0
			   : err_sys(e, 0, "folder %s", machine);
	for (i = 0; i < n && rc == 0; i++) {
		rc = folder_open(&f, c, machine, names[i]->d_name, false, e);
		if (rc > 0) {
			rc = fn(ctx, &f, e);
			folder_close(&f);
		}
	}
	free_names(names, n);
	return rc;
}

int folder_machines(struct cache *c, folder_machine_fn *fn, void *ctx,
		    struct err *e)
{
	struct dirent **names;
	int i, n, rc = 0;

	n = scandirat(c->dirfd, ".", &names, only_names, alphasort);
	if (n < 0)
		return err_sys(e, 0, "cache %s", c->path);
	for (i = 0; i < n && rc == 0; i++)
		if (cache_machine_ok(names[i]->d_name))
			rc = fn(ctx, names[i]->d_name, e);
	free_names(names, n);
	return rc;
}

struct each {
	struct cache *c;
	folder_fn *fn;
	void *ctx;
};

static int each_machine(void *ctx, const char *machine, struct err *e)
{
	struct each *each = ctx;

	return each_disk(each->c, machine, each->fn, each->ctx, e);
}

int folder_each(struct cache *c, const char *machine, folder_fn *fn, void *ctx,
		struct err *e)
{
	struct each each = {c, fn, ctx};

	if (machine == NULL)
		return folder_machines(c, each_machine, &each, e);
	if (!cache_machine_ok(machine))
		return err_set(e, PS_USAGE, "'%.80s' cannot be a machine here",
			       machine);
	return each_disk(c, machine, fn, ctx, e);
}
