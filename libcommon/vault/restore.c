#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "base/progress.h"
#include "disk/digest.h"
#include "segment/reader.h"
#include "vault/restore-job.h"
#include "vault/restore.h"

/* How often to plan anew because retention took objects away. */
#define REPLANS_MAX 10u
/* Buffers of all jobs together; see also RESTORE_THREADS_MAX. */
#define JOBS_BYTES (48u << 20)
#define JOB_BYTES_MAX (4u << 20)
#define JOB_BYTES_MIN (2u << 20) /* more than SEG_RECORD_MAX */
/* Ranges of a store far away that are read at a time, at least. */
#define THREADS_FAR 8u
/* Written between two calls that ask the kernel to begin with it. */
#define HURRY_BYTES (64u << 20)
/* One job of zeros only: the owner looks up between them. */
#define ZERO_JOB_BYTES (256ull << 20)

struct engine {
	const struct restore *r;
	struct restore_result *ret;
	struct chain chain;
	struct plan plan;
	struct pool *pool;
	struct job_ctx ctx;
	bool stream;
	/* Group digests of the plan that was found equal to the source. */
	uint8_t *groups;
	uint8_t *again; /* those of the window that is being written */
	bool begun;	/* the target is */
	uint64_t done;	/* all before it is written; a window's border */
	uint64_t at;	/* streams: all before it is written */
	uint64_t written, hurried;
};

static int stopped(const struct engine *en, struct err *e)
{
	if (en->r->stop == NULL || *en->r->stop == 0)
		return 0;
	return err_set(e, PS_TEMPFAIL, "interrupted");
}

/* ---- jobs ---- */

static int setup_jobs(struct engine *en, struct err *e)
{
	unsigned threads = en->r->threads != 0 ? en->r->threads : pool_cpus();
	unsigned depth, i;
	int rc;

	/* They wait for answers more than they compute. */
	if (en->r->threads == 0 && en->r->vault->store->ops->far &&
	    threads < THREADS_FAR)
		threads = THREADS_FAR;
	if (threads > RESTORE_THREADS_MAX)
		threads = RESTORE_THREADS_MAX;
	depth = threads + (threads < 4 ? threads : 4);
	en->stream = target_kind(en->r->target) == TARGET_STREAM;
	en->ctx = (struct job_ctx){
	    .plan = &en->plan,
	    .target = en->r->target,
	    .stream = en->stream,
	    .bytes = JOBS_BYTES / depth,
	};
	if (en->ctx.bytes > JOB_BYTES_MAX)
		en->ctx.bytes = JOB_BYTES_MAX;
	if (en->ctx.bytes < JOB_BYTES_MIN)
		en->ctx.bytes = JOB_BYTES_MIN;
	en->ctx.bytes -= en->ctx.bytes % SEG_BLOCK_MAX;
	rc = pool_new(&en->pool, threads, depth, sizeof(struct job), job_work,
		      &en->ctx, e);
	for (i = 0; rc == 0 && i < depth; i++)
		rc = job_prepare(pool_at(en->pool, i), &en->ctx, e);
	return rc;
}

static void free_jobs(struct engine *en)
{
	unsigned i;

	for (i = 0; en->pool != NULL && i < pool_depth(en->pool); i++)
		job_release(pool_at(en->pool, i));
	pool_free(en->pool);
}

/* A job of a stream is done: its turn has come. */
static int put_out(struct engine *en, const struct job *j, struct err *e)
{
	int rc =
	    j->npieces == 0
		? target_zero(en->r->target, j->offset, j->len, e)
		: target_write(en->r->target, j->offset, j->out, j->len, e);

	if (rc == 0)
		en->at = j->offset + j->len;
	return rc;
}

/* Takes the oldest job; nothing is put out once something has failed. */
static int finish(struct engine *en, struct job *j, int rc, struct err *e)
{
	uint32_t i;

	for (i = 0; i < j->nobjects; i++)
		chain_put(&en->chain, j->objects[i]);
	en->ret->fetched_bytes += j->fetched;
	if (rc == 0 && j->rc < 0) {
		*e = j->err;
		rc = j->rc;
	}
	if (rc == 0 && en->stream)
		rc = put_out(en, j, e);
	if (rc == 0) {
		for (i = 0; i < j->npieces; i++)
			en->written +=
			    (uint64_t)j->pieces[i].count * en->chain.block_size;
		progress_at(en->stream ? en->at : en->written);
	}
	if (rc == 0 && en->written - en->hurried >= HURRY_BYTES) {
		en->hurried = en->written;
		target_hurry(en->r->target);
	}
	pool_release(en->pool);
	return rc;
}

