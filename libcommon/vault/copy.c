#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/pool.h"
#include "base/progress.h"
#include "vault/copy.h"
#include "vault/read-ahead.h"
#include "vault/upload.h"

/* Disks that are looked at before their turn; each has a list of objects. */
#define LOOKS_FAR 8u
#define LOOKS_NEAR 1u

/* One disk on its way: a thread reads objects into a pipe, upload takes them.
 */
struct trip {
	struct vault *from;
	const char *machine, *disk;
	const struct vault_cover *covers; /* those to copy, ascending */
	size_t n;
	int pipe_in, pipe_out; /* the reader's end, the thread's end */
	struct err why;	       /* the thread's failure: code != 0 */
	uint64_t acked;	       /* objects stored */
	uint64_t last;	       /* sequence of the last of them */
	struct ack refused;    /* level ACK_REFUSED: the first one */
};

struct look;

struct run {
	struct vault *from, *to;
	const struct copy *how;
	struct copy_totals totals;
	struct rate rate;
	uint64_t all; /* bytes to copy, for the progress line */
	struct pool *looks;
	/* How a disk is looked at, and what is done with it then. */
	void (*look)(struct run *r, struct look *k);
	int (*next)(struct run *r, struct look *k, struct err *e);
};

/* What both vaults have of a disk. */
struct look {
	struct copy_disk d;
	char machine[NAME_SIZE], disk[NAME_SIZE];
	struct vault_covers all; /* of the source */
	size_t first;		 /* of those to copy; all.n: none */
	uint64_t bytes;		 /* of them */
	int rc;
	struct err why;
};

/* ---- the thread: objects into the pipe ---- */

/* 0; 1 when nobody reads the pipe any more (why: upload knows); -CODE. */
static int send_object(struct trip *t, struct read_ahead *a, size_t i,
		       struct err *e)
{
	const uint8_t *bytes;
	ssize_t n;

	while ((n = read_ahead_take(a, i, SIZE_MAX, &bytes, e)) > 0)
		if (io_write_full(t->pipe_out, bytes, (size_t)n) < 0)
			return errno == EPIPE
				   ? 1
				   : err_sys(e, PS_IOERR, "pipe of a copy");
	return (int)n;
}

static void *send_all(void *ctx)
{
	struct trip *t = ctx;
	struct read_ahead *a = NULL;
	size_t i;
	int rc = read_ahead_open(&a, t->from, t->machine, t->disk, t->covers,
				 t->n, &t->why);

	for (i = 0; rc == 0 && i < t->n; i++)
		rc = send_object(t, a, i, &t->why);
	/* Before we wait for what is not wanted any more. */
	close(t->pipe_out);
	read_ahead_close(a);
	return NULL;
}

/* ---- one disk ---- */

static int take_ack(void *ctx, const struct ack *a, struct err *e)
{
	struct trip *t = ctx;

	if (a->level == ACK_REFUSED) {
		t->refused = *a;
		/* What follows would be refused, too: read it no further. */
		return err_set(e, PS_NO, "%s", a->reason);
	}
	t->acked++;
	t->last = a->seq;
	return 0;
}

static int open_pipe(struct trip *t, struct err *e)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, 0, "pipe");
	t->pipe_in = ends[0];
	t->pipe_out = ends[1];
	return 0;
}

static int travel(struct run *r, struct trip *t, struct upload_totals *done,
		  struct err *e)
{
	struct upload u = {.rate = &r->rate,
			   .ack = take_ack,
			   .ctx = t,
			   .before = r->totals.bytes};
	pthread_t thread;
	int rc = open_pipe(t, e);

	if (rc < 0)
		return rc;
	errno = pthread_create(&thread, NULL, send_all, t);
	if (errno != 0) {
		rc = err_sys(e, PS_TEMPFAIL, "thread of a copy");
		close(t->pipe_out);
		close(t->pipe_in);
		return rc;
	}
	rc = upload_run(r->to, t->pipe_in, t->disk, &u, done, e);
	close(t->pipe_in);
	pthread_join(thread, NULL);
	return rc;
}

