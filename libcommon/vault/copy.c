#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/progress.h"
#include "vault/copy.h"
#include "vault/upload.h"

#define PIECE (1024 * 1024u)

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

struct run {
	struct vault *from, *to;
	const struct copy *how;
	struct copy_totals totals;
	uint64_t all; /* bytes to copy, for the progress line */
};

/* ---- the thread: objects into the pipe ---- */

/* 0; 1 when nobody reads the pipe any more (why: upload knows); -CODE. */
static int send_object(struct trip *t, const struct vault_cover *c,
		       uint8_t *buf, struct err *e)
{
	char name[VAULT_NAME_SIZE];
	uint64_t pos;
	int rc;

	vault_name(t->machine, t->disk, c, name);
	for (pos = 0; pos < c->size; pos += PIECE) {
		uint64_t left = c->size - pos;
		size_t n = left < PIECE ? (size_t)left : PIECE;

		rc = t->from->store->ops->read(t->from->store, name, pos, buf,
					       n, e);
		if (rc < 0)
			return rc;
		if (io_write_full(t->pipe_out, buf, n) < 0)
			return errno == EPIPE
				   ? 1
				   : err_sys(e, PS_IOERR, "pipe of a copy");
	}
	return 0;
}

static void *send_all(void *ctx)
{
	struct trip *t = ctx;
	uint8_t *buf = malloc(PIECE);
	size_t i;
	int rc = 0;

	if (buf == NULL)
		rc = err_sys(&t->why, PS_TEMPFAIL, "copy");
	for (i = 0; rc == 0 && i < t->n; i++)
		rc = send_object(t, &t->covers[i], buf, &t->why);
	free(buf);
	close(t->pipe_out);
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
	struct rate rate = {.per_second = r->how->rate};
	struct upload u = {.rate = &rate,
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

static int copy_objects(struct run *r, struct copy_disk *d,
			const struct vault_cover *covers, size_t n,
			struct err *e)
{
	struct trip t = {.from = r->from,
			 .machine = d->machine,
			 .disk = d->disk,
			 .covers = covers,
			 .n = n};
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
 * The objects behind the other vault's end: *ret_first is the first of them,
 * all->n when there is none. Sets d->end when the histories do not fit.
 */
static int find_first(struct run *r, struct copy_disk *d,
		      const struct vault_covers *all, const uint8_t *head,
		      size_t *ret_first, struct err *e)
{
	bool same = true;
	size_t i = 0;
	int rc = 0;

	while (i < all->n && all->items[i].seq <= d->from)
		i++;
	*ret_first = i;
	if (i > 0 && all->items[i - 1].seq == d->from)
		rc = check_join(r, d, &all->items[i - 1], head, &same, e);
	if (rc == -PS_DATA || rc == -PS_PROTOCOL) {
		end_with(d, COPY_DAMAGED, e != NULL ? e->msg : "damaged");
		return 0;
	}
	if (rc == 0 && !same)
		end_with(d, COPY_REFUSED,
			 "fork: the vaults have different histories of it");
	return rc;
}

static int copy_known(struct run *r, struct copy_disk *d,
		      const struct vault_covers *all, const uint8_t *head,
		      struct err *e)
{
	size_t first = 0, i;
	int rc = find_first(r, d, all, head, &first, e);

	if (rc < 0 || d->end != COPY_DONE || first == all->n)
		return rc;
	if (!r->how->dry_run)
		return copy_objects(r, d, all->items + first, all->n - first,
				    e);
	for (i = first; i < all->n; i++) {
		d->objects++;
		d->bytes += all->items[i].size;
		d->to = all->items[i].seq;
	}
	return 0;
}

static int copy_disk(void *ctx, const char *machine, const char *disk,
		     struct err *e)
{
	struct run *r = ctx;
	struct copy_disk d = {.machine = machine, .disk = disk};
	struct vault_covers all;
	uint8_t head[SHA256_LEN];
	int rc;

	if (r->how->disk != NULL && strcmp(disk, r->how->disk) != 0)
		return 0;
	rc = vault_head(r->to, machine, disk, &d.from, head, e);
	if (rc == -PS_DATA || rc == -PS_PROTOCOL) {
		err_prefix(e, "the vault that is copied to");
		return rc;
	}
	if (rc == 0)
		rc = vault_covers(r->from, machine, disk, &all, e);
	if (rc < 0)
		return rc;
	d.to = d.from;
	rc = copy_known(r, &d, &all, head, e);
	vault_covers_free(&all);
	r->totals.disks++;
	r->totals.objects += d.objects;
	r->totals.bytes += d.bytes;
	r->totals.refused += d.end == COPY_REFUSED;
	r->totals.damaged += d.end == COPY_DAMAGED;
	return rc < 0 ? rc : r->how->report(r->how->ctx, &d, e);
}

/* ---- all of them ---- */

/* What there is to copy, from names alone: for the progress line. */
static int measure_disk(void *ctx, const char *machine, const char *disk,
			struct err *e)
{
	struct run *r = ctx;
	struct vault_covers there, here = {0};
	uint64_t last;
	size_t i;
	int rc;

	if (r->how->disk != NULL && strcmp(disk, r->how->disk) != 0)
		return 0;
	rc = vault_covers(r->to, machine, disk, &there, e);
	if (rc < 0)
		return rc;
	last = there.n > 0 ? there.items[there.n - 1].seq : 0;
	vault_covers_free(&there);
	rc = vault_covers(r->from, machine, disk, &here, e);
	for (i = 0; rc == 0 && i < here.n; i++)
		if (here.items[i].seq > last)
			r->all += here.items[i].size;
	vault_covers_free(&here);
	return rc;
}

int copy_run(struct vault *from, struct vault *to, const struct copy *how,
	     struct copy_totals *ret, struct err *e)
{
	struct run r = {.from = from, .to = to, .how = how};
	int rc = vault_disks(from, how->machine, measure_disk, &r, e);

	if (rc == 0) {
		progress_begin("copied", r.all);
		rc = vault_disks(from, how->machine, copy_disk, &r, e);
		progress_end();
	}
	*ret = r.totals;
	return rc;
}
