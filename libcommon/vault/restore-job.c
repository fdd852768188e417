#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "segment/reader.h"
#include "vault/restore-job.h"

int job_prepare(struct job *j, const struct job_ctx *ctx, struct err *e)
{
	j->in = malloc(ctx->bytes);
	j->record = aligned_alloc(TARGET_ALIGN, SEG_RECORD_RAW_MAX);
	j->out = ctx->stream ? malloc(ctx->bytes) : NULL;
	if (j->in == NULL || j->record == NULL ||
	    (ctx->stream && j->out == NULL))
		return err_sys(e, PS_TEMPFAIL, "restore");
	return codec_new(&j->codec, e);
}

void job_release(struct job *j)
{
	free(j->in);
	free(j->record);
	free(j->out);
	codec_free(j->codec);
}

/* By object, then by place in it: reads ascend and can be put together. */
static int by_record(const void *a, const void *b)
{
	const struct plan_item *x = ((const struct job_piece *)a)->item;
	const struct plan_item *y = ((const struct job_piece *)b)->item;

	if (x->object != y->object)
		return x->object < y->object ? -1 : 1;
	if (x->pos != y->pos)
		return x->pos < y->pos ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

static size_t stored_size(const struct plan_item *it)
{
	return SEG_RECORD_LEN + (size_t)it->stored_len;
}

/*
 * The pieces from number i on whose records stand one after another in one
 * object and fit into the buffer: gives the end and the length of the read.
 */
static uint32_t span(const struct job *j, const struct job_ctx *ctx, uint32_t i,
		     size_t *ret_len)
{
	const struct plan_item *prev = j->pieces[i].item;
	size_t len = stored_size(prev);

	for (i++; i < j->npieces; i++) {
		const struct plan_item *it = j->pieces[i].item;

		if (it->object != prev->object)
			break;
		if (it->pos == prev->pos)
			continue; /* another run of the same record */
		if (it->pos != prev->pos + stored_size(prev) ||
		    len + stored_size(it) > ctx->bytes)
			break;
		len += stored_size(it);
		prev = it;
	}
	*ret_len = len;
	return i;
}

static int verify(const struct job_piece *p, const struct plan *plan,
		  const uint8_t *raw, struct err *e)
{
	uint32_t bs = plan->chain->block_size, b;
	const uint8_t *want =
	    plan->digests +
	    (size_t)(p->item->digest + p->first - p->item->first) *
		BLOCK_DIGEST_LEN;

	for (b = p->first; b < (uint32_t)p->first + p->count; b++) {
		uint32_t at = b * bs, len = p->item->raw_len - at;
		uint8_t digest[BLOCK_DIGEST_LEN];

		block_digest(raw + at, len < bs ? len : bs, bs, digest);
		if (memcmp(digest, want, BLOCK_DIGEST_LEN) != 0)
			return err_set(
			    e, PS_DATA,
			    "damaged segment: the block at %llu is "
			    "not what the index says",
			    (unsigned long long)(p->item->offset + at));
		want += BLOCK_DIGEST_LEN;
	}
	return 0;
}

/* Puts the verified blocks of a piece where they belong. */
static int emit(struct job *j, const struct job_ctx *ctx,
		const struct job_piece *p, uint8_t *raw, struct err *e)
{
	uint32_t bs = ctx->plan->chain->block_size;
	uint64_t offset = p->item->offset + (uint64_t)p->first * bs;
	uint64_t left = ctx->plan->chain->disk_size - offset;
	size_t len = (size_t)p->count * bs;

	if (len > left)
		len = (size_t)left;
	if (!ctx->stream)
		return target_write(ctx->target, offset,
				    raw + (size_t)p->first * bs, len, e);
	memcpy(j->out + (offset - j->offset), raw + (size_t)p->first * bs, len);
	return 0;
}

/* The record of pieces i .. end - 1, its stored bytes at `stored`. */
static int run_record(struct job *j, const struct job_ctx *ctx, uint32_t i,
		      uint32_t end, uint8_t *stored, struct err *e)
{
	const struct plan_item *it = j->pieces[i].item;
	uint32_t bs = ctx->plan->chain->block_size;
	struct seg_ref ref = {
	    .entry = {.codec = it->codec,
		      .stored_len = it->stored_len,
		      .offset = it->offset,
		      .raw_len = it->raw_len},
	    .pos = it->pos,
	    .record_no = it->record_no,
	};
	int rc = seg_object_decode(j->pieces[i].object, &ref, j->codec, stored,
				   j->record, e);

	if (rc < 0)
		return chain_prefix(ctx->plan->chain, it->object, e);
	/*
	 * The tail block of a disk that has grown since: behind it the block
	 * is zero. (A block divides 1 MiB, so this fits.)
	 */
	if (it->raw_len % bs != 0)
		memset(j->record + it->raw_len, 0, bs - it->raw_len % bs);
	for (; rc == 0 && i < end; i++) {
		rc = verify(&j->pieces[i], ctx->plan, j->record, e);
		if (rc < 0)
			return chain_prefix(ctx->plan->chain, it->object, e);
		rc = emit(j, ctx, &j->pieces[i], j->record, e);
	}
	return rc;
}

static int run_span(struct job *j, const struct job_ctx *ctx, uint32_t i,
		    uint32_t end, size_t len, struct err *e)
{
	const struct plan_item *first = j->pieces[i].item;
	const struct seg_object *o = j->pieces[i].object;
	int rc = o->fetch(o->ctx, first->pos, j->in, len, e);

	if (rc < 0)
		return chain_prefix(ctx->plan->chain, first->object, e);
	j->fetched += len;
	while (rc == 0 && i < end) {
		const struct plan_item *it = j->pieces[i].item;
		uint32_t next = i + 1;

		while (next < end && j->pieces[next].item->pos == it->pos)
			next++;
		rc = run_record(j, ctx, i, next, j->in + (it->pos - first->pos),
				e);
		i = next;
	}
	return rc;
}

void job_work(void *slot, void *arg)
{
	const struct job_ctx *ctx = arg;
	struct job *j = slot;
	uint32_t i, end;

	j->rc = 0;
	j->fetched = 0;
	if (ctx->stream && j->npieces > 0) {
		memset(j->out, 0, (size_t)j->len);
		qsort(j->pieces, j->npieces, sizeof(*j->pieces), by_record);
	}
	for (i = 0; j->rc == 0 && i < j->npieces; i = end) {
		size_t len;

		end = span(j, ctx, i, &len);
		j->rc = run_span(j, ctx, i, end, len, &j->err);
	}
}