static void end_with(struct copy_disk *d, enum copy_end end, const char *why)
{
	d->end = end;
	snprintf(d->reason, sizeof(d->reason), "%s", why);
}

/* What became of it: 0 when it is this disk's own matter, else -CODE. */
static int judge(const struct trip *t, int rc, struct copy_disk *d,
		 struct err *e)
{
	if (t->refused.level == ACK_REFUSED) {
		end_with(d, COPY_REFUSED, t->refused.reason);
		return 0;
	}
	if (t->why.code != 0) {
		/* The stream was cut by us: what we know is the cause. */
		*e = t->why;
		return -t->why.code;
	}
	if (rc == -PS_DATA || rc == -PS_PROTOCOL) {
		end_with(d, COPY_DAMAGED, e->msg);
		return 0;
	}
	return rc;
}

static int copy_objects(struct run *r, const struct look *k,
			struct copy_disk *d, struct err *e)
{
	struct trip t = {.from = r->from,
			 .machine = d->machine,
			 .disk = d->disk,
			 .covers = k->all.items + k->first,
			 .n = k->all.n - k->first};
	struct upload_totals done = {0};
	struct err why = {0};
	int rc = judge(&t, travel(r, &t, &done, &why), d, &why);

	d->objects = t.acked;
	d->bytes = done.bytes;
	if (t.acked > 0)
		d->to = t.last;
	if (rc < 0 && e != NULL)
		*e = why;
	return rc;
}

/* ---- looking: by the threads of `looks` ---- */

/* Do both have the same under the number where the other one ends? */
static int check_join(struct run *r, const struct copy_disk *d,
		      const struct vault_cover *c, const uint8_t *head,
		      bool *ret_same, struct err *e)
{
	struct vault_object *o;
	uint8_t digest[SHA256_LEN];
	int rc =
	    vault_object_open(r->from, d->machine, d->disk, c, NULL, &o, e);

	if (rc < 0)
		return rc;
	rc = vault_digest_of(&o->seg.header, &o->seg.trailer, d->from, digest);
	vault_object_close(o);
	*ret_same = rc == 0 && memcmp(digest, head, SHA256_LEN) == 0;
	return 0;
}

/*
 * The objects behind the other vault's end. Sets d.end when the histories do
 * not fit.
 */
static int find_first(struct run *r, struct look *k, const uint8_t *head)
{
	struct copy_disk *d = &k->d;
	struct vault_cover *items = k->all.items;
	struct err *e = &k->why;
	bool same = true;
	size_t i = 0;
	int rc = 0;

	while (i < k->all.n && items[i].seq <= d->from)
		i++;
	k->first = i;
	for (; i < k->all.n; i++)
		k->bytes += items[i].size;
	i = k->first;
	if (i > 0 && items[i - 1].seq == d->from)
		rc = check_join(r, d, &items[i - 1], head, &same, e);
	if (rc == -PS_DATA || rc == -PS_PROTOCOL) {
		end_with(d, COPY_DAMAGED, e->msg);
		return 0;
	}
	if (rc == 0 && !same)
		end_with(d, COPY_REFUSED,
			 "fork: the vaults have different histories of it");
	return rc;
}

/* What there is to copy, from names alone: for the progress line. */
static void look_at_names(struct run *r, struct look *k)
{
	struct vault_covers there;
	uint64_t last;
	size_t i;

	k->rc = vault_covers(r->to, k->machine, k->disk, &there, &k->why);
	if (k->rc < 0)
		return;
	last = there.n > 0 ? there.items[there.n - 1].seq : 0;
	vault_covers_free(&there);
	k->rc = vault_covers(r->from, k->machine, k->disk, &k->all, &k->why);
	for (i = 0; k->rc == 0 && i < k->all.n; i++)
		if (k->all.items[i].seq > last)
			k->bytes += k->all.items[i].size;
}

