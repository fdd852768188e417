#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/durable.h"
#include "base/io.h"
#include "base/units.h"
#include "cache/follow.h"
#include "cache/follower.h"
#include "cache/send.h"
#include "cache/watch.h"

/* How often to look without having been told: an event may be lost. */
#define LOOK_MS 5000
/* The same where folders cannot be watched. */
#define LOOK_UNWATCHED_MS 500

struct fdisk {
	char machine[NAME_SIZE], disk[NAME_SIZE];
	uint64_t epoch; /* of the head that `sent` belongs to */
	bool begun;	/* `sent` is set */
	struct mark sent;
	struct spool_list queue; /* what is behind it */
	size_t next;
	bool initial;	/* the next one belongs to initial replication */
	int64_t time;	/* of its arrival */
	bool changed;	/* the folder has to be read again */
	bool known_bad; /* it was said that the disk is left out */
	uint64_t bytes; /* that it has had, for fairness */
};

struct follow {
	struct cache *c;
	const struct cache_follow *opt;
	struct fdisk **disks; /* in order of names */
	size_t n, cap;
	struct watch watch;
	uint64_t turn; /* `bytes` of the disk that was sent last */
	bool look;     /* for new folders */
};

__attribute__((format(printf, 2, 3))) static void say(const struct follow *w,
						      const char *fmt, ...)
{
	char words[640];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	w->opt->say(w->opt->ctx, words);
}

/* ---- which disks there are ---- */

static int order(const struct fdisk *d, const char *machine, const char *disk)
{
	int c = strcmp(d->machine, machine);

	return c != 0 ? c : strcmp(d->disk, disk);
}

