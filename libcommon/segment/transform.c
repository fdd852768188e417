#include "config.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "segment/codec.h"
#include "segment/index.h"
#include "segment/reader.h"
#include "segment/rewrite.h"
#include "segment/transform.h"

/* So many threads as processors, but no more than memory allows. */
#define AUTO_THREADS_MAX 8
#define AUTO_MEMORY_MAX (48 * 1024 * 1024u)
/* A record and what keeps the next buffer on a page of its own. */
#define BUFFER ((size_t)(SEG_RECORD_MAX / 4096 + 1) * 4096)

/* One record on its way through the pool. */
struct job {
	uint8_t *in, *out;	  /* SEG_RECORD_MAX each */
	struct seg_record record; /* as read, then as it is to be written */
	uint32_t number;
	const uint8_t *ready; /* in or out */
	int rc;
	struct err err;
};

struct engine {
	const struct transform *t;
	struct io_out *out;
	struct seg_reader reader;
	struct seg_index index;
	struct seg_rewrite rewrite;
	struct pool *pool;
	/* codecs that no worker is using */
	pthread_mutex_t lock;
	struct codec_state **codecs;
	unsigned idle;
	uint8_t *buffers; /* of all slots */
	/* the current segment */
	bool pass;	   /* goes out as it came */
	struct seal *seal; /* of its input or its output */
};

/* ---- what a worker does with a record ---- */

static struct codec_state *codec_take(struct engine *g)
{
	struct codec_state *c;

	pthread_mutex_lock(&g->lock);
	c = g->codecs[--g->idle];
	pthread_mutex_unlock(&g->lock);
	return c;
}

static void codec_give(struct engine *g, struct codec_state *c)
{
	pthread_mutex_lock(&g->lock);
	g->codecs[g->idle++] = c;
	pthread_mutex_unlock(&g->lock);
}

/* The record in `buf` has its final payload: CRC and header. */
static void finish_record(struct job *j, uint8_t *buf)
{
	struct seg_record *r = &j->record;

	r->payload_crc = crc32c(0, buf + SEG_RECORD_LEN, r->stored_len);
	seg_record_pack(r, buf);
	j->ready = buf;
}

static int compress_record(struct engine *g, struct job *j)
{
	struct seg_record *r = &j->record;
	struct codec_state *c;
	size_t n;

	j->ready = j->in;
	if (r->zero)
		return 0;
	c = codec_take(g);
	n = codec_compress(c, g->t->codec, g->t->level, j->in + SEG_RECORD_LEN,
			   r->stored_len, j->out + SEG_RECORD_LEN);
	codec_give(g, c);
	if (n == 0)
		return 0;
	r->codec = g->t->codec;
	r->stored_len = (uint32_t)n;
	finish_record(j, j->out);
	return 0;
}

static int expand_record(struct engine *g, struct job *j)
{
	struct seg_record *r = &j->record;
	struct codec_state *c;
	int rc;

	j->ready = j->in;
	if (r->codec == SEG_STORE)
		return 0;
	c = codec_take(g);
	rc = codec_expand(c, r->codec, j->in + SEG_RECORD_LEN, r->stored_len,
			  j->out + SEG_RECORD_LEN, (size_t)r->raw_len, &j->err);
	codec_give(g, c);
	if (rc < 0)
		return rc;
	r->codec = SEG_STORE;
	r->stored_len = (uint32_t)r->raw_len;
	finish_record(j, j->out);
	return 0;
}

static int seal_record(struct engine *g, struct job *j)
{
	uint8_t *payload = j->in + SEG_RECORD_LEN;
	uint32_t n = j->record.stored_len;
	int rc;

	j->record.stored_len += SEG_TAG_LEN;
	seg_record_pack(&j->record, j->in);
	rc = seal_bytes(g->seal, j->number, false, j->in, SEAL_RECORD_AAD,
			payload, n, payload, &j->err);
	if (rc == 0)
		finish_record(j, j->in);
	return rc;
}

static int open_record(struct engine *g, struct job *j)
{
	uint8_t *payload = j->in + SEG_RECORD_LEN;
	int rc = open_bytes(g->seal, j->number, false, j->in, SEAL_RECORD_AAD,
			    payload, j->record.stored_len, payload, &j->err);

	j->record.stored_len -= SEG_TAG_LEN;
	if (rc == 0)
		finish_record(j, j->in);
	return rc;
}

static void work(void *slot, void *ctx)
{
	struct engine *g = ctx;
	struct job *j = slot;

	switch (g->t->kind) {
	case TRANSFORM_COMPRESS:
		j->rc = compress_record(g, j);
		break;
	case TRANSFORM_EXPAND:
		j->rc = expand_record(g, j);
		break;
	case TRANSFORM_SEAL:
		j->rc = seal_record(g, j);
		break;
	case TRANSFORM_OPEN:
		j->rc = open_record(g, j);
		break;
	}
}