/* The next free job, empty; NULL when something failed. */
static struct job *free_job(struct engine *en, int *rc, struct err *e)
{
	struct job *j = NULL, *old;

	*rc = stopped(en, e);
	while (*rc == 0 && (j = pool_slot(en->pool)) == NULL &&
	       (old = pool_take(en->pool)) != NULL)
		*rc = finish(en, old, 0, e);
	if (*rc == 0 && j == NULL)
		*rc = err_set(e, PS_SOFTWARE, "restore: no job is free");
	if (*rc < 0 || j == NULL)
		return NULL;
	j->npieces = j->nobjects = 0;
	return j;
}

/* Waits for all that is under way; the first failure stays. */
static int drain(struct engine *en, int rc, struct err *e)
{
	struct job *j;

	while ((j = pool_take(en->pool)) != NULL)
		rc = finish(en, j, rc, e);
	return rc;
}

/*
 * Adds blocks first .. first + count - 1 of an item's record. 1: the job is
 * full.
 */
static int add_piece(struct engine *en, struct job *j,
		     const struct plan_item *it, uint16_t first, uint16_t count,
		     struct err *e)
{
	const struct seg_object *o = NULL;
	uint32_t i;

	if (j->npieces == JOB_PIECES)
		return 1;
	for (i = 0; i < j->npieces && o == NULL; i++)
		if (j->pieces[j->npieces - 1 - i].item->object == it->object)
			o = j->pieces[j->npieces - 1 - i].object;
	if (o == NULL) {
		int rc;

		if (j->nobjects == JOB_OBJECTS)
			return 1;
		rc = chain_get(&en->chain, it->object, &o, e);
		if (rc < 0)
			return rc;
		j->objects[j->nobjects++] = it->object;
	}
	j->pieces[j->npieces++] = (struct job_piece){
	    .item = it, .object = o, .first = first, .count = count};
	return 0;
}

/* A job that was not submitted: its objects may be closed. */
static void drop_job(struct engine *en, struct job *j)
{
	while (j->nobjects > 0)
		chain_put(&en->chain, j->objects[--j->nobjects]);
}

/* ---- a window of a target that takes any place ---- */

/* Items stand object by object: reads ascend and are put together. */
static int write_items(struct engine *en, struct err *e)
{
	uint32_t i = 0;
	int rc = 0;

	while (rc == 0 && i < en->plan.nitems) {
		struct job *j = free_job(en, &rc, e);
		uint64_t bytes = 0;

		if (j == NULL)
			break;
		while (i < en->plan.nitems && bytes < en->ctx.bytes) {
			const struct plan_item *it = &en->plan.items[i];

			rc = add_piece(en, j, it, it->first, it->count, e);
			if (rc != 0)
				break;
			bytes += plan_item_len(&en->plan, it);
			i++;
		}
		if (rc < 0) {
			drop_job(en, j);
			break;
		}
		rc = 0;
		pool_submit(en->pool);
	}
	return drain(en, rc, e);
}

static int zero_range(struct engine *en, uint64_t at, uint64_t end,
		      struct err *e)
{
	int rc = 0;

	while (rc == 0 && at < end) {
		uint64_t n =
		    end - at < ZERO_JOB_BYTES ? end - at : ZERO_JOB_BYTES;

		rc = stopped(en, e);
		if (rc == 0)
			rc = target_zero(en->r->target, at, n, e);
		at += n;
	}
	return rc;
}

/* What no item provides is zero and was perhaps not so on a device. */
static int write_gaps(struct engine *en, struct err *e)
{
	const struct plan *p = &en->plan;
	uint64_t at = p->start;
	uint32_t i;
	int rc = 0;

	if (target_kind(en->r->target) != TARGET_DEVICE)
		return 0;
	for (i = 0; rc == 0 && i < p->nitems; i++) {
		const struct plan_item *it = &p->items[p->order[i]];
		uint64_t offset = plan_item_offset(p, it);

		rc = zero_range(en, at, offset, e);
		at = offset + plan_item_len(p, it);
	}
	return rc < 0 ? rc : zero_range(en, at, p->end, e);
}

