#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/durable.h"
#include "cache/counters.h"
#include "cache/follower.h"

#define RELAY "relay\n" /* what the file of one holds, else nothing */

static int only_names(const struct dirent *ent)
{
	return name_ok(ent->d_name);
}

int follower_list(struct cache *c, struct follower_list *ret, struct err *e)
{
	struct follower_list l = {0};
	struct dirent **names;
	int i, rc = 0,
	       n = scandirat(c->dirfd, FOLLOWERS_DIR, &names, only_names,
			     alphasort);

	if (n < 0)
		return err_sys(e, 0, "cache %s: followers", c->path);
	if (n > HEAD_FOLLOWERS_MAX)
		rc = err_set(e, PS_CONFIG, "cache %s: over %d followers",
			     c->path, HEAD_FOLLOWERS_MAX);
	for (i = 0; i < n; i++) {
		if (rc == 0)
			memcpy(l.names[l.n++], names[i]->d_name,
			       strlen(names[i]->d_name) + 1);
		free(names[i]);
	}
	free(names);
	if (rc == 0)
		*ret = l;
	return rc;
}

static int open_followers(struct cache *c, struct err *e)
{
	int fd =
	    openat(c->dirfd, FOLLOWERS_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 ? fd : err_sys(e, 0, "cache %s: followers", c->path);
}

/* Opens the file of a follower, making it when it is not there. */
static int open_file(struct cache *c, const char *name, struct err *e)
{
	int rc = name_check("follower", name, PS_USAGE, e), dirfd, fd;
	struct follower_list all = {0};

	if (rc == 0)
		rc = follower_list(c, &all, e);
	if (rc < 0)
		return rc;
	dirfd = open_followers(c, e);
	if (dirfd < 0)
		return dirfd;
	fd = openat(dirfd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT && all.n == HEAD_FOLLOWERS_MAX) {
		rc = err_set(e, PS_CONFIG, "there are %d followers already",
			     HEAD_FOLLOWERS_MAX);
	} else if (fd < 0 && errno == ENOENT) {
		fd = openat(dirfd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (fd >= 0)
			rc = durable_sync(dirfd, "followers", e);
	}
	if (rc == 0 && fd < 0)
		rc = err_sys(e, 0, "follower %s", name);
	close(dirfd);
	if (rc < 0 && fd >= 0)
		close(fd);
	return rc < 0 ? cache_note_failure(c, rc, e) : fd;
}

int follower_register(struct cache *c, const char *name, struct err *e)
{
	int fd = open_file(c, name, e);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

/* The file is what claims are locks of: it is changed where it is. */
static int write_relay(int fd, const char *name, bool relay, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, 0, "follower %s", name);
	if ((st.st_size > 0) == relay)
		return 0;
	if ((relay ? pwrite(fd, RELAY, strlen(RELAY), 0)
		   : (ssize_t)ftruncate(fd, 0)) < 0)
		return err_sys(e, 0, "follower %s", name);
	return fsync(fd) < 0 ? err_sys(e, PS_STORAGE, "follower %s", name) : 0;
}

int follower_set_relay(struct cache *c, const char *name, bool relay,
		       struct err *e)
{
	int fd = open_file(c, name, e), rc;

	if (fd < 0)
		return fd;
	rc = write_relay(fd, name, relay, e);
	close(fd);
	return cache_note_failure(c, rc, e);
}

int follower_is_relay(struct cache *c, const char *name, struct err *e)
{
	int dirfd = open_followers(c, e), rc;
	struct stat st;

	if (dirfd < 0)
		return dirfd;
	rc = fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW);
	if (rc < 0 && errno != ENOENT)
		rc = err_sys(e, 0, "follower %s", name);
	else
		rc = rc == 0 && st.st_size > 0;
	close(dirfd);
	return rc;
}

int follower_claim(struct cache *c, const char *name, struct err *e)
{
	int fd = open_file(c, name, e), rc;

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	if (errno == EWOULDBLOCK)
		rc = err_set(e, PS_TEMPFAIL,
			     "cache %s: another process follows as '%s'",
			     c->path, name);
	else
		rc = err_sys(e, 0, "follower %s", name);
	close(fd);
	return rc;
}

int follower_runs(struct cache *c, const char *name, struct err *e)
{
	int dirfd = open_followers(c, e), fd, rc = 0;

	if (dirfd < 0)
		return dirfd;
	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno != ENOENT)
		rc = err_sys(e, 0, "follower %s", name);
	close(dirfd);
	if (fd < 0)
		return rc;
	rc = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
	close(fd);
	return rc;
}