/* ---- the owner's side ---- */

/* Puts machine, disk and sequence before what went wrong. */
static int at(struct engine *g, int rc, struct err *e)
{
	const struct seg_header *h = &g->reader.header;

	if (rc < 0)
		err_prefix(e, "%s/%s %llu", h->machine, h->disk,
			   (unsigned long long)h->seq);
	return rc;
}

static int write_job(struct engine *g, struct job *j, struct err *e)
{
	if (j->rc < 0) {
		if (e != NULL)
			*e = j->err;
		err_prefix(e, "record %u", j->number);
		return at(g, j->rc, e);
	}
	return seg_rewrite_record(&g->rewrite, &j->record, j->ready,
				  SEG_RECORD_LEN + (size_t)j->record.stored_len,
				  e);
}

/* Writes what is done; with `wait` everything that is under way. */
static int drain(struct engine *g, bool wait, struct err *e)
{
	struct job *j;

	while ((j = wait ? pool_take(g->pool) : pool_peek(g->pool)) != NULL) {
		int rc = write_job(g, j, e);

		pool_release(g->pool);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* A free slot, after writing the oldest ones if need be. */
static int free_slot(struct engine *g, struct job **ret, struct err *e)
{
	int rc;

	while ((*ret = pool_slot(g->pool)) == NULL) {
		rc = write_job(g, pool_take(g->pool), e);
		pool_release(g->pool);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Does a segment go out as it came? */
static int passes(struct engine *g, struct err *e)
{
	uint32_t enc = g->reader.header.encoding;

	switch (g->t->kind) {
	case TRANSFORM_COMPRESS:
		return g->t->codec == SEG_STORE ||
		       (enc & (SEG_COMPRESSED | SEG_SEALED)) != 0;
	case TRANSFORM_EXPAND:
		if ((enc & SEG_SEALED) != 0) {
			err_set(e, PS_DATA, "it is sealed");
			err_hint(e, "open it first: ps-encrypt -d -k KEYFILE");
			return at(g, -PS_DATA, e);
		}
		return (enc & SEG_COMPRESSED) == 0;
	case TRANSFORM_SEAL:
		return (enc & SEG_SEALED) != 0;
	case TRANSFORM_OPEN:
		return (enc & SEG_SEALED) == 0;
	}
	return 1;
}

/* What the header says of the new encoding; makes or finds the key. */
static int new_header(struct engine *g, struct seg_header *h, struct err *e)
{
	const struct seg_reader *r = &g->reader;
	int rc = 0;

	*h = r->header;
	switch (g->t->kind) {
	case TRANSFORM_COMPRESS:
		h->encoding |= SEG_COMPRESSED;
		break;
	case TRANSFORM_EXPAND:
		h->encoding &= ~SEG_COMPRESSED;
		break;
	case TRANSFORM_SEAL:
		rc = seal_new(&g->seal, g->t->keys, h, e);
		break;
	case TRANSFORM_OPEN:
		rc = seal_for(&g->seal, g->t->keys, h, r->header_raw, e);
		h->encoding &= ~SEG_SEALED;
		memset(h->key_id, 0, SEG_KEY_ID_LEN);
		memset(h->salt, 0, SEG_SALT_LEN);
		break;
	}
	return at(g, rc, e);
}

static int begin_segment(struct engine *g, const struct seg_item *item,
			 struct err *e)
{
	bool opening = g->t->kind == TRANSFORM_OPEN;
	struct seg_header h;
	int rc = passes(g, e);

	if (rc < 0)
		return rc;
	g->pass = rc != 0;
	if (g->pass)
		return io_out_write(g->out, item->raw, item->raw_len, e);
	seal_free(g->seal);
	g->seal = NULL;
	rc = new_header(g, &h, e);
	if (rc < 0)
		return rc;
	seg_index_begin(&g->index, &g->reader.header, opening ? g->seal : NULL);
	seg_rewrite_begin(&g->rewrite, g->out, &h, opening ? NULL : g->seal);
	return 0;
}

static int end_segment(struct engine *g, const struct seg_item *item,
		       struct err *e)
{
	int rc = seg_index_end(&g->index, &g->reader.trailer, item, e);

	if (rc < 0)
		return at(g, rc, e);
	return seg_rewrite_end(&g->rewrite, &g->index, &g->reader.trailer, e);
}

static int rewrite_page(struct engine *g, const struct seg_item *item,
			struct err *e)
{
	struct seg_index_page page;
	int rc = drain(g, true, e);

	if (rc == 0)
		rc = at(g, seg_index_page(&g->index, item, &page, e), e);
	return rc < 0 ? rc
		      : seg_rewrite_page(&g->rewrite, &item->page, &page, e);
}

/* A part of a segment that is changed; a record was read into `j`. */
static int change(struct engine *g, struct job *j, const struct seg_item *item,
		  struct err *e)
{
	int rc;

	switch (item->part) {
	case SEG_PART_RECORD:
		j->record = item->record;
		j->number = item->record_no;
		seg_index_record(&g->index, &item->record);
		pool_submit(g->pool);
		return drain(g, false, e);
	case SEG_PART_PAGE:
		return rewrite_page(g, item, e);
	case SEG_PART_DIR:
		rc = drain(g, true, e);
		return rc < 0 ? rc : seg_index_dir(&g->index, item, e);
	default:
		return end_segment(g, item, e);
	}
}

static int pass_on(struct engine *g, const struct seg_item *item, struct err *e)
{
	int rc = io_out_write(g->out, item->raw, item->raw_len, e);

	/* A slow live stream must not wait in our buffer. */
	if (rc == 0 && item->part == SEG_PART_TRAILER)
		rc = io_out_flush(g->out, e);
	return rc;
}

static int run(struct engine *g, struct err *e)
{
	struct seg_item item;
	struct job *j;
	int rc;

	for (;;) {
		rc = free_slot(g, &j, e);
		if (rc < 0)
			return rc;
		seg_reader_use(&g->reader, j->in);
		rc = seg_reader_next(&g->reader, &item, e);
		if (rc <= 0)
			return rc;
		if (item.part == SEG_PART_HEADER)
			rc = begin_segment(g, &item, e);
		else if (g->pass)
			rc = pass_on(g, &item, e);
		else
			rc = change(g, j, &item, e);
		if (rc < 0)
			return rc;
	}
}

/* ---- setting up ---- */

/* Two buffers for a slot when records change their length, else one. */
static int make_buffers(struct engine *g, unsigned threads, struct err *e)
{
	bool two =
	    g->t->kind == TRANSFORM_COMPRESS || g->t->kind == TRANSFORM_EXPAND;
	unsigned depth = pool_depth(g->pool), i;
	uint8_t *p = malloc((size_t)depth * (two ? 2 : 1) * BUFFER);
	int rc = 0;

	g->buffers = p;
	g->codecs = calloc(threads, sizeof(struct codec_state *));
	if (p == NULL || g->codecs == NULL)
		return err_sys(e, PS_TEMPFAIL, "buffers");
	for (i = 0; i < depth; i++) {
		struct job *j = pool_at(g->pool, i);

		j->in = p;
		j->out = two ? p + BUFFER : NULL;
		p += (two ? 2 : 1) * BUFFER;
	}
	while (two && rc == 0 && g->idle < threads) {
		rc = codec_new(&g->codecs[g->idle], e);
		if (rc == 0)
			g->idle++;
	}
	return rc;
}

/* A thread has a codec and, with what waits for it, four buffers or more. */
static unsigned auto_threads(const struct transform *t)
{
	size_t each = 4 * BUFFER + codec_memory(t->codec, t->level);
	unsigned n = pool_cpus();

	if (n > AUTO_THREADS_MAX)
		n = AUTO_THREADS_MAX;
	while (n > 1 && n * each > AUTO_MEMORY_MAX)
		n--;
	return n;
}

static int set_up(struct engine *g, struct io_in *in, struct err *e)
{
	unsigned threads = g->t->threads;
	int rc = seg_reader_open(&g->reader, in, e);

	if (threads == 0)
		threads = auto_threads(g->t);
	if (rc == 0)
		rc = pool_new(&g->pool, threads, 2 * threads + 1,
			      sizeof(struct job), work, g, e);
	if (rc == 0)
		rc = make_buffers(g, threads, e);
	return rc;
}

static void tear_down(struct engine *g)
{
	pool_free(g->pool); /* waits for the workers */
	while (g->idle > 0)
		codec_free(g->codecs[--g->idle]);
	free(g->codecs);
	free(g->buffers);
	seg_reader_close(&g->reader);
	seg_index_free(&g->index);
	seg_rewrite_free(&g->rewrite);
	seal_free(g->seal);
	pthread_mutex_destroy(&g->lock);
}

int transform_run(const struct transform *t, struct io_in *in,
		  struct io_out *out, struct transform_totals *ret,
		  struct err *e)
{
	struct engine g = {.t = t, .out = out};
	int rc;

	pthread_mutex_init(&g.lock, NULL);
	rc = set_up(&g, in, e);
	if (rc == 0)
		rc = run(&g, e);
	if (rc == 0 && ret != NULL)
		*ret = (struct transform_totals){g.reader.segments,
						 in->consumed, out->written};
	tear_down(&g);
	return rc;
}