/* ---- a window of a stream ---- */

static uint64_t item_end(const struct plan *p, const struct plan_item *it)
{
	return plan_item_offset(p, it) + plan_item_len(p, it);
}

/*
 * Fills a job with the bytes from `at` on; *next is the first item that ends
 * behind `at`. A job ends before an item that it cannot hold whole, so that no
 * record is read twice (but for one whose middle was superseded).
 */
static int fill_stream(struct engine *en, struct job *j, uint64_t at,
		       uint32_t *next, struct err *e)
{
	const struct plan *p = &en->plan;
	uint32_t bs = en->chain.block_size, i;
	uint64_t end =
	    at + en->ctx.bytes < p->end ? at + en->ctx.bytes : p->end;

	j->offset = at;
	for (i = *next; i < p->nitems; i++) {
		const struct plan_item *it = &p->items[p->order[i]];
		uint64_t from = plan_item_offset(p, it), to = item_end(p, it);
		uint16_t first = it->first;
		int rc;

		if (from >= end)
			break;
		if (to > end && from > j->offset) {
			end = from;
			break;
		}
		if (from < at)
			first = (uint16_t)(first + (at - from) / bs);
		else
			at = from;
		to = to < end ? to : end;
		rc = add_piece(en, j, it, first,
			       (uint16_t)seg_blocks(to - at, bs), e);
		if (rc < 0)
			return rc;
		if (rc > 0) {
			end = from;
			break;
		}
		at = to;
	}
	*next = i;
	if (j->npieces == 0) {
		end = i < p->nitems
			  ? plan_item_offset(p, &p->items[p->order[i]])
			  : p->end;
		if (end - j->offset > ZERO_JOB_BYTES)
			end = j->offset + ZERO_JOB_BYTES;
	}
	j->len = end - j->offset;
	return 0;
}

static int write_stream(struct engine *en, struct err *e)
{
	const struct plan *p = &en->plan;
	/* Behind what a former plan of this window has put out. */
	uint64_t at = en->at > p->start ? en->at : p->start;
	uint32_t next = 0;
	int rc = 0;

	while (rc == 0 && at < p->end) {
		struct job *j = free_job(en, &rc, e);

		if (j == NULL)
			break;
		while (next < p->nitems &&
		       item_end(p, &p->items[p->order[next]]) <= at)
			next++;
		rc = fill_stream(en, j, at, &next, e);
		if (rc < 0) {
			drop_job(en, j);
			break;
		}
		at = j->offset + j->len;
		pool_submit(en->pool);
	}
	return drain(en, rc, e);
}

/* ---- the passes ---- */

static bool plan_is_whole(const struct engine *en)
{
	return en->plan.chain == &en->chain && en->plan.start == 0 &&
	       en->plan.end == en->chain.disk_size;
}

/*
 * Plans the whole disk without reading data: the disk digest that comes out
 * must be the source's.
 */
static int check_plan(struct engine *en, struct err *e)
{
	uint64_t at = 0, size = en->chain.disk_size;
	uint8_t digest[SHA256_LEN];
	int rc = 0;

	en->ret->data_bytes = 0;
	while (rc == 0 && at < size) {
		rc = stopped(en, e);
		if (rc == 0)
			rc = plan_window(&en->plan, &en->chain, at, e);
		if (rc == 0)
			rc = plan_group_digests(&en->plan, en->groups, e);
		en->ret->data_bytes += en->plan.data_bytes;
		at = en->plan.end;
	}
	if (rc < 0)
		return rc;
	disk_digest_of(size, en->chain.block_size, en->groups, digest);
	if (!en->chain.has_disk_digest ||
	    memcmp(digest, en->chain.disk_digest, SHA256_LEN) != 0)
		return err_set(e, PS_DATA,
			       "%s/%s: what segment %llu leads to is not what "
			       "the source had: the disk digest differs",
			       en->r->machine, en->r->disk,
			       (unsigned long long)en->r->seq);
	memcpy(en->ret->disk_digest, digest, SHA256_LEN);
	return 0;
}