int follower_at(struct cache *c, const char *machine, const char *disk,
		const char *name, struct follower_at *ret, struct err *e)
{
	const struct head_refusal *r;
	const struct mark *at;
	struct head h = {0};
	struct folder f;
	int rc = folder_open(&f, c, machine, disk, false, e);

	*ret = (struct follower_at){0};
	if (rc <= 0)
		return rc;
	rc = head_read(f.dirfd, &h, e); /* replaced as a whole: no lock */
	folder_close(&f);
	if (rc < 0)
		return rc;
	at = head_position(&h, name);
	r = head_refusal(&h, name);
	ret->begun = at != NULL;
	if (at != NULL)
		ret->at = *at;
	ret->held = r != NULL;
	if (r != NULL)
		memcpy(ret->reason, r->reason, sizeof(ret->reason));
	return 1;
}

/* ---- holds ---- */

int follower_refuse(struct head *h, const struct follower_list *all,
		    const char *name, uint64_t seq, const char *reason,
		    struct err *e)
{
	unsigned i, left = 0;

	for (i = 0; i < all->n; i++)
		left += strcmp(all->names[i], name) != 0 &&
			head_refusal(h, all->names[i]) == NULL;
	if (left == 0) {
		head_hold(h, seq, reason);
		return 0;
	}
	return head_refuse(h, name, seq, reason, e);
}

/* ---- what nobody needs any more ---- */

static int by_seq_down(const void *a, const void *b)
{
	const struct mark *x = a, *y = b;

	return x->seq < y->seq ? 1 : x->seq > y->seq ? -1 : 0;
}

/* What at least n of the followers have; false when it is nothing yet. */
static bool have(const struct head *h, const struct follower_list *all,
		 unsigned n, struct mark *ret)
{
	struct mark at[HEAD_FOLLOWERS_MAX];
	const struct mark *m;
	unsigned i, known = 0;

	for (i = 0; i < all->n; i++) {
		m = head_position(h, all->names[i]);
		if (m != NULL)
			at[known++] = *m;
	}
	if (n == 0 || known < n)
		return false;
	qsort(at, known, sizeof(*at), by_seq_down);
	*ret = at[n - 1];
	return true;
}

/* Moves on what counts as stored; it never goes back. */
static void count_stored(struct folder *f, struct head *h,
			 const struct follower_list *all)
{
	unsigned n = f->c->limits.stored_after;
	struct mark stored = {0};

	if (n == 0 || n > all->n)
		n = all->n;
	if (have(h, all, n, &stored) && stored.seq > h->stored.seq)
		h->stored = stored;
}

/* The digests of the newest ones that go. */
static void remember(struct folder *f, struct folder_state *s, size_t n)
{
	size_t i = n > HEAD_RECENT_MAX ? n - HEAD_RECENT_MAX : 0;
	struct head *h = &s->head;
	struct spool_info info;

	for (; i < n; i++) {
		if (h->nrecent > 0 && s->list.seqs[i] <= h->recent[0].seq)
			continue;
		/* One that cannot be read is one that is not remembered. */
		if (spool_peek(f->dirfd, s->list.seqs[i], f->machine, f->disk,
			       &info, NULL) == 0)
			head_remember(h, &info.at);
	}
}

