#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "base/progress.h"
#include "segment/codec.h"
#include "segment/reader.h"
#include "vault/read-ahead.h"
#include "vault/verify-object.h"

/* Each batch has about 2 MiB. */
#define THREADS_MAX 8u
#define THREADS_FAR 16u
/* Objects that are opened before their turn, and those not yet settled. */
#define VISITS_NEAR 2u
#define VISITS_FAR 16u
#define FLIGHTS_MAX 64u
/* Of an object's index: most have much less. */
#define INDEX_KEPT (SEG_PAGE_LEN + SEG_PAGE_MAX + SEG_TAG_LEN)
#define BATCH_RECORDS 64u
#define BATCH_BLOCKS (SEG_RECORD_RAW_MAX / SEG_BLOCK_MIN)

/* One object on its way. */
struct flight {
	struct flight *next;
	struct checked what;
	struct vault_object *o; /* NULL: it could not be opened */
	/* The beginning of its index, read once for digest and records. */
	uint8_t *index;
	uint64_t index_pos;
	size_t index_len;
	seg_fetch_fn *fetch; /* for all else */
	void *fetch_ctx;
	bool given; /* all its records are, or were, in batches */
	unsigned batches;
	/* What is wrong with the whole, unless a record is. */
	int late_rc;
	struct err late;
};

/* Records that stand one after another, and so are one read. */
struct batch {
	struct flight *f;
	struct codec_state *codec;
	uint64_t pos;
	size_t len;
	uint32_t n, nblocks;
	int rc;
	struct err why;
	struct seg_ref refs[BATCH_RECORDS]; /* their digests are below */
	uint8_t digests[BATCH_BLOCKS * BLOCK_DIGEST_LEN];
	uint8_t stored[SEG_RECORD_MAX];
	uint8_t out[SEG_RECORD_RAW_MAX];
};

struct object_checker {
	struct vault *vault;
	const struct keyring *keys;
	bool data;
	struct pool *visits; /* slots are struct flight * */
	struct pool *batches;
	uint64_t bytes; /* for the progress line */
	/* of the disk at hand */
	const struct tails *tails;
	struct vault_cover *closed; /* objects that are read as streams */
	size_t nclosed, closed_at;
	struct read_ahead *ahead; /* over them */
	struct flight *first, **last;
	unsigned flights;
	/* of the object at hand */
	struct batch *batch;  /* being filled, or NULL */
	uint64_t pos, stored; /* next record's place; payloads so far */
};

/* ---- opening: by the threads of `visits` ---- */

static int fetch_kept(void *ctx, uint64_t pos, void *buf, size_t n,
		      struct err *e)
{
	const struct flight *f = ctx;

	if (pos < f->index_pos || n > f->index_len ||
	    pos - f->index_pos > f->index_len - n)
		return f->fetch(f->fetch_ctx, pos, buf, n, e);
	memcpy(buf, f->index + (pos - f->index_pos), n);
	return 0;
}

/* Without it pages are read one by one, with the errors that there are. */
static void keep_index(struct flight *f)
{
	struct seg_object *seg = &f->o->seg;
	const struct seg_trailer *t = &seg->trailer;
	uint64_t left = seg->size - t->trailer_len - t->dir_len - t->index_pos;
	size_t n = left < INDEX_KEPT ? (size_t)left : INDEX_KEPT;

	f->index = malloc(n);
	if (f->index == NULL ||
	    seg->fetch(seg->ctx, t->index_pos, f->index, n, NULL) < 0)
		n = 0;
	f->index_pos = t->index_pos;
	f->index_len = n;
	f->fetch = seg->fetch;
	f->fetch_ctx = seg->ctx;
	seg->fetch = fetch_kept;
	seg->ctx = f;
}

static void visit(void *slot, void *ctx)
{
	const struct object_checker *c = ctx;
	const struct tails *t = c->tails;
	struct flight *f = *(struct flight **)slot;
	struct checked *what = &f->what;

	what->rc = vault_object_open(c->vault, t->machine, t->disk,
				     &t->items[what->i].cover, c->keys, &f->o,
				     &what->why);
	if (what->rc < 0)
		return;
	what->closed = !f->o->seg.readable;
	if (what->closed)
		return;
	keep_index(f);
	what->rc = seg_object_check_digest(&f->o->seg, &what->why);
}

