#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/progress.h"
#include "base/units.h"
#include "cache/report.h"
#include "cache/spool.h"
#include "setup/drain.h"
#include "setup/place.h"

#define PAUSE_NS 250000000

/* ---- counting ---- */

struct counting {
	struct pending *ret;
	char last[NAME_SIZE]; /* machine; they come in order */
};

static const char *held_for(const struct cache_disk_view *v)
{
	unsigned i;

	if (v->held)
		return v->reason;
	for (i = 0; i < v->nfollowers; i++)
		if (v->followers[i].held)
			return v->followers[i].reason;
	return NULL;
}

static int count(void *ctx, const struct cache_disk_view *v, struct err *e)
{
	struct counting *c = ctx;
	const char *held = held_for(v);

	(void)e;
	if (v->segments == 0)
		return 0;
	c->ret->segments += v->segments;
	c->ret->bytes += v->bytes;
	c->ret->disks++;
	c->ret->machines += strcmp(c->last, v->machine) != 0;
	snprintf(c->last, sizeof(c->last), "%s", v->machine);
	if (held != NULL) {
		c->ret->held++;
		snprintf(c->ret->reason, sizeof(c->ret->reason),
			 "%.60s/%.40s: %.50s", v->machine, v->disk, held);
	}
	return 0;
}

int pending_count(const char *dir, struct pending *ret, bool *ret_is,
		  struct err *e)
{
	struct counting c = {.ret = ret};
	struct cache *cache;
	int rc;

	*ret = (struct pending){0};
	*ret_is =
	    dir != NULL && *dir != '\0' && cache_look(&cache, dir, NULL) == 0;
	if (!*ret_is)
		return 0;
	rc = cache_views(cache, count, &c, e);
	cache_close(cache);
	return rc;
}

/* ---- telling ---- */

struct telling {
	const char *dir;
	pending_fn *fn;
	void *ctx;
	char machine[NAME_SIZE]; /* "": none yet */
	uint64_t points, segments, bytes;
	unsigned disks;
};

static int tell_machine(struct telling *t, struct err *e)
{
	char size[32], line[NAME_SIZE + 160];
	int rc;

	if (t->segments == 0)
		return 0;
	format_size(t->bytes, size, sizeof(size));
	snprintf(line, sizeof(line),
		 "%s: %llu points, %llu segments of %u disks, %s", t->machine,
		 (unsigned long long)t->points, (unsigned long long)t->segments,
		 t->disks, size);
	rc = t->fn(t->ctx, line, e);
	t->points = t->segments = t->bytes = t->disks = 0;
	return rc;
}

/* How many of them end a pass. */
static uint64_t points_of(const char *dir, const char *machine,
			  const char *disk)
{
	char path[PLACE_SIZE];
	struct spool_list list;
	struct spool_info info;
	uint64_t n = 0;
	size_t i;
	int fd;

	snprintf(path, sizeof(path), "%s/%s/%s", dir, machine, disk);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return 0;
	if (spool_list(fd, 0, &list, NULL) == 0) {
		for (i = 0; i < list.n; i++)
			n += spool_peek(fd, list.seqs[i], machine, disk, &info,
					NULL) == 0 &&
			     info.last_part;
		spool_list_free(&list);
	}
	close(fd);
	return n;
}

static int tell_disk(void *ctx, const struct cache_disk_view *v, struct err *e)
{
	struct telling *t = ctx;
	uint64_t points;
	int rc = 0;

	if (v->segments == 0)
		return 0;
	if (strcmp(t->machine, v->machine) != 0)
		rc = tell_machine(t, e);
	snprintf(t->machine, sizeof(t->machine), "%s", v->machine);
	points = points_of(t->dir, v->machine, v->disk);
	if (points > t->points)
		t->points = points;
	t->segments += v->segments;
	t->bytes += v->bytes;
	t->disks++;
	return rc;
}

int pending_tell(const char *dir, pending_fn *fn, void *ctx, struct err *e)
{
	struct telling t = {.dir = dir, .fn = fn, .ctx = ctx};
	struct cache *cache;
	int rc = cache_look(&cache, dir, e);

	if (rc < 0)
		return rc;
	rc = cache_views(cache, tell_disk, &t, e);
	cache_close(cache);
	return rc < 0 ? rc : tell_machine(&t, e);
}

/* ---- waiting ---- */

static int still_there(const struct pending *n, const char *dir, uint64_t s,
		       struct err *e)
{
	char size[32];

	format_size(n->bytes, size, sizeof(size));
	if (n->held == n->disks)
		return err_set(e, PS_NO,
			       "%s: %llu segments of %u disks (%s) are on hold "
			       "and in no vault: %s",
			       dir, (unsigned long long)n->segments, n->disks,
			       size, n->reason);
	return err_set(e, PS_TEMPFAIL,
		       "%s: %llu segments of %u disks (%s) are in no vault "
		       "after %llu s",
		       dir, (unsigned long long)n->segments, n->disks, size,
		       (unsigned long long)s);
}

int pending_wait(const char *dir, uint64_t s, struct err *e)
{
	int64_t until = mono_now_ns() + (int64_t)s * NS_PER_S;
	struct timespec pause = {0, PAUSE_NS};
	uint64_t all = 0;
	struct pending n;
	bool is;
	int rc;

	for (;;) {
		rc = pending_count(dir, &n, &is, e);
		if (rc == 0 && all == 0 && n.bytes > 0) {
			all = n.bytes;
			progress_begin("the cache drains", all);
		}
		if (rc < 0 || n.segments == 0 || n.held == n.disks ||
		    mono_now_ns() >= until)
			break;
		progress_at(n.bytes < all ? all - n.bytes : 0);
		nanosleep(&pause, NULL);
	}
	if (all > 0)
		progress_end();
	return rc < 0 ? rc : n.segments == 0 ? 0 : still_there(&n, dir, s, e);
}