static int remove_stored(struct folder *f, uint64_t seq, struct err *e)
{
	char name[SPOOL_NAME_SIZE];
	struct stat st;
	int rc;

	spool_name(seq, name);
	if (fstatat(f->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		st.st_size = 0;
	rc = spool_remove(f->dirfd, seq, e);
	if (rc < 0)
		return rc;
	counter_add(f->c, COUNTER_STORED_BYTES, (uint64_t)st.st_size);
	counter_add(f->c, COUNTER_STORED_SEGMENTS, 1);
	return 0;
}

int follower_retire(struct folder *f, struct folder_state *s,
		    const struct follower_list *all, struct err *e)
{
	struct mark low = {0};
	size_t gone = 0, i;
	int rc;

	count_stored(f, &s->head, all);
	if (have(&s->head, all, all->n, &low)) {
		while (gone < s->list.n && s->list.seqs[gone] <= low.seq)
			gone++;
		remember(f, s, gone);
	}
	s->head.accepted = s->last;
	s->head.initial = s->initial;
	rc = head_write(f->dirfd, &s->head, e);
	for (i = 0; i < gone && rc == 0; i++)
		rc = remove_stored(f, s->list.seqs[i], e);
	if (rc < 0)
		err_prefix(e, "%s/%s", f->machine, f->disk);
	return cache_note_failure(f->c, rc, e);
}

/* ---- drop ---- */

struct drop {
	const char *name;
	struct follower_list left;
};

/* Those that are left may all be on hold: then the disk is. */
static void drop_follower(struct head *h, const struct drop *d)
{
	const struct head_refusal *r = NULL;
	unsigned i;

	head_drop_follower(h, d->name);
	for (i = 0; i < d->left.n; i++) {
		r = head_refusal(h, d->left.names[i]);
		if (r == NULL)
			return;
	}
	if (r != NULL)
		head_hold(h, r->seq, r->reason);
}

static int drop_in(void *ctx, struct folder *f, struct err *e)
{
	struct drop *d = ctx;
	struct folder_state s;
	int rc = folder_lock(f, true, e);

	if (rc < 0)
		return rc;
	rc = folder_state(f, &s, e);
	if (rc == 0) {
		if (s.seated) {
			drop_follower(&s.head, d);
			rc = follower_retire(f, &s, &d->left, e);
		}
		folder_state_free(&s);
	}
	folder_unlock(f);
	return rc;
}

static int unlink_file(struct cache *c, const char *name, struct err *e)
{
	int dirfd = open_followers(c, e), rc = 0;

	if (dirfd < 0)
		return dirfd;
	if (unlinkat(dirfd, name, 0) < 0)
		rc = err_sys(e, 0, "follower %s", name);
	if (rc == 0)
		rc = durable_sync(dirfd, "followers", e);
	close(dirfd);
	return cache_note_failure(c, rc, e);
}

int follower_drop(struct cache *c, const char *name, struct err *e)
{
	struct drop d = {.name = name};
	struct follower_list all;
	unsigned i;
	int rc = follower_list(c, &all, e), claim;

	if (rc < 0)
		return rc;
	for (i = 0; i < all.n; i++)
		if (strcmp(all.names[i], name) != 0)
			memcpy(d.left.names[d.left.n++], all.names[i],
			       NAME_SIZE);
	if (d.left.n == all.n)
		return err_set(e, PS_NOINPUT, "cache %s: no follower '%s'",
			       c->path, name);
	claim = follower_claim(c, name, e);
	if (claim < 0)
		return claim;
	/* Last the name: an interrupted drop is done again. */
	rc = folder_each(c, NULL, drop_in, &d, e);
	if (rc == 0)
		rc = unlink_file(c, name, e);
	close(claim);
	return rc;
}

/* ---- how many have to have it ---- */

/* Heads are written only where something is new: a cache may have many. */
static int count_in(void *ctx, struct folder *f, struct err *e)
{
	const struct follower_list *all = ctx;
	struct folder_state s;
	uint64_t before;
	int rc = folder_lock(f, true, e);

	if (rc < 0)
		return rc;
	rc = folder_state(f, &s, e);
	if (rc == 0) {
		before = s.head.stored.seq;
		if (s.seated)
			count_stored(f, &s.head, all);
		if (s.head.stored.seq != before)
			rc = follower_retire(f, &s, all, e);
		folder_state_free(&s);
	}
	folder_unlock(f);
	return rc;
}

static int count_again(const char *dir, struct err *e)
{
	struct follower_list all;
	struct cache *c;
	int rc = cache_open(&c, dir, e);

	if (rc < 0)
		return rc;
	rc = follower_list(c, &all, e);
	if (rc == 0)
		rc = folder_each(c, NULL, count_in, &all, e);
	cache_close(c);
	return rc;
}

int follower_stored_after(const char *dir, unsigned n, struct err *e)
{
	struct cache_limits l;
	int rc = cache_limits(dir, &l, e);

	if (rc < 0)
		return rc;
	if (l.stored_after != n) {
		l.stored_after = n;
		rc = cache_init(dir, &l, e);
	}
	return rc < 0 ? rc : count_again(dir, e);
}
