#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/durable.h"
#include "base/io.h"
#include "base/units.h"
#include "cache/counters.h"
#include "cache/folder.h"

#define ABOUT_FILE "cache.json"
#define FAILED_FILE "failed"
#define ABOUT_MAX 4096
#define ABOUT_VERSION 1

/* Names at the top that no machine can have. */
bool cache_machine_ok(const char *machine)
{
	return name_ok(machine) && strcmp(machine, ABOUT_FILE) != 0 &&
	       strcmp(machine, FAILED_FILE) != 0 &&
	       strcmp(machine, FOLLOWERS_DIR) != 0;
}

/* ---- cache.json ---- */

static int write_about(int dirfd, const struct cache_limits *l,
		       enum durable_mode how, struct err *e)
{
	char text[ABOUT_MAX], after[64] = "";
	int n;

	/* Not there when all have to: an older version reads that too. */
	if (l->stored_after != 0)
		snprintf(after, sizeof(after), ",\n  \"stored_after\": %u",
			 l->stored_after);
	n = snprintf(text, sizeof(text),
		     "{\n"
		     "  \"format\": \"ps-cache\",\n"
		     "  \"version\": %d,\n"
		     "  \"keep_free_percent\": %u,\n"
		     "  \"keep_free_initial_percent\": %u,\n"
		     "  \"disk_bytes_max\": %llu%s\n"
		     "}\n",
		     ABOUT_VERSION, l->keep_free, l->keep_free_initial,
		     (unsigned long long)l->disk_bytes, after);

	return durable_write(dirfd, ABOUT_FILE, text, (size_t)n, 0600, how, e);
}

static int check_limits(const struct cache_limits *l, int code, struct err *e)
{
	if (l->keep_free <= 100 && l->keep_free_initial <= 100)
		return 0;
	return err_set(e, code, "free space to keep: more than 100 %%");
}

static int parse_about(const char *text, size_t n, struct cache_limits *ret,
		       struct err *e)
{
	json_error_t why;
	json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
	const char *format;
	json_int_t version, all, initial, disk, after = 0;
	int rc;

	if (root == NULL)
		return err_set(e, PS_CONFIG, ABOUT_FILE ": line %d: %s",
			       why.line, why.text);
	rc = json_unpack_ex(root, &why, JSON_STRICT,
			    "{s:s, s:I, s:I, s:I, s:I, s?I}", "format", &format,
			    "version", &version, "keep_free_percent", &all,
			    "keep_free_initial_percent", &initial,
			    "disk_bytes_max", &disk, "stored_after", &after);
	if (rc < 0)
		rc = err_set(e, PS_CONFIG, ABOUT_FILE ": %s", why.text);
	else if (strcmp(format, "ps-cache") != 0 || version != ABOUT_VERSION)
		rc = err_set(e, PS_CONFIG,
			     ABOUT_FILE ": not a cache of version %d",
			     ABOUT_VERSION);
	else if (all < 0 || all > 100 || initial < 0 || initial > 100 ||
		 disk < 0 || after < 0 || after > HEAD_FOLLOWERS_MAX)
		rc = err_set(e, PS_CONFIG, ABOUT_FILE ": value out of range");
	else
		*ret = (struct cache_limits){(unsigned)all, (unsigned)initial,
					     (uint64_t)disk, (unsigned)after};
	json_decref(root);
	return rc;
}

/* 1, 0 when there is no such file, -CODE. */
static int read_about(int dirfd, struct cache_limits *ret, struct err *e)
{
	int fd = openat(dirfd, ABOUT_FILE, O_RDONLY | O_CLOEXEC), rc;
	char text[ABOUT_MAX];
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, 0, ABOUT_FILE);
	n = io_read_full(fd, text, sizeof(text));
	if (n < 0)
		rc = err_sys(e, 0, ABOUT_FILE);
	else
		rc = parse_about(text, (size_t)n, ret, e);
	close(fd);
	return rc < 0 ? rc : 1;
}

static int open_dir(const char *dir, struct err *e)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 ? fd : err_sys(e, 0, "cache %s", dir);
}

/* Syncs the folder that holds `dir`, so that `dir` itself stays. */
static int sync_parent(int dirfd, struct err *e)
{
	int fd = openat(dirfd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd < 0)
		return err_sys(e, 0, "folder of the cache");
	rc = durable_sync(fd, "folder of the cache", e);
	close(fd);
	return rc;
}