static void flight_free(struct flight *f)
{
	vault_object_close(f->o);
	free(f->index);
	free(f);
}

/* ---- records: by the threads of `batches` ---- */

static int compare_blocks(const struct batch *b, const struct seg_ref *ref,
			  struct err *e)
{
	uint32_t block = b->f->o->seg.header.block_size;
	size_t left = (size_t)ref->entry.raw_len;
	uint8_t digest[BLOCK_DIGEST_LEN];
	uint32_t i;

	for (i = 0; i < ref->nblocks; i++) {
		size_t n = left < block ? left : block;

		block_digest(b->out + (size_t)i * block, n, block, digest);
		if (memcmp(digest, ref->digests + (size_t)i * BLOCK_DIGEST_LEN,
			   BLOCK_DIGEST_LEN) != 0)
			return err_set(
			    e, PS_DATA,
			    "damaged segment: the block at byte %llu of the "
			    "disk is not what its digest says",
			    (unsigned long long)(ref->entry.offset +
						 (uint64_t)i * block));
		left -= n;
	}
	return 0;
}

static int check_record(struct batch *b, const struct seg_ref *ref, bool data,
			struct err *e)
{
	const struct seg_object *seg = &b->f->o->seg;
	uint8_t *stored = b->stored + (ref->pos - b->pos);
	int rc;

	if (!data || ref->entry.zero)
		return seg_object_check(seg, ref, stored, e);
	rc = seg_object_decode(seg, ref, b->codec, stored, b->out, e);
	return rc < 0 ? rc : compare_blocks(b, ref, e);
}

static void check_batch(void *slot, void *ctx)
{
	const struct object_checker *c = ctx;
	struct batch *b = slot;
	const struct vault_object *o = b->f->o;
	uint32_t i;

	b->rc = o->store->ops->read(o->store, o->name, b->pos, b->stored,
				    b->len, &b->why);
	for (i = 0; b->rc == 0 && i < b->n; i++)
		b->rc = check_record(b, &b->refs[i], c->data, &b->why);
}

/* ---- handing records on ---- */

static void take_batch(struct object_checker *c)
{
	const struct batch *b = pool_take(c->batches);
	struct checked *what;

	if (b == NULL)
		return;
	what = &b->f->what;
	if (b->rc < 0 && what->rc == 0) {
		what->rc = b->rc;
		what->why = b->why;
	}
	b->f->batches--;
	c->bytes += b->len;
	progress_at(c->bytes);
	pool_release(c->batches);
}

static void submit(struct object_checker *c)
{
	if (c->batch == NULL)
		return;
	c->batch->f->batches++;
	c->batch = NULL;
	pool_submit(c->batches);
}

static struct batch *new_batch(struct object_checker *c, struct flight *f,
			       uint64_t pos)
{
	struct batch *b;

	while ((b = pool_slot(c->batches)) == NULL)
		take_batch(c);
	b->f = f;
	b->pos = pos;
	b->len = 0;
	b->n = b->nblocks = 0;
	return b;
}

static bool has_room(const struct batch *b, const struct seg_ref *ref,
		     size_t len)
{
	return b->n < BATCH_RECORDS && len <= sizeof(b->stored) - b->len &&
	       ref->nblocks <= BATCH_BLOCKS - b->nblocks;
}

static void add(struct batch *b, const struct seg_ref *ref, size_t len)
{
	uint8_t *digests = b->digests + (size_t)b->nblocks * BLOCK_DIGEST_LEN;

	b->refs[b->n] = *ref;
	b->refs[b->n++].digests = digests;
	if (ref->nblocks > 0)
		memcpy(digests, ref->digests,
		       (size_t)ref->nblocks * BLOCK_DIGEST_LEN);
	b->nblocks += ref->nblocks;
	b->len += len;
}

/* Of the last object of the list. */
struct giver {
	struct object_checker *c;
	struct flight *f;
};