/* Where a disk is in the table, or where it belongs. */
static size_t place(const struct follow *w, const char *machine,
		    const char *disk, bool *found)
{
	size_t low = 0, high = w->n;

	*found = false;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = order(w->disks[mid], machine, disk);

		if (c == 0) {
			*found = true;
			return mid;
		}
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int insert(struct follow *w, size_t at, struct folder *f, struct err *e)
{
	struct fdisk *d = calloc(1, sizeof(*d));
	char *path = NULL;

	if (w->n == w->cap) {
		size_t cap = w->cap == 0 ? 16 : 2 * w->cap;
		struct fdisk **grown = realloc(w->disks, cap * sizeof(void *));

		if (grown != NULL) {
			w->disks = grown;
			w->cap = cap;
		}
	}
	if (d == NULL || w->n == w->cap ||
	    asprintf(&path, "%s/%s/%s", w->c->path, f->machine, f->disk) < 0) {
		free(d);
		return err_sys(e, PS_TEMPFAIL, "disks of the cache");
	}
	memcpy(d->machine, f->machine, sizeof(d->machine));
	memcpy(d->disk, f->disk, sizeof(d->disk));
	d->changed = true;
	memmove(w->disks + at + 1, w->disks + at, (w->n - at) * sizeof(void *));
	w->disks[at] = d;
	w->n++;
	watch_add(&w->watch, path, d);
	free(path);
	return 0;
}

static int look_disk(void *ctx, struct folder *f, struct err *e)
{
	struct follow *w = ctx;
	bool found;
	size_t at = place(w, f->machine, f->disk, &found);

	return found ? 0 : insert(w, at, f, e);
}

static int look_machine(void *ctx, const char *machine, struct err *e)
{
	struct follow *w = ctx;
	char *path;

	/* First the watch, then the look: nothing comes between them. */
	if (asprintf(&path, "%s/%s", w->c->path, machine) < 0)
		return err_sys(e, PS_TEMPFAIL, "disks of the cache");
	watch_add(&w->watch, path, NULL);
	free(path);
	return folder_each(w->c, machine, look_disk, w, e);
}

static int look_around(struct follow *w, struct err *e)
{
	w->look = false;
	return folder_machines(w->c, look_machine, w, e);
}

/* ---- what is behind the position ---- */

static void drop_queue(struct fdisk *d)
{
	spool_list_free(&d->queue);
	d->next = 0;
}

static void left_out(struct follow *w, struct fdisk *d, const char *why)
{
	if (!d->known_bad)
		say(w, "%s/%s: left out: %s", d->machine, d->disk, why);
	d->known_bad = true;
}

/* Where this follower begins in a head that was not seen before. */
static void adopt(struct follow *w, struct fdisk *d, const struct head *h)
{
	const struct mark *at = head_position(h, w->opt->follower);

	d->epoch = h->epoch;
	d->begun = at != NULL;
	if (at != NULL)
		d->sent = *at;
}

static int read_queue(struct follow *w, struct fdisk *d, struct folder *f,
		      struct err *e)
{
	struct head h = {0};
	const char *why;
	int rc = folder_lock(f, false, e), there;

	if (rc < 0)
		return rc;
	there = head_read(f->dirfd, &h, e);
	if (there < 0)
		return there;
	why = head_left_out(&h, w->opt->follower);
	if (why != NULL) {
		left_out(w, d, why);
		d->epoch = UINT64_MAX; /* take the position anew */
		return 0;
	}
	d->known_bad = false;
	if (h.epoch != d->epoch || !d->begun)
		adopt(w, d, &h);
	rc = spool_list(f->dirfd, d->begun ? d->sent.seq : 0, &d->queue, e);
	/*
	 * A file may have its name and its writer still wait for the folder's
	 * fsync. The vault must never know what a power loss takes from here.
	 */
	if (rc == 0 && d->queue.n > 0)
		rc = durable_sync(f->dirfd, "segments", e);
	return cache_note_failure(w->c, rc, e);
}

/*
 * The segment cannot be sent. Followers that have it already go on; else
 * nobody can.
 */
static int stop_at(const struct follow *w, struct head *h, uint64_t seq,
		   const char *reason, struct err *e)
{
	struct follower_list all = {0};
	int rc = follower_list(w->c, &all, e);
	const struct mark *at;
	unsigned i;

	for (i = 0; i < all.n && rc == 0; i++) {
		at = head_position(h, all.names[i]);
		if (at != NULL && at->seq >= seq)
			return follower_refuse(h, &all, w->opt->follower, seq,
					       reason, e);
	}
	if (rc == 0)
		head_hold(h, seq, reason);
	return rc;
}

/* Puts the disk on hold, unless it was seated since it was read. */
static int hold(struct follow *w, struct fdisk *d, struct folder *f,
		uint64_t seq, const char *reason, struct err *e)
{
	struct head h = {0};
	int rc = folder_lock(f, true, e);

	if (rc < 0)
		return rc;
	rc = head_read(f->dirfd, &h, e);
	if (rc >= 0 && head_left_out(&h, w->opt->follower) == NULL &&
	    h.epoch == d->epoch) {
		rc = stop_at(w, &h, seq, reason, e);
		if (rc == 0)
			rc = head_write(f->dirfd, &h, e);
		say(w, "%s/%s: on hold: %s", d->machine, d->disk, reason);
		d->known_bad = true;
	}
	folder_unlock(f);
	drop_queue(d);
	d->changed = true;
	return rc < 0 ? cache_note_failure(w->c, rc, e) : 0;
}

/* Looks at the next segment, to know its turn. */
static int peek_next(struct follow *w, struct fdisk *d, struct folder *f,
		     struct err *e)
{
	struct spool_info info;
	struct err why = {0};
	uint64_t seq;
	int rc;

	if (d->next == d->queue.n)
		return 0;
	seq = d->queue.seqs[d->next];
	rc = spool_peek(f->dirfd, seq, d->machine, d->disk, &info, &why);
	if (rc == -PS_NOINPUT) { /* removed meanwhile */
		drop_queue(d);
		d->changed = true;
		return 0;
	}
	if (rc == -PS_TEMPFAIL) {
		*e = why;
		return rc;
	}
	if (rc < 0)
		return hold(w, d, f, seq, why.msg, e);
	d->initial = info.header.initial;
	d->time = info.time;
	return 0;
}

static int refresh(struct follow *w, struct fdisk *d, struct err *e)
{
	bool idle = d->next == d->queue.n;
	struct folder f;
	int rc = folder_open(&f, w->c, d->machine, d->disk, false, e);

	d->changed = false;
	drop_queue(d);
	if (rc <= 0)
		return rc;
	rc = read_queue(w, d, &f, e);
	folder_unlock(&f);
	if (rc == 0)
		rc = peek_next(w, d, &f, e);
	folder_close(&f);
	/* One that was idle has saved nothing up. */
	if (idle && d->bytes < w->turn)
		d->bytes = w->turn;
	return rc;
}

/* ---- sending ---- */

static bool before(const struct fdisk *a, const struct fdisk *b)
{
	if (a->initial != b->initial)
		return b->initial;
	if (a->bytes != b->bytes)
		return a->bytes < b->bytes;
	return a->time < b->time;
}

/* The disk whose turn it is; *ret NULL when there is nothing to send. */
static int choose(struct follow *w, struct fdisk **ret, struct err *e)
{
	struct fdisk *best = NULL;
	size_t i;
	int rc = 0;

	for (i = 0; i < w->n; i++) {
		struct fdisk *d = w->disks[i];

		if (d->changed && d->next == d->queue.n)
			rc = refresh(w, d, e);
		if (rc < 0)
			return rc;
		if (d->next < d->queue.n && (best == NULL || before(d, best)))
			best = d;
	}
	*ret = best;
	return 0;
}

static bool continues(const struct fdisk *d, const struct spool_info *info)
{
	return !d->begun ||
	       (info->header.first_seq == d->sent.seq + 1 &&
		memcmp(info->header.prev, d->sent.digest, SHA256_LEN) == 0);
}

static int send_next(struct follow *w, struct fdisk *d, struct folder *f,
		     struct err *e)
{
	uint64_t seq = d->queue.seqs[d->next];
	struct spool_info info;
	struct err why = {0};
	int fd, rc = send_open(f, seq, &fd, &info, &why);

	if (rc == -PS_NOINPUT) {
		drop_queue(d);
		d->changed = true;
		return 0;
	}
	if (rc < 0 && rc != -PS_TEMPFAIL)
		return hold(w, d, f, seq, why.msg, e);
	if (rc < 0) {
		*e = why;
		return rc;
	}
	if (!continues(d, &info)) {
		close(fd);
		snprintf(why.msg, sizeof(why.msg),
			 "segment %llu does not continue %llu",
			 (unsigned long long)seq,
			 (unsigned long long)d->sent.seq);
		return hold(w, d, f, seq, why.msg, e);
	}
	rc = send_file(w->opt->out, fd, info.bytes, e);
	close(fd);
	if (rc < 0)
		return rc;
	d->sent = info.at;
	d->begun = true;
	d->next++;
	w->turn = d->bytes;
	d->bytes += info.bytes;
	return peek_next(w, d, f, e);
}

/* Is the disk still as it was when its queue was read? */
static int send_from(struct follow *w, struct fdisk *d, struct err *e)
{
	struct head h = {0};
	struct folder f;
	int rc = folder_open(&f, w->c, d->machine, d->disk, false, e);

	if (rc == 0) {
		drop_queue(d);
		return 0;
	}
	if (rc < 0)
		return rc;
	rc = head_read(f.dirfd, &h, e);
	if (rc >= 0 && (head_left_out(&h, w->opt->follower) != NULL ||
			h.epoch != d->epoch)) {
		drop_queue(d);
		d->changed = true;
		rc = 0;
	} else if (rc >= 0) {
		rc = send_next(w, d, &f, e);
	}
	folder_close(&f);
	return rc;
}

/* ---- waiting ---- */

static void note_change(void *ctx, void *owner)
{
	struct follow *w = ctx;
	struct fdisk *d = owner;
	size_t i;

	if (d != NULL) {
		d->changed = true;
		return;
	}
	w->look = true;
	for (i = 0; i < w->n; i++)
		w->disks[i]->changed = true;
}

/* 1 when it is time to stop, 0 when there may be something to do. */
static int wait_for_more(struct follow *w, int timeout_ms, struct err *e)
{
	struct pollfd p[3] = {
	    {.fd = w->opt->stop, .events = POLLIN},
	    {.fd = w->watch.fd, .events = POLLIN},
	    {.fd = w->opt->out}, /* its reader going away */
	};
	int n = poll(p, 3, timeout_ms);

	if (n < 0 && errno != EINTR)
		return err_sys(e, 0, "poll");
	if (n <= 0) {
		if (n == 0 && timeout_ms > 0)
			note_change(w, NULL);
		return 0;
	}
	if (p[0].revents != 0)
		return 1;
	if (p[1].revents != 0)
		watch_read(&w->watch, note_change, w);
	if ((p[2].revents & (POLLERR | POLLHUP)) != 0) {
		errno = EPIPE;
		return err_sys(e, 0, "standard output");
	}
	return 0;
}

static int loop(struct follow *w, struct err *e)
{
	struct fdisk *d = NULL;
	int rc = 0;

	for (;;) {
		if (w->look)
			rc = look_around(w, e);
		if (rc == 0)
			rc = cache_check_failed(w->c, e);
		if (rc == 0)
			rc = choose(w, &d, e);
		if (rc == 0 && d != NULL)
			rc = send_from(w, d, e);
		if (rc < 0)
			return rc;
		if (d == NULL && w->opt->once)
			return 0;
		rc = wait_for_more(w,
				   d != NULL	      ? 0
				   : w->watch.lacking ? LOOK_UNWATCHED_MS
						      : LOOK_MS,
				   e);
		if (rc != 0)
			return rc > 0 ? 0 : rc;
	}
}

int cache_follow(struct cache *c, const struct cache_follow *opt, struct err *e)
{
	struct follow w = {.c = c, .opt = opt, .look = true};
	int claim = follower_claim(c, opt->follower, e), rc;
	size_t i;

	if (claim < 0)
		return claim;
	io_grow_pipe(opt->out);
	watch_open(&w.watch);
	watch_add(&w.watch, c->path, NULL);
	rc = loop(&w, e);
	watch_close(&w.watch);
	for (i = 0; i < w.n; i++) {
		drop_queue(w.disks[i]);
		free(w.disks[i]);
	}
	free(w.disks);
	close(claim);
	return rc;
}