static int init_in(int dirfd, const struct cache_limits *limits, struct err *e)
{
	struct cache_limits l;
	int rc = read_about(dirfd, &l, e);

	if (rc < 0)
		return rc;
	if (mkdirat(dirfd, FOLLOWERS_DIR, 0700) < 0 && errno != EEXIST)
		return err_sys(e, 0, FOLLOWERS_DIR);
	if (rc == 1)
		return limits == NULL
			   ? 0
			   : write_about(dirfd, limits, DURABLE_REPLACE, e);
	l = limits != NULL
		? *limits
		: (struct cache_limits){CACHE_KEEP_FREE,
					CACHE_KEEP_FREE_INITIAL, 0, 0};
	rc = sync_parent(dirfd, e);
	if (rc == 0)
		rc = write_about(dirfd, &l, DURABLE_CREATE, e);
	return rc == -PS_NO ? 0 : rc; /* another init was faster */
}

int cache_init(const char *dir, const struct cache_limits *limits,
	       struct err *e)
{
	int fd, rc = 0;

	if (limits != NULL)
		rc = check_limits(limits, PS_USAGE, e);
	if (rc < 0)
		return rc;
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_sys(e, 0, "cache %s", dir);
	fd = open_dir(dir, e);
	if (fd < 0)
		return fd;
	rc = init_in(fd, limits, e);
	if (rc < 0)
		err_prefix(e, "cache %s", dir);
	close(fd);
	return rc;
}

int cache_limits(const char *dir, struct cache_limits *ret, struct err *e)
{
	int fd = open_dir(dir, e), rc;

	if (fd < 0)
		return fd;
	rc = read_about(fd, ret, e);
	close(fd);
	if (rc == 0)
		rc = err_set(e, PS_CONFIG, ABOUT_FILE " is missing");
	if (rc < 0)
		err_prefix(e, "cache %s", dir);
	return rc < 0 ? rc : 0;
}

/* ---- open and close ---- */

static bool marked_failed(int dirfd)
{
	return faccessat(dirfd, FAILED_FILE, F_OK, 0) == 0;
}

int cache_open_any(struct cache **ret, const char *dir, bool look,
		   struct err *e)
{
	struct cache *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return err_sys(e, 0, "cache %s", dir);
	c->path = strdup(dir);
	c->dirfd = open_dir(dir, e);
	rc = c->dirfd < 0 ? c->dirfd : read_about(c->dirfd, &c->limits, e);
	if (rc == 0) {
		rc = err_set(e, PS_CONFIG, "cache %s: not a cache", dir);
		err_hint(e, "ps-cache init -C %s makes one", dir);
	} else if (rc < 0 && c->dirfd >= 0) {
		err_prefix(e, "cache %s", dir);
	}
	if (rc > 0 && c->path == NULL)
		rc = err_sys(e, PS_TEMPFAIL, "cache %s", dir);
	if (rc < 0) {
		cache_close(c);
		return rc;
	}
	c->failed = marked_failed(c->dirfd);
	c->opened_ns = mono_now_ns();
	(void)lease_boot_id();
	counters_open(c, look);
	*ret = c;
	return 0;
}

static int refuse_failed(const struct cache *c, struct err *e)
{
	int rc = err_set(e, PS_STORAGE,
			 "cache %s: marked failed: its storage did not "
			 "confirm a write",
			 c->path);

	err_hint(e,
		 "look at the disk and at %s/" FAILED_FILE ", run "
		 "ps-cache verify, then remove that file",
		 c->path);
	return rc;
}

int cache_open(struct cache **ret, const char *dir, struct err *e)
{
	struct cache *c;
	int rc = cache_open_any(&c, dir, false, e);

	if (rc == 0 && c->failed) {
		rc = refuse_failed(c, e);
		cache_close(c);
	}
	if (rc == 0)
		*ret = c;
	return rc;
}

void cache_close(struct cache *c)
{
	if (c == NULL)
		return;
	while (c->leases != NULL)
		cache_release(c->leases);
	counters_close(c);
	if (c->dirfd >= 0)
		close(c->dirfd);
	free(c->path);
	free(c);
}

/* ---- failure ---- */

int cache_check_failed(struct cache *c, struct err *e)
{
	if (!c->failed)
		c->failed = marked_failed(c->dirfd);
	return c->failed ? refuse_failed(c, e) : 0;
}

/*
 * Not by durable_write: that would take the mark away again when the very
 * fault it tells of hits it too.
 */