/* Records lie one after another: no byte between them goes unchecked. */
static int give(void *ctx, const struct seg_ref *ref, struct err *e)
{
	const struct giver *g = ctx;
	struct object_checker *c = g->c;
	size_t len = SEG_RECORD_LEN + (size_t)ref->entry.stored_len;

	if (ref->pos != c->pos)
		return err_set(e, PS_DATA,
			       "damaged segment: place of a record");
	c->pos += len;
	c->stored += ref->entry.stored_len;
	if (c->batch != NULL && !has_room(c->batch, ref, len))
		submit(c);
	if (c->batch == NULL)
		c->batch = new_batch(c, g->f, ref->pos);
	add(c->batch, ref, len);
	return g->f->what.rc;
}

static int give_records(struct object_checker *c, struct flight *f,
			struct err *e)
{
	struct giver g = {.c = c, .f = f};
	const struct seg_object *seg = &f->o->seg;
	int rc;

	c->pos = SEG_HEADER_LEN;
	c->stored = 0;
	rc = seg_object_walk(seg, give, &g, e);
	submit(c);
	if (rc == 0 && (c->pos != seg->trailer.index_pos ||
			c->stored != seg->trailer.stored_bytes))
		rc = err_set(e, PS_DATA,
			     "damaged segment: index and records differ");
	return rc;
}

/* ---- sealed, without a key: as a stream ---- */

/* Will this object have to be read as a stream? */
static bool is_stream(const struct object_checker *c, size_t i)
{
	const struct tail *t = &c->tails->items[i];

	return c->keys == NULL && t->sealed && !t->damaged;
}

static ssize_t read_stream(void *ctx, void *buf, size_t n, struct err *e)
{
	struct object_checker *c = ctx;
	const uint8_t *from;
	ssize_t got = read_ahead_take(c->ahead, c->closed_at, n, &from, e);

	if (got <= 0)
		return got;
	memcpy(buf, from, (size_t)got);
	c->bytes += (uint64_t)got;
	progress_at(c->bytes);
	return got;
}

static int check_stream(struct object_checker *c, const char *name,
			struct err *e)
{
	struct seg_reader r;
	struct seg_item item;
	struct io_in in;
	int rc = io_in_open(&in, read_stream, c, name, e);

	if (rc < 0)
		return rc;
	rc = seg_reader_open(&r, &in, e);
	if (rc == 0) {
		while ((rc = seg_reader_next(&r, &item, e)) > 0)
			;
		seg_reader_close(&r);
	}
	io_in_close(&in);
	return rc;
}

/* ---- objects in order ---- */

static void check_flight(struct object_checker *c, struct flight *f)
{
	struct err *e = &f->late;
	int rc = f->what.rc;

	if (rc == 0 && !f->what.closed)
		rc = give_records(c, f, e);
	else if (rc == 0 && is_stream(c, f->what.i))
		rc = check_stream(c, f->o->name, e);
	else if (rc == 0)
		rc = err_set(e, PS_DATA, "it changed while it was read");
	if (is_stream(c, f->what.i))
		c->closed_at++;
	f->late_rc = rc;
	f->given = true;
	free(f->index);
	f->index = NULL;
	f->index_len = 0;
}

static struct flight *unlink_first(struct object_checker *c)
{
	struct flight *f = c->first;

	c->first = f->next;
	if (c->first == NULL)
		c->last = &c->first;
	c->flights--;
	return f;
}

/* Tells of those that are done, as far as nothing before them is not. */
static int settle(struct object_checker *c, checked_fn *done, void *ctx,
		  struct err *e)
{
	int rc = 0;

	while (rc == 0 && c->first != NULL && c->first->given &&
	       c->first->batches == 0) {
		struct flight *f = unlink_first(c);

		if (f->what.rc == 0 && f->late_rc < 0) {
			f->what.rc = f->late_rc;
			f->what.why = f->late;
		}
		rc = done(ctx, &f->what, e);
		flight_free(f);
	}
	return rc;
}

static int ask(struct object_checker *c, size_t *next, struct err *e)
{
	struct flight **slot;

	while (*next < c->tails->n && (slot = pool_slot(c->visits)) != NULL) {
		*slot = calloc(1, sizeof(**slot));
		if (*slot == NULL)
			return err_sys(e, PS_TEMPFAIL, "verify");
		(*slot)->what.i = (*next)++;
		pool_submit(c->visits);
	}
	return 0;
}