/* The plan of this window is the one that was checked. */
static int same_plan(struct engine *en, struct err *e)
{
	size_t first = (size_t)(en->plan.start / DISK_GROUP_BYTES);
	size_t n = (size_t)disk_groups(en->plan.end - en->plan.start);
	int rc = plan_group_digests(&en->plan, en->again, e);

	if (rc < 0)
		return rc;
	if (memcmp(en->again + first * SHA256_LEN,
		   en->groups + first * SHA256_LEN, n * SHA256_LEN) != 0)
		return err_set(e, PS_DATA,
			       "%s/%s: an index changed while it was read",
			       en->r->machine, en->r->disk);
	return 0;
}

static int write_all(struct engine *en, struct err *e)
{
	bool planned = plan_is_whole(en);
	int rc = 0;

	while (rc == 0 && en->done < en->chain.disk_size) {
		if (!planned)
			rc = plan_window(&en->plan, &en->chain, en->done, e);
		if (rc == 0)
			rc = same_plan(en, e);
		if (rc == 0 && en->stream)
			rc = write_stream(en, e);
		else if (rc == 0)
			rc = write_gaps(en, e);
		if (rc == 0 && !en->stream)
			rc = write_items(en, e);
		if (rc == 0)
			en->done = en->plan.end;
		planned = false;
	}
	return rc;
}

/* What is known once the chain has been surveyed. */
static int accept_chain(struct engine *en, struct err *e)
{
	const struct chain *c = &en->chain;
	size_t groups = (size_t)disk_groups(c->disk_size);
	int rc;

	if (en->begun && c->disk_size != en->ret->disk_size)
		return err_set(e, PS_DATA, "%s/%s: the point was replaced",
			       c->machine, c->disk);
	if (c->keys != NULL && !c->authenticated && !en->r->allow_unsealed) {
		rc = err_set(e, PS_DATA,
			     "%s/%s: the key proves nothing about this point: "
			     "it is not sealed",
			     c->machine, c->disk);
		err_hint(e, "if that is as it should be, say "
			    "--allow-unsealed");
		return rc;
	}
	en->ret->disk_size = c->disk_size;
	en->ret->objects = c->nobjects;
	en->ret->authenticated = c->authenticated;
	free(en->groups);
	free(en->again);
	en->groups = malloc((groups + 1) * SHA256_LEN);
	en->again = malloc((groups + 1) * SHA256_LEN);
	if (en->groups == NULL || en->again == NULL)
		return err_sys(e, PS_TEMPFAIL, "disk digest");
	return 0;
}

/* From the survey on; after a 404, on from what is written. */
static int attempt(struct engine *en, struct err *e)
{
	const struct restore *r = en->r;
	uint8_t former[SHA256_LEN];
	int rc = chain_survey(&en->chain, r->vault, r->machine, r->disk, r->seq,
			      r->keys, e);

	if (rc < 0)
		return rc;
	memcpy(former, en->ret->disk_digest, SHA256_LEN);
	plan_init(&en->plan, r->plan_limit);
	rc = accept_chain(en, e);
	if (rc == 0)
		rc = check_plan(en, e);
	if (rc == 0 && en->begun &&
	    memcmp(former, en->ret->disk_digest, SHA256_LEN) != 0)
		rc = err_set(e, PS_DATA, "%s/%s: the point was replaced",
			     r->machine, r->disk);
	if (rc == 0 && !en->begun) {
		rc = target_begin(r->target, en->chain.disk_size,
				  en->ret->data_bytes, e);
		progress_begin("restored", en->stream ? en->ret->disk_size
						      : en->ret->data_bytes);
		en->begun = rc == 0;
	}
	if (rc == 0)
		rc = write_all(en, e);
	plan_free(&en->plan);
	chain_free(&en->chain);
	return rc;
}

int restore_run(const struct restore *r, struct restore_result *ret,
		struct err *e)
{
	struct restore_result result = {0};
	struct engine en = {.r = r, .ret = &result};
	struct err here = {0};
	int rc = setup_jobs(&en, &here);

	if (rc == 0)
		rc = attempt(&en, &here);
	while (rc == -PS_NOINPUT && result.replans < REPLANS_MAX) {
		result.replans++;
		rc = attempt(&en, &here);
	}
	if (rc == 0)
		rc = target_commit(r->target, &here);
	progress_end();
	free_jobs(&en);
	free(en.groups);
	free(en.again);
	if (rc == 0)
		*ret = result;
	else if (e != NULL)
		*e = here;
	return rc;
}
