#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/pool.h"
#include "segment/codec.h"
#include "segment/index.h"
#include "segment/links.h"
#include "segment/verify.h"

#define BLOCKS_MAX (SEG_RECORD_RAW_MAX / SEG_BLOCK_MIN)
#define AUTO_THREADS_MAX 8
/* Instead of a CRC: the record was found wrong already. */
#define SUM_WRONG UINT32_MAX

/* One record in the pool. */
struct job {
	uint8_t *in, *out; /* SEG_RECORD_MAX each */
	struct seg_record record;
	uint32_t number, nblocks;
	uint8_t digests[BLOCKS_MAX * BLOCK_DIGEST_LEN];
	struct codec_state *codec;
	int rc;
	struct err err;
};

struct verifier {
	seg_verdict_fn *fn;
	void *ctx;
	const struct keyring *keys;
	struct seg_reader reader;
	struct seg_links links;
	struct pool *pool;
	uint8_t *buffers;
	bool damaged; /* any segment so far */
	struct err first;
	/* the current segment */
	bool inside, opened;
	struct seal *seal;
	struct seg_index index;
	bool digest_begun;
	struct seg_digest digest; /* from what the records really hold */
	struct seg_buf sums;	  /* CRC of each record's block digests */
	uint32_t indexed;
	uint64_t wrong_records;
	struct err wrong; /* code 0: nothing yet */
};

/* ---- workers ---- */

static int hash_blocks(struct job *j, const uint8_t *data, uint32_t block_size)
{
	size_t left = (size_t)j->record.raw_len;

	while (left > 0) {
		size_t n = left < block_size ? left : block_size;

		block_digest(data, n, block_size,
			     j->digests + j->nblocks++ * BLOCK_DIGEST_LEN);
		data += n;
		left -= n;
	}
	return 0;
}

static int check_record(const struct verifier *v, struct job *j)
{
	const struct seg_record *r = &j->record;
	uint8_t *payload = j->in + SEG_RECORD_LEN;
	uint32_t n = r->stored_len;
	int rc;

	if (v->seal != NULL) {
		rc = open_bytes(v->seal, j->number, false, j->in,
				SEAL_RECORD_AAD, payload, n, payload, &j->err);
		if (rc < 0)
			return rc;
		n -= SEG_TAG_LEN;
	}
	if (r->zero)
		return 0;
	if (r->codec != SEG_STORE) {
		rc = codec_expand(j->codec, r->codec, payload, n, j->out,
				  (size_t)r->raw_len, &j->err);
		if (rc < 0)
			return rc;
		payload = j->out;
	}
	return hash_blocks(j, payload, v->reader.header.block_size);
}

static void work(void *slot, void *ctx)
{
	struct job *j = slot;

	j->nblocks = 0;
	j->rc = check_record(ctx, j);
}

/* ---- the owner's side ---- */

/* Keeps the first thing that is wrong with the segment. */
static void note_wrong(struct verifier *v, const struct err *e)
{
	if (v->wrong.code == 0)
		v->wrong = *e;
}

static int take_job(struct verifier *v, struct job *j, struct err *e)
{
	const struct seg_record *r = &j->record;
	struct seg_entry en = {r->zero, r->codec, r->stored_len, r->offset,
			       r->raw_len};
	uint8_t *slot = seg_buf_add(&v->sums, 4, e);

	if (slot == NULL)
		return -PS_TEMPFAIL;
	if (j->rc < 0 && j->err.code != PS_DATA) {
		*e = j->err;
		return j->rc;
	}
	put_le32(slot, crc32c(0, j->digests, j->nblocks * BLOCK_DIGEST_LEN));
	if (j->rc < 0) {
		put_le32(slot, SUM_WRONG);
		err_prefix(&j->err, "record %u", j->number);
		note_wrong(v, &j->err);
		v->wrong_records++;
	}
	seg_digest_entry(&v->digest, &en, j->digests, j->nblocks);
	return 0;
}