/* The next object that is open, now the last of the list. */
static struct flight *arrived(struct object_checker *c)
{
	struct flight *f = *(struct flight **)pool_take(c->visits);

	pool_release(c->visits);
	*c->last = f;
	c->last = &f->next;
	c->flights++;
	return f;
}

static int check_all(struct object_checker *c, checked_fn *done, void *ctx,
		     struct err *e)
{
	size_t next = 0, i;
	int rc = 0;

	for (i = 0; rc == 0 && i < c->tails->n; i++) {
		rc = ask(c, &next, e);
		if (rc < 0)
			return rc;
		check_flight(c, arrived(c));
		rc = settle(c, done, ctx, e);
		while (rc == 0 && c->flights > FLIGHTS_MAX) {
			take_batch(c);
			rc = settle(c, done, ctx, e);
		}
	}
	while (rc == 0 && c->first != NULL) {
		take_batch(c);
		rc = settle(c, done, ctx, e);
	}
	return rc;
}

/* ---- the checker ---- */

static int begin(struct object_checker *c, const struct tails *t, struct err *e)
{
	size_t i;

	c->tails = t;
	c->nclosed = c->closed_at = 0;
	c->last = &c->first;
	c->closed = calloc(t->n + 1, sizeof(*c->closed));
	if (c->closed == NULL)
		return err_sys(e, PS_TEMPFAIL, "verify");
	for (i = 0; i < t->n; i++)
		if (is_stream(c, i))
			c->closed[c->nclosed++] = t->items[i].cover;
	if (c->nclosed == 0)
		return 0;
	return read_ahead_open(&c->ahead, c->vault, t->machine, t->disk,
			       c->closed, c->nclosed, e);
}

/* After a failure some are still under way. */
static void end(struct object_checker *c)
{
	struct flight **f;

	while ((f = pool_take(c->visits)) != NULL) {
		flight_free(*f);
		pool_release(c->visits);
	}
	while (pool_take(c->batches) != NULL)
		pool_release(c->batches);
	while (c->first != NULL)
		flight_free(unlink_first(c));
	read_ahead_close(c->ahead);
	c->ahead = NULL;
	free(c->closed);
	c->closed = NULL;
}

int checker_run(struct object_checker *c, const struct tails *t,
		checked_fn *done, void *ctx, struct err *e)
{
	int rc = begin(c, t, e);

	if (rc == 0)
		rc = check_all(c, done, ctx, e);
	end(c);
	return rc;
}

int checker_new(struct object_checker **ret, struct vault *v,
		const struct keyring *keys, bool data, struct err *e)
{
	struct object_checker *c = calloc(1, sizeof(*c));
	bool far = v->store->ops->far;
	unsigned visits = far ? VISITS_FAR : VISITS_NEAR, i;
	unsigned cpus = pool_cpus(), threads = THREADS_FAR;
	int rc;

	if (c == NULL)
		return err_sys(e, PS_TEMPFAIL, "verify");
	if (!far)
		threads = cpus < THREADS_MAX ? cpus : THREADS_MAX;
	c->vault = v;
	c->keys = keys;
	c->data = data;
	rc = pool_new(&c->visits, visits, visits, sizeof(struct flight *),
		      visit, c, e);
	if (rc == 0)
		rc = pool_new(&c->batches, threads, far ? threads : 2 * threads,
			      sizeof(struct batch), check_batch, c, e);
	for (i = 0; rc == 0 && i < pool_depth(c->batches); i++)
		rc = codec_new(&((struct batch *)pool_at(c->batches, i))->codec,
			       e);
	if (rc < 0) {
		checker_free(c);
		return rc;
	}
	*ret = c;
	return 0;
}

void checker_free(struct object_checker *c)
{
	unsigned i;

	if (c == NULL)
		return;
	pool_free(c->visits);
	for (i = 0; c->batches != NULL && i < pool_depth(c->batches); i++)
		codec_free(((struct batch *)pool_at(c->batches, i))->codec);
	pool_free(c->batches);
	free(c);
}
