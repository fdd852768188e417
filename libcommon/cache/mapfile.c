#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/durable.h"
#include "base/units.h"
#include "cache/folder.h"
#include "cache/mapfile.h"

#define WANT "map.want"
#define MAP "map"
#define REFUSED "map.refused"

static int64_t stat_ns(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * NS_PER_S + st->st_mtim.tv_nsec;
}

/* 1 with the time of a file, 0 when it is not there. */
static int time_of(const struct folder *f, const char *name, int64_t *ret,
		   struct err *e)
{
	struct stat st;

	if (fstatat(f->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0
				       : err_sys(e, 0, "%s/%s/%s", f->machine,
						 f->disk, name);
	*ret = stat_ns(&st);
	return 1;
}

static int drop(const struct folder *f, const char *name, struct err *e)
{
	if (unlinkat(f->dirfd, name, 0) < 0 && errno != ENOENT)
		return err_sys(e, 0, "%s/%s/%s", f->machine, f->disk, name);
	return 0;
}

/* ---- the map ---- */

/* Opens it and reads its head: a descriptor, -PS_NOINPUT, -PS_DATA. */
static int open_map(const struct folder *f, struct digestmap_head *h,
		    uint64_t *ret_bytes, struct err *e)
{
	int fd = openat(f->dirfd, MAP, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), rc;
	uint8_t raw[DIGESTMAP_HEAD_LEN];
	struct stat st;

	if (fd < 0)
		return err_sys(e, 0, "%s/%s/" MAP, f->machine, f->disk);
	if (fstat(fd, &st) < 0 ||
	    io_pread_full(fd, raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		rc = err_set(e, PS_DATA, "%s/%s/" MAP ": damaged", f->machine,
			     f->disk);
	else
		rc = digestmap_head_unpack(h, raw, e);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	*ret_bytes = (uint64_t)st.st_size;
	return fd;
}

static bool is_of(const struct digestmap_head *h, const struct folder *f,
		  const struct cache_head *head)
{
	return head->seated && h->seq == head->seq &&
	       memcmp(h->digest, head->digest, SHA256_LEN) == 0 &&
	       strcmp(h->machine, f->machine) == 0 &&
	       strcmp(h->disk, f->disk) == 0;
}

/* ---- asking ---- */

static void read_why(const struct folder *f, char why[ACK_REASON_SIZE])
{
	int fd = openat(f->dirfd, REFUSED, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd < 0 ? -1 : io_read_full(fd, why, ACK_REASON_SIZE - 1);

	why[n > 0 ? n : 0] = '\0';
	why[strcspn(why, "\r\n")] = '\0';
	if (fd >= 0)
		close(fd);
}

/* Not synced: a request that is lost comes again. */
static int want(const struct folder *f, struct err *e)
{
	int fd = openat(f->dirfd, WANT,
			O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_sys(e, 0, "%s/%s/" WANT, f->machine, f->disk);
	close(fd);
	return 0;
}

static int ask_maker(const struct folder *f, struct mapfile *m, struct err *e)
{
	int64_t now = time_now_ns(), at = 0;
	int rc = time_of(f, REFUSED, &at, e);

	if (rc > 0 && now - at < MAPFILE_REFUSED_S * NS_PER_S) {
		m->answer = MAPFILE_REFUSED;
		read_why(f, m->why);
		return 0;
	}
	if (rc > 0)
		rc = drop(f, REFUSED, e);
	if (rc == 0)
		rc = time_of(f, WANT, &at, e);
	if (rc > 0 && now - at > MAPFILE_NOBODY_S * NS_PER_S) {
		m->answer = MAPFILE_NOBODY;
		return 0;
	}
	m->answer = MAPFILE_ASKED;
	return rc == 0 ? want(f, e) : rc < 0 ? rc : 0;
}

static int ask(struct folder *f, struct mapfile *m, struct err *e)
{
	struct digestmap_head h;
	int fd;

	if (m->head.held || !m->head.seated) {
		m->answer = MAPFILE_HELD;
		return 0;
	}
	if (m->head.seq == 0)
		return 0;
	fd = open_map(f, &h, &m->bytes, NULL);
	if (fd >= 0 && is_of(&h, f, &m->head)) {
		m->answer = MAPFILE_READY;
		m->fd = fd;
		return 0;
	}
	if (fd >= 0)
		close(fd);
	return ask_maker(f, m, e);
}

int cache_map_ask(struct cache *c, const char *machine, const char *disk,
		  struct mapfile *ret, struct err *e)
{
	struct folder f;
	int rc;

	*ret = (struct mapfile){.answer = MAPFILE_NONE, .fd = -1};
	rc = cache_head(c, machine, disk, &ret->head, e);
	if (rc == 0)
		rc = folder_open(&f, c, machine, disk, false, e);
	if (rc < 0)
		return rc;
	if (rc == 0) {
		ret->answer = MAPFILE_HELD;
		return 0;
	}
	rc = ask(&f, ret, e);
	folder_close(&f);
	return rc;
}

/* ---- answering ---- */

/* Passes on what it reads, into the file that will be the map. */
struct tee {
	struct io_in *in;
	int fd;
};

static ssize_t tee_read(void *ctx, void *buf, size_t n, struct err *e)
{
	struct tee *t = ctx;
	ssize_t got = t->in->read(t->in->ctx, buf, n, e);

	if (got > 0 && io_write_full(t->fd, buf, (size_t)got) < 0)
		return err_sys(e, 0, "digest map");
	return got;
}

static int take_map(struct folder *f, struct tee *t, struct err *e)
{
	const struct digestmap_sink nobody = {0};
	struct digestmap_head h;
	struct cache_head head;
	struct io_in in = {0};
	int rc = io_in_open(&in, tee_read, t, t->in->name, e);

	if (rc == 0)
		rc = digestmap_read(&in, &nobody, &h, e);
	io_in_close(&in);
	if (rc == 0)
		rc = cache_head(f->c, f->machine, f->disk, &head, e);
	if (rc < 0 || is_of(&h, f, &head))
		return rc;
	return err_set(e, PS_NO,
		       "the digest map is of %s/%s after segment %llu, not of "
		       "the head",
		       h.machine, h.disk, (unsigned long long)h.seq);
}

int cache_map_put(struct cache *c, const char *machine, const char *disk,
		  struct io_in *in, struct err *e)
{
	struct durable d = {.fd = -1};
	struct folder f;
	struct tee t = {in, -1};
	int rc = folder_open(&f, c, machine, disk, false, e);

	if (rc == 0)
		rc = err_set(e, PS_NOINPUT, "%s/%s: no such disk here", machine,
			     disk);
	if (rc < 0)
		return rc;
	durable_sweep_dead(f.dirfd);
	rc = durable_begin(&d, f.dirfd, MAP, 0600, e);
	t.fd = d.fd;
	if (rc == 0)
		rc = take_map(&f, &t, e);
	if (rc == 0)
		rc = durable_commit(&d, DURABLE_REPLACE, e);
	if (rc == 0)
		rc = drop(&f, REFUSED, e);
	if (rc == 0)
		rc = drop(&f, WANT, e);
	durable_abort(&d);
	folder_close(&f);
	return cache_note_failure(c, rc, e);
}

int cache_map_drop(struct cache *c, const char *machine, const char *disk,
		   const char *why, struct err *e)
{
	struct folder f;
	int rc = folder_open(&f, c, machine, disk, false, e);

	if (rc == 0)
		return err_set(e, PS_NOINPUT, "%s/%s: no such disk here",
			       machine, disk);
	if (rc < 0)
		return rc;
	rc = why == NULL ? drop(&f, REFUSED, e)
			 : durable_write(f.dirfd, REFUSED, why, strlen(why),
					 0600, DURABLE_REPLACE, e);
	if (rc == 0)
		rc = drop(&f, MAP, e);
	if (rc == 0)
		rc = drop(&f, WANT, e);
	folder_close(&f);
	return cache_note_failure(c, rc, e);
}

int cache_map_seen(struct cache *c, const char *machine, const char *disk,
		   struct err *e)
{
	struct folder f;
	int rc = folder_open(&f, c, machine, disk, false, e);

	if (rc <= 0)
		return rc;
	if (utimensat(f.dirfd, WANT, NULL, AT_SYMLINK_NOFOLLOW) < 0 &&
	    errno != ENOENT)
		rc = err_sys(e, 0, "%s/%s/" WANT, machine, disk);
	folder_close(&f);
	return rc < 0 ? rc : 0;
}

/* ---- all of them ---- */

struct each {
	struct cache *c;
	cache_map_fn *fn;
	void *ctx;
};

static int look(struct folder *f, struct mapfile_state *s, struct err *e)
{
	struct digestmap_head h;
	int64_t at;
	int fd, rc = cache_head(f->c, f->machine, f->disk, &s->head, e);

	if (rc == 0)
		rc = time_of(f, MAP, &at, e);
	if (rc < 0)
		return rc;
	s->have = rc > 0;
	fd = s->have ? open_map(f, &h, &s->bytes, NULL) : -1;
	if (fd >= 0) {
		s->seq = h.seq;
		s->fits = is_of(&h, f, &s->head);
		close(fd);
	}
	if (s->refused)
		read_why(f, s->why);
	return 0;
}

static int with_files(void *ctx, struct folder *f, struct err *e)
{
	struct mapfile_state s = {.machine = f->machine, .disk = f->disk};
	struct each *each = ctx;
	int64_t at;
	int rc = time_of(f, WANT, &s.seen, e);

	s.wanted = rc > 0;
	if (rc >= 0)
		rc = time_of(f, REFUSED, &at, e);
	s.refused = rc > 0;
	if (rc >= 0 && !s.wanted && !s.refused)
		rc = time_of(f, MAP, &at, e);
	if (rc < 0 || (rc == 0 && !s.wanted))
		return rc < 0 ? rc : 0;
	rc = look(f, &s, e);
	return rc < 0 ? rc : each->fn(each->ctx, &s, e);
}

int cache_maps(struct cache *c, const char *machine, cache_map_fn *fn,
	       void *ctx, struct err *e)
{
	struct each each = {c, fn, ctx};

	return folder_each(c, machine, with_files, &each, e);
}