static int drain(struct verifier *v, bool wait, struct err *e)
{
	struct job *j;

	while ((j = wait ? pool_take(v->pool) : pool_peek(v->pool)) != NULL) {
		int rc = take_job(v, j, e);

		pool_release(v->pool);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int begin_segment(struct verifier *v, struct err *e)
{
	const struct seg_reader *r = &v->reader;
	int rc = 0;

	seal_free(v->seal);
	v->seal = NULL;
	v->wrong = (struct err){0};
	v->wrong_records = 0;
	v->indexed = 0;
	v->sums.n = 0;
	v->opened = seg_reader_clear(r) || v->keys != NULL;
	if (!seg_reader_clear(r) && v->opened)
		rc = seal_for(&v->seal, v->keys, &r->header, r->header_raw, e);
	if (rc < 0)
		return err_prefix(e, "%s/%s %llu", r->header.machine,
				  r->header.disk,
				  (unsigned long long)r->header.seq);
	if (!v->opened)
		return 0;
	if (v->digest_begun)
		seg_digest_drop(&v->digest);
	seg_digest_begin(&v->digest, &r->header);
	v->digest_begun = true;
	seg_index_begin(&v->index, &r->header, v->seal);
	return 0;
}

/* Names the records whose blocks are not what the index says. */
static int compare_page(struct verifier *v, const struct seg_index_page *p,
			struct err *e)
{
	const uint8_t *digests;
	struct seg_entry en;
	size_t pos = 0;
	int rc;

	while ((rc = seg_page_walk(&v->reader.header, p->payload, p->len, &pos,
				   &en, &digests, e)) > 0) {
		size_t n = en.zero ? 0
				   : seg_blocks(en.raw_len,
						v->reader.header.block_size);
		uint32_t i = v->indexed++, sum;
		struct err wrong;

		sum = i < v->sums.n / 4 ? get_le32(v->sums.p + (size_t)i * 4)
					: SUM_WRONG;
		if (sum == SUM_WRONG ||
		    crc32c(0, digests, n * BLOCK_DIGEST_LEN) == sum)
			continue;
		err_set(&wrong, PS_DATA,
			"record %u: the data at %llu are not what was recorded",
			i, (unsigned long long)en.offset);
		note_wrong(v, &wrong);
		v->wrong_records++;
	}
	return rc;
}

static int check_page(struct verifier *v, const struct seg_item *item,
		      struct err *e)
{
	struct seg_index_page page;
	int rc = seg_index_page(&v->index, item, &page, e);

	return rc < 0 ? rc : compare_page(v, &page, e);
}

static int check_end(struct verifier *v, const struct seg_item *item,
		     struct err *e)
{
	const struct seg_trailer *t = &v->reader.trailer;
	uint8_t digest[SHA256_LEN];
	int rc = seg_index_end(&v->index, t, item, e);

	if (rc < 0)
		return rc;
	v->digest_begun = false;
	seg_digest_end(&v->digest, v->index.random, v->index.disk_digest, t,
		       digest);
	if (memcmp(digest, t->digest, SHA256_LEN) != 0)
		return err_set(e, PS_DATA,
			       "damaged segment: the data are not what was "
			       "recorded");
	return 0;
}

static void report(struct verifier *v, bool complete)
{
	struct seg_verdict verdict = {
	    .header = &v->reader.header,
	    .trailer = complete ? &v->reader.trailer : NULL,
	    .opened = v->opened,
	    .wrong = v->wrong.code != 0 ? v->wrong.msg : NULL,
	    .wrong_records = v->wrong_records,
	};

	v->inside = false;
	v->fn(v->ctx, &verdict);
	if (v->wrong.code == 0 || v->damaged)
		return;
	v->damaged = true;
	v->first = v->wrong;
	err_prefix(&v->first, "%s/%s %llu", v->reader.header.machine,
		   v->reader.header.disk,
		   (unsigned long long)v->reader.header.seq);
}

/* A part behind the records. Damage is noted, and the run goes on. */
static int behind_records(struct verifier *v, const struct seg_item *item,
			  struct err *e)
{
	struct err wrong = {0};
	int rc = drain(v, true, e);

	if (rc < 0)
		return rc;
	if (!v->opened)
		rc = 0;
	else if (item->part == SEG_PART_PAGE)
		rc = check_page(v, item, &wrong);
	else if (item->part == SEG_PART_DIR)
		rc = seg_index_dir(&v->index, item, &wrong);
	else
		rc = check_end(v, item, &wrong);
	if (rc < 0 && wrong.code != PS_DATA) {
		*e = wrong;
		return rc;
	}
	if (rc < 0)
		note_wrong(v, &wrong);
	if (item->part != SEG_PART_TRAILER)
		return 0;
	if (seg_links_note(&v->links, &v->reader.header,
			   v->reader.trailer.digest, &wrong) < 0)
		note_wrong(v, &wrong);
	report(v, true);
	return 0;
}

static int handle(struct verifier *v, struct job *j,
		  const struct seg_item *item, struct err *e)
{
	if (item->part == SEG_PART_HEADER) {
		v->inside = true;
		return begin_segment(v, e);
	}
	if (item->part != SEG_PART_RECORD)
		return behind_records(v, item, e);
	if (!v->opened)
		return 0;
	j->record = item->record;
	j->number = item->record_no;
	seg_index_record(&v->index, &item->record);
	pool_submit(v->pool);
	return drain(v, false, e);
}

static int next(struct verifier *v, struct err *e)
{
	struct seg_item item;
	struct job *j;
	int rc;

	while ((j = pool_slot(v->pool)) == NULL) {
		rc = take_job(v, pool_take(v->pool), e);
		pool_release(v->pool);
		if (rc < 0)
			return rc;
	}
	seg_reader_use(&v->reader, j->in);
	rc = seg_reader_next(&v->reader, &item, e);
	if (rc <= 0)
		return rc;
	rc = handle(v, j, &item, e);
	return rc < 0 ? rc : 1;
}

/* The stream cannot be followed: what was found, without the place. */
static void report_broken(struct verifier *v, const struct err *e)
{
	const struct seg_header *h = &v->reader.header;
	char place[2 * NAME_SIZE + 32];
	struct err wrong = *e;
	size_t n;

	n = (size_t)snprintf(place, sizeof(place), "%s/%s %llu: ", h->machine,
			     h->disk, (unsigned long long)h->seq);
	if (strncmp(wrong.msg, place, n) == 0)
		memmove(wrong.msg, wrong.msg + n, strlen(wrong.msg + n) + 1);
	note_wrong(v, &wrong);
	report(v, false);
}

static int run(struct verifier *v, struct err *e)
{
	struct err failed = {0};
	int rc;

	while ((rc = next(v, &failed)) > 0)
		;
	if (rc == -PS_DATA && v->inside)
		report_broken(v, &failed);
	if (rc == 0 && v->damaged) {
		failed = v->first;
		rc = -PS_DATA;
	}
	if (rc < 0 && e != NULL)
		*e = failed;
	return rc;
}

/* ---- setting up ---- */

static int set_up(struct verifier *v, struct io_in *in, unsigned threads,
		  struct err *e)
{
	const size_t size = (size_t)(SEG_RECORD_MAX / 4096 + 1) * 4096;
	unsigned i;
	int rc = seg_reader_open(&v->reader, in, e);

	if (threads == 0)
		threads = pool_cpus() < AUTO_THREADS_MAX ? pool_cpus()
							 : AUTO_THREADS_MAX;
	if (rc == 0)
		rc = pool_new(&v->pool, threads, 2 * threads + 1,
			      sizeof(struct job), work, v, e);
	if (rc < 0)
		return rc;
	v->buffers = malloc(pool_depth(v->pool) * 2 * size);
	if (v->buffers == NULL)
		return err_sys(e, PS_TEMPFAIL, "buffers");
	for (i = 0; rc == 0 && i < pool_depth(v->pool); i++) {
		struct job *j = pool_at(v->pool, i);

		j->in = v->buffers + 2 * i * size;
		j->out = j->in + size;
		rc = codec_new(&j->codec, e);
	}
	return rc;
}

static void free_codecs(struct verifier *v)
{
	unsigned i;

	for (i = 0; i < pool_depth(v->pool); i++)
		codec_free(((struct job *)pool_at(v->pool, i))->codec);
}

static void tear_down(struct verifier *v)
{
	while (v->pool != NULL && pool_take(v->pool) != NULL)
		pool_release(v->pool);
	if (v->pool != NULL)
		free_codecs(v);
	pool_free(v->pool);
	free(v->buffers);
	free(v->sums.p);
	if (v->digest_begun)
		seg_digest_drop(&v->digest);
	seg_reader_close(&v->reader);
	seg_index_free(&v->index);
	seg_links_free(&v->links);
	seal_free(v->seal);
}

int seg_verify_run(struct io_in *in, const struct keyring *keys,
		   unsigned threads, seg_verdict_fn *fn, void *ctx,
		   struct err *e)
{
	struct verifier v = {.fn = fn, .ctx = ctx, .keys = keys};
	int rc = set_up(&v, in, threads, e);

	if (rc == 0)
		rc = run(&v, e);
	tear_down(&v);
	return rc;
}