static void look_at_ends(struct run *r, struct look *k)
{
	uint8_t head[SHA256_LEN];

	k->rc =
	    vault_head(r->to, k->machine, k->disk, &k->d.from, head, &k->why);
	if (k->rc == -PS_DATA || k->rc == -PS_PROTOCOL) {
		err_prefix(&k->why, "the vault that is copied to");
		return;
	}
	if (k->rc == 0)
		k->rc = vault_covers(r->from, k->machine, k->disk, &k->all,
				     &k->why);
	k->d.to = k->d.from;
	if (k->rc == 0)
		k->rc = find_first(r, k, head);
}

static void look(void *slot, void *ctx)
{
	struct run *r = ctx;

	r->look(r, slot);
}

/* ---- disk after disk ---- */

static int measure(struct run *r, struct look *k, struct err *e)
{
	(void)e;
	r->all += k->bytes;
	return 0;
}

static int copy_disk(struct run *r, struct look *k, struct err *e)
{
	struct copy_disk *d = &k->d;
	int rc = 0;

	if (d->end == COPY_DONE && k->first < k->all.n) {
		if (r->how->dry_run) {
			d->objects = k->all.n - k->first;
			d->bytes = k->bytes;
			d->to = k->all.items[k->all.n - 1].seq;
		} else {
			rc = copy_objects(r, k, d, e);
		}
	}
	r->totals.disks++;
	r->totals.objects += d->objects;
	r->totals.bytes += d->bytes;
	r->totals.refused += d->end == COPY_REFUSED;
	r->totals.damaged += d->end == COPY_DAMAGED;
	return rc < 0 ? rc : r->how->report(r->how->ctx, d, e);
}

/* The oldest of those that were looked at. */
static int take_look(struct run *r, struct look *k, struct err *e)
{
	int rc = k->rc;

	if (rc < 0 && e != NULL)
		*e = k->why;
	if (rc == 0)
		rc = r->next(r, k, e);
	vault_covers_free(&k->all);
	pool_release(r->looks);
	return rc;
}

static int ask(void *ctx, const char *machine, const char *disk, struct err *e)
{
	struct run *r = ctx;
	struct look *k;

	if (r->how->disk != NULL && strcmp(disk, r->how->disk) != 0)
		return 0;
	while ((k = pool_slot(r->looks)) == NULL) {
		int rc = take_look(r, pool_take(r->looks), e);

		if (rc < 0)
			return rc;
	}
	*k = (struct look){.d = {.machine = k->machine, .disk = k->disk}};
	snprintf(k->machine, sizeof(k->machine), "%s", machine);
	snprintf(k->disk, sizeof(k->disk), "%s", disk);
	pool_submit(r->looks);
	return 0;
}

static int each_disk(struct run *r, struct err *e)
{
	struct look *k;
	int rc = vault_disks(r->from, r->how->machine, ask, r, e);

	while ((k = pool_take(r->looks)) != NULL) {
		if (rc == 0) {
			rc = take_look(r, k, e);
			continue;
		}
		vault_covers_free(&k->all);
		pool_release(r->looks);
	}
	return rc;
}

int copy_run(struct vault *from, struct vault *to, const struct copy *how,
	     struct copy_totals *ret, struct err *e)
{
	struct run r = {.from = from,
			.to = to,
			.how = how,
			.rate = {.per_second = how->rate},
			.look = look_at_names,
			.next = measure};
	bool far = from->store->ops->far || to->store->ops->far;
	unsigned looks = far ? LOOKS_FAR : LOOKS_NEAR;
	int rc =
	    pool_new(&r.looks, looks, looks, sizeof(struct look), look, &r, e);

	if (rc == 0)
		rc = each_disk(&r, e);
	if (rc == 0) {
		r.look = look_at_ends;
		r.next = copy_disk;
		progress_begin("copied", r.all);
		rc = each_disk(&r, e);
		progress_end();
	}
	pool_free(r.looks);
	*ret = r.totals;
	return rc;
}
