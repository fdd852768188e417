#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "base/progress.h"
#include "segment/codec.h"
#include "segment/reader.h"
#include "vault/verify-object.h"

/* Each thread has two records under way, about 2 MiB each. */
#define THREADS_MAX 8u
#define BLOCKS_MAX (SEG_RECORD_RAW_MAX / SEG_BLOCK_MIN)
#define STREAM_READ (1024 * 1024u)

/* One record on its way through the pool. */
struct work {
	const struct seg_object *seg;
	struct seg_ref ref; /* its digests are the copy below */
	struct codec_state *codec;
	int rc;
	struct err err;
	uint8_t digests[BLOCKS_MAX * BLOCK_DIGEST_LEN];
	uint8_t scratch[SEG_RECORD_MAX];
	uint8_t out[SEG_RECORD_RAW_MAX];
};

struct object_checker {
	struct pool *pool;
	bool data;
	uint64_t bytes;
	/* of the object at hand */
	const struct vault_object *object;
	uint64_t pos, stored; /* next record's place; payloads so far */
	int rc;		      /* of the first record that failed */
	struct err err;
};

/* ---- one record ---- */

static int compare_blocks(const struct work *w, struct err *e)
{
	uint32_t block = w->seg->header.block_size;
	size_t left = (size_t)w->ref.entry.raw_len;
	uint8_t digest[BLOCK_DIGEST_LEN];
	uint32_t i;

	for (i = 0; i < w->ref.nblocks; i++) {
		size_t n = left < block ? left : block;

		block_digest(w->out + (size_t)i * block, n, block, digest);
		if (memcmp(digest, w->digests + (size_t)i * BLOCK_DIGEST_LEN,
			   BLOCK_DIGEST_LEN) != 0)
			return err_set(
			    e, PS_DATA,
			    "damaged segment: the block at byte %llu of the "
			    "disk is not what its digest says",
			    (unsigned long long)(w->ref.entry.offset +
						 (uint64_t)i * block));
		left -= n;
	}
	return 0;
}

static void check_record(void *slot, void *ctx)
{
	const struct object_checker *c = ctx;
	struct work *w = slot;
	struct err *e = &w->err;

	w->rc = seg_object_fetch(w->seg, &w->ref, w->scratch, e);
	if (w->rc < 0)
		return;
	if (!c->data || w->ref.entry.zero) {
		w->rc = seg_object_check(w->seg, &w->ref, w->scratch, e);
		return;
	}
	w->rc =
	    seg_object_decode(w->seg, &w->ref, w->codec, w->scratch, w->out, e);
	if (w->rc == 0)
		w->rc = compare_blocks(w, e);
}

/* ---- all records ---- */

static void take(struct object_checker *c, const struct work *w)
{
	if (w->rc < 0 && c->rc == 0) {
		c->rc = w->rc;
		c->err = w->err;
	}
	c->bytes += SEG_RECORD_LEN + w->ref.entry.stored_len;
	progress_at(c->bytes);
	pool_release(c->pool);
}

/* Records lie one after another: no byte between them goes unchecked. */
static int give(void *ctx, const struct seg_ref *ref, struct err *e)
{
	struct object_checker *c = ctx;
	struct work *w;

	if (ref->pos != c->pos)
		return err_set(e, PS_DATA,
			       "damaged segment: place of a "
			       "record");
	c->pos += SEG_RECORD_LEN + ref->entry.stored_len;
	c->stored += ref->entry.stored_len;
	while ((w = pool_slot(c->pool)) == NULL)
		take(c, pool_take(c->pool));
	if (c->rc < 0)
		return c->rc;
	w->seg = &c->object->seg;
	w->ref = *ref;
	w->rc = 0;
	if (ref->nblocks > 0)
		memcpy(w->digests, ref->digests,
		       (size_t)ref->nblocks * BLOCK_DIGEST_LEN);
	w->ref.digests = w->digests;
	pool_submit(c->pool);
	return 0;
}

static int check_open(struct object_checker *c, struct err *e)
{
	const struct seg_object *seg = &c->object->seg;
	struct work *w;
	int rc = seg_object_check_digest(seg, e);

	if (rc < 0)
		return rc;
	c->pos = SEG_HEADER_LEN;
	c->stored = 0;
	c->rc = 0;
	rc = seg_object_walk(seg, give, c, e);
	while ((w = pool_take(c->pool)) != NULL)
		take(c, w);
	if (c->rc < 0) {
		if (e != NULL)
			*e = c->err;
		return c->rc;
	}
	if (rc == 0 && (c->pos != seg->trailer.index_pos ||
			c->stored != seg->trailer.stored_bytes))
		rc = err_set(e, PS_DATA,
			     "damaged segment: index and records "
			     "differ");
	return rc;
}

/* ---- sealed, without a key: as a stream ---- */

struct stream {
	struct object_checker *c;
	uint64_t pos;
};

static ssize_t read_stream(void *ctx, void *buf, size_t n, struct err *e)
{
	struct stream *s = ctx;
	const struct vault_object *o = s->c->object;
	uint64_t left = o->seg.size - s->pos;
	int rc;

	if (n > STREAM_READ)
		n = STREAM_READ;
	if (n > left)
		n = (size_t)left;
	if (n == 0)
		return 0;
	rc = o->store->ops->read(o->store, o->name, s->pos, buf, n, e);
	if (rc < 0)
		return rc;
	s->pos += n;
	s->c->bytes += n;
	progress_at(s->c->bytes);
	return (ssize_t)n;
}

static int check_closed(struct object_checker *c, struct err *e)
{
	struct stream s = {.c = c};
	struct seg_reader r;
	struct seg_item item;
	struct io_in in;
	int rc = io_in_open(&in, read_stream, &s, c->object->name, e);

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

/* ---- the checker ---- */

int checker_new(struct object_checker **ret, bool data, struct err *e)
{
	struct object_checker *c = calloc(1, sizeof(*c));
	unsigned threads = pool_cpus(), i;
	int rc;

	if (c == NULL)
		return err_sys(e, PS_TEMPFAIL, "verify");
	c->data = data;
	if (threads > THREADS_MAX)
		threads = THREADS_MAX;
	rc = pool_new(&c->pool, threads, 2 * threads, sizeof(struct work),
		      check_record, c, e);
	for (i = 0; rc == 0 && i < pool_depth(c->pool); i++)
		rc = codec_new(&((struct work *)pool_at(c->pool, i))->codec, e);
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
	for (i = 0; c->pool != NULL && i < pool_depth(c->pool); i++)
		codec_free(((struct work *)pool_at(c->pool, i))->codec);
	pool_free(c->pool);
	free(c);
}

uint64_t checker_bytes(const struct object_checker *c)
{
	return c->bytes;
}

int checker_run(struct object_checker *c, const struct vault_object *o,
		struct err *e)
{
	c->object = o;
	return o->seg.readable ? check_open(c, e) : check_closed(c, e);
}