void cache_mark_failed(struct cache *c, const char *words)
{
	char text[600], now[TIME_TEXT];
	int fd, n;

	c->failed = true;
	fd = openat(c->dirfd, FAILED_FILE,
		    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	format_time(time_now_ns(), now);
	n = snprintf(text, sizeof(text), "%s %.512s\n", now, words);
	if (io_write_full(fd, text, (size_t)n) == 0)
		(void)fsync(fd);
	close(fd);
	(void)fsync(c->dirfd);
}

int cache_note_failure(struct cache *c, int rc, struct err *e)
{
	const char *words = e != NULL ? e->msg : "stable storage failed";

	if (rc != -PS_STORAGE || c->failed)
		return rc;
	if (c->help.failed == NULL) {
		cache_mark_failed(c, words);
		return rc;
	}
	c->failed = true;
	c->help.failed(c->help.ctx, words);
	return rc;
}

void cache_help(struct cache *c, const struct cache_help *help)
{
	c->help = *help;
}

/* ---- room ---- */

static unsigned percent(uint64_t part, uint64_t all)
{
	return all == 0 ? 100 : (unsigned)((double)part * 100 / (double)all);
}

int cache_free_percent(struct cache *c, unsigned *ret, struct err *e)
{
	struct statvfs v;
	unsigned inodes;

	if (fstatvfs(c->dirfd, &v) < 0)
		return err_sys(e, 0, "cache %s", c->path);
	/* As df counts: what is kept back for root is not there for us. */
	*ret = percent(v.f_bavail, v.f_blocks - v.f_bfree + v.f_bavail);
	inodes = percent(v.f_favail, v.f_files - v.f_ffree + v.f_favail);
	/* Very small segments use these up first. */
	if (v.f_files > 0 && inodes < *ret)
		*ret = inodes;
	return 0;
}

uint64_t cache_missing(struct cache *c, unsigned keep)
{
	struct statvfs v;
	double all, want;

	if (fstatvfs(c->dirfd, &v) < 0)
		return 0;
	all = (double)(v.f_blocks - v.f_bfree + v.f_bavail);
	want = all * keep / 100 - (double)v.f_bavail;
	return want > 0 ? (uint64_t)(want * (double)v.f_frsize) : 0;
}

uint64_t cache_room(struct cache *c, unsigned keep)
{
	struct statvfs v;

	if (keep > 100 || fstatvfs(c->dirfd, &v) < 0)
		return UINT64_MAX;
	return (uint64_t)((double)(v.f_blocks - v.f_bfree + v.f_bavail) *
			  (double)v.f_frsize * (100 - keep) / 100);
}

uint64_t cache_excess(const struct cache *c)
{
	return c->excess;
}

uint64_t cache_drained(const struct cache *c)
{
	return counter_get(c, COUNTER_STORED_BYTES);
}

/* ---- heads ---- */

static int head_of(struct folder *f, struct cache_head *ret, struct err *e)
{
	struct cache_head h = {0};
	struct folder_state s;
	int rc = folder_lock(f, false, e);

	if (rc < 0)
		return rc;
	rc = folder_state(f, &s, e);
	folder_unlock(f);
	if (rc < 0)
		return rc;
	/* What is called accepted must not vanish with the power. */
	if (s.last.seq > s.head.accepted.seq)
		rc = durable_sync(f->dirfd, "segments", e);
	if (rc < 0) {
		folder_state_free(&s);
		return cache_note_failure(f->c, rc, e);
	}
	h.seated = s.seated;
	h.held = s.head.held;
	memcpy(h.reason, s.head.reason, sizeof(h.reason));
	h.seq = s.last.seq;
	memcpy(h.digest, s.last.digest, SHA256_LEN);
	h.stored_seq = s.head.stored.seq;
	memcpy(h.stored_digest, s.head.stored.digest, SHA256_LEN);
	h.initial = s.initial;
	h.refused_by = s.head.nrefusals;
	folder_state_free(&s);
	*ret = h;
	return 0;
}

int cache_head(struct cache *c, const char *machine, const char *disk,
	       struct cache_head *ret, struct err *e)
{
	struct folder f;
	int rc = folder_open(&f, c, machine, disk, false, e);

	if (rc == 0)
		*ret = (struct cache_head){.initial = true};
	if (rc <= 0)
		return rc;
	rc = head_of(&f, ret, e);
	folder_close(&f);
	return rc;
}

int cache_want(struct cache *c, const char *machine, const char *disk,
	       struct err *e)
{
	struct folder f;
	int rc = folder_open(&f, c, machine, disk, true, e);

	if (rc > 0)
		folder_close(&f);
	return rc < 0 ? rc : 0;
}

struct each_head {
	cache_disk_fn *fn;
	void *ctx;
};

static int with_head(void *ctx, struct folder *f, struct err *e)
{
	struct each_head *each = ctx;
	struct cache_head h;
	int rc = head_of(f, &h, e);

	return rc < 0 ? rc : each->fn(each->ctx, f->machine, f->disk, &h, e);
}

int cache_disks(struct cache *c, const char *machine, cache_disk_fn *fn,
		void *ctx, struct err *e)
{
	struct each_head each = {fn, ctx};

	return folder_each(c, machine, with_head, &each, e);
}
