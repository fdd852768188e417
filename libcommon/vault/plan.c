#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/pool.h"
#include "disk/digest.h"
#include "vault/plan.h"

#define LIMIT_DEFAULT (1u << 19) /* items: 24 MiB, and 32 MiB of digests */
#define DIGESTS_PER_ITEM 4u
#define WINDOW_BLOCKS_MAX (1ull << 28) /* a bitmap of 32 MiB */

void plan_init(struct plan *p, uint32_t limit)
{
	*p = (struct plan){.limit = limit != 0 ? limit : LIMIT_DEFAULT,
			   .try_bytes = UINT64_MAX};
}

void plan_free(struct plan *p)
{
	free(p->items);
	free(p->digests);
	free(p->order);
	bitmap_free(&p->done);
	*p = (struct plan){0};
}

uint64_t plan_item_offset(const struct plan *p, const struct plan_item *it)
{
	return it->offset + (uint64_t)it->first * p->chain->block_size;
}

uint64_t plan_item_len(const struct plan *p, const struct plan_item *it)
{
	uint64_t len = (uint64_t)it->count * p->chain->block_size;
	uint64_t left = p->chain->disk_size - plan_item_offset(p, it);

	return len < left ? len : left;
}

/* ---- the window ---- */

static uint64_t window_blocks(const struct plan *p)
{
	return seg_blocks(p->end - p->start, p->chain->block_size);
}

/* Drops what lies behind the new end of the window; no item crosses it. */
static void drop_behind(struct plan *p)
{
	uint32_t i, n = 0, nd = 0;

	for (i = 0; i < p->nitems; i++) {
		struct plan_item it = p->items[i];

		if (plan_item_offset(p, &it) >= p->end)
			continue;
		memmove(p->digests + (size_t)nd * BLOCK_DIGEST_LEN,
			p->digests + (size_t)it.digest * BLOCK_DIGEST_LEN,
			(size_t)it.count * BLOCK_DIGEST_LEN);
		it.digest = nd;
		nd += it.count;
		p->items[n++] = it;
	}
	p->nitems = n;
	p->ndigests = nd;
}

/* Halves the window; false when it is one group and cannot be cut. */
static bool cut(struct plan *p)
{
	uint64_t groups = disk_groups(p->end - p->start);

	if (groups <= 1)
		return false;
	p->end = p->start + groups / 2 * DISK_GROUP_BYTES;
	drop_behind(p);
	p->ndone = bitmap_count(&p->done, window_blocks(p));
	return true;
}

static int grow(void **p, uint32_t *cap, size_t size, struct err *e)
{
	uint32_t n = *cap == 0 ? 1024 : *cap * 2;
	void *grown = reallocarray(*p, n, size);

	if (grown == NULL)
		return err_sys(e, PS_TEMPFAIL, "restore plan");
	*p = grown;
	*cap = n;
	return 0;
}

/*
 * Room for one item of `count` blocks. 1: the window had to be cut, look
 * again whether the item is still in it.
 */
static int make_room(struct plan *p, uint32_t count, struct err *e)
{
	int rc = 0;

	if ((p->nitems >= p->limit ||
	     p->ndigests + count > p->limit * DIGESTS_PER_ITEM) &&
	    cut(p))
		return 1;
	if (p->nitems == p->items_cap)
		rc = grow((void **)&p->items, &p->items_cap, sizeof(*p->items),
			  e);
	while (rc == 0 && p->ndigests + count > p->digests_cap)
		rc = grow((void **)&p->digests, &p->digests_cap,
			  BLOCK_DIGEST_LEN, e);
	return rc;
}

/* ---- records ---- */

static bool is_zero_block(const struct seg_ref *ref, uint64_t i)
{
	return bytes_all_zero(ref->digests + i * BLOCK_DIGEST_LEN,
			      BLOCK_DIGEST_LEN);
}

/*
 * Adds an item: blocks first .. end - 1 of a record, none done, none zero.
 * 1: the window was cut.
 */
static int take(struct plan *p, const struct seg_ref *ref, uint32_t object,
		uint64_t first, uint64_t end, struct err *e)
{
	uint32_t count = (uint32_t)(end - first);
	int rc = make_room(p, count, e);

	if (rc != 0)
		return rc;
	memcpy(p->digests + (size_t)p->ndigests * BLOCK_DIGEST_LEN,
	       ref->digests + first * BLOCK_DIGEST_LEN,
	       (size_t)count * BLOCK_DIGEST_LEN);
	p->items[p->nitems++] = (struct plan_item){
	    .pos = ref->pos,
	    .offset = ref->entry.offset,
	    .object = object,
	    .record_no = ref->record_no,
	    .raw_len = (uint32_t)ref->entry.raw_len,
	    .stored_len = ref->entry.stored_len,
	    .digest = p->ndigests,
	    .first = (uint16_t)first,
	    .count = (uint16_t)count,
	    .codec = ref->entry.codec,
	};
	p->ndigests += count;
	return 0;
}

/*
 * The part of a record that lies in the window, as blocks of the record;
 * false: none of it.
 */
static bool clip(const struct plan *p, const struct seg_ref *ref,
		 uint64_t *ret_first, uint64_t *ret_end)
{
	uint64_t from = ref->entry.offset, to = from + ref->entry.raw_len;

	if (from >= p->end || to <= p->start)
		return false;
	if (to > p->end)
		to = p->end;
	*ret_first =
	    from < p->start ? (p->start - from) / p->chain->block_size : 0;
	*ret_end = seg_blocks(to - from, p->chain->block_size);
	return true;
}

/*
 * Takes what is not done of blocks first .. end - 1 of a DATA record, run by
 * run. A run ends at a group's border, so that each has one group. A block
 * that the index gives the digest of zeros (sixteen zero bytes) is zero,
 * whatever the record holds: it is done and need not be read. 1: the window
 * was cut.
 */
static int add_data(struct plan *p, const struct seg_ref *ref, uint32_t object,
		    uint64_t base, uint64_t first, uint64_t end, struct err *e)
{
	uint32_t per_group = disk_group_blocks(p->chain->block_size);
	uint64_t at = base + first, stop;

	for (;; at = stop) {
		uint64_t limit;
		bool zero;

		at = bitmap_next_clear(&p->done, at, base + end);
		if (at == base + end)
			return 0;
		limit = (at / per_group + 1) * per_group;
		if (limit > base + end)
			limit = base + end;
		limit = bitmap_next_set(&p->done, at, limit);
		zero = is_zero_block(ref, at - base);
		for (stop = at + 1; stop < limit; stop++)
			if (is_zero_block(ref, stop - base) != zero)
				break;
		if (!zero) {
			int rc =
			    take(p, ref, object, at - base, stop - base, e);

			if (rc != 0)
				return rc;
		}
		p->ndone += bitmap_set(&p->done, at, stop - at);
	}
}

static int add_record(struct plan *p, const struct seg_ref *ref,
		      uint32_t object, struct err *e)
{
	uint64_t first, end;
	int rc = 1;

	/* Again when the window was cut: the record may be outside now. */
	while (rc > 0 && clip(p, ref, &first, &end)) {
		/*
		 * The bit of the record's block 0. It wraps when that lies
		 * before the window; base + first does not.
		 */
		uint64_t base = ref->entry.offset / p->chain->block_size -
				p->start / p->chain->block_size;

		rc = 0;
		if (ref->entry.zero)
			p->ndone +=
			    bitmap_set(&p->done, base + first, end - first);
		else
			rc = add_data(p, ref, object, base, first, end, e);
	}
	return rc < 0 ? rc : 0;
}

/* ---- pages, far away several at a time ---- */

/* A piece of work: a page that is read. */
struct load {
	const struct chain_page *page;
	const struct seg_object *o; /* NULL: it could not be opened */
	struct seg_page_view v;
	int rc;
	struct err err;
};

static void load_page(void *slot, void *ctx)
{
	struct load *l = slot;

	(void)ctx;
	if (l->o == NULL)
		return;
	if (l->page->number < l->o->npages)
		l->rc = seg_object_page(l->o, l->page->number, &l->v, &l->err);
	else
		l->rc = err_set(&l->err, PS_DATA, "index pages");
}

static void open_page_object(const struct plan *p, struct load *l,
			     const struct chain_page *page)
{
	*l = (struct load){.page = page};
	l->rc = chain_get(p->chain, page->object, &l->o, &l->err);
}

static bool is_wanted(const struct plan *p, const struct chain_page *page)
{
	return page->first < p->end && page->end > p->start &&
	       p->ndone < window_blocks(p);
}

/* Takes what was read over, unless something failed before; frees it. */
static int add_page(struct plan *p, struct load *l, int before, struct err *e)
{
	struct seg_ref ref;
	int rc = before;

	if (rc == 0 && l->rc < 0) {
		rc = l->rc;
		if (e != NULL)
			*e = l->err;
	} else if (rc == 0 && is_wanted(p, l->page)) {
		while ((rc = seg_page_view_next(l->o, &l->v, &ref, e)) > 0) {
			rc = add_record(p, &ref, l->page->object, e);
			if (rc < 0)
				break;
		}
	}
	if (l->o != NULL && l->rc == 0)
		seg_page_view_free(&l->v);
	if (l->o != NULL)
		chain_put(p->chain, l->page->object);
	if (rc < 0 && before == 0)
		chain_prefix(p->chain, l->page->object, e);
	return rc;
}

static int add_pages(struct plan *p, struct err *e)
{
	const struct chain *c = p->chain;
	struct load l;
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < c->npages; i++) {
		if (!is_wanted(p, &c->pages[i]))
			continue;
		open_page_object(p, &l, &c->pages[i]);
		load_page(&l, NULL);
		rc = add_page(p, &l, 0, e);
	}
	return rc;
}

static int add_far_pages(struct plan *p, struct err *e)
{
	const struct chain *c = p->chain;
	struct pool *pool;
	struct load *l;
	size_t i = 0;
	int rc = pool_new(&pool, CHAIN_AHEAD, CHAIN_AHEAD, sizeof(*l),
			  load_page, NULL, e);

	if (rc < 0)
		return rc;
	for (;;) {
		while (rc == 0 && i < c->npages && !is_wanted(p, &c->pages[i]))
			i++;
		l = rc == 0 && i < c->npages ? pool_slot(pool) : NULL;
		if (l != NULL) {
			open_page_object(p, l, &c->pages[i++]);
			pool_submit(pool);
			continue;
		}
		l = pool_take(pool);
		if (l == NULL)
			break;
		rc = add_page(p, l, rc, e);
		pool_release(pool);
	}
	pool_free(pool);
	return rc;
}

/* ---- order by place on the disk ---- */

static int by_place(const void *a, const void *b, void *ctx)
{
	const struct plan *p = ctx;
	uint64_t x = plan_item_offset(p, &p->items[*(const uint32_t *)a]);
	uint64_t y = plan_item_offset(p, &p->items[*(const uint32_t *)b]);

	return x < y ? -1 : x > y;
}

static int sort(struct plan *p, struct err *e)
{
	uint32_t i;

	free(p->order);
	p->data_bytes = 0;
	p->order = malloc(((size_t)p->nitems + 1) * sizeof(*p->order));
	if (p->order == NULL)
		return err_sys(e, PS_TEMPFAIL, "restore plan");
	for (i = 0; i < p->nitems; i++) {
		p->order[i] = i;
		p->data_bytes += plan_item_len(p, &p->items[i]);
	}
	qsort_r(p->order, p->nitems, sizeof(*p->order), by_place, p);
	return 0;
}

/* ---- the whole ---- */

static int begin_window(struct plan *p, struct chain *c, uint64_t start,
			struct err *e)
{
	uint64_t left = c->disk_size - start;
	uint64_t most = WINDOW_BLOCKS_MAX * c->block_size;
	uint64_t blocks;

	p->chain = c;
	p->start = start;
	p->nitems = p->ndigests = 0;
	p->ndone = 0;
	if (most > p->try_bytes)
		most = p->try_bytes;
	p->end = c->disk_size;
	if (left > most)
		p->end = start + most / DISK_GROUP_BYTES * DISK_GROUP_BYTES;
	blocks = window_blocks(p);
	if (p->done.words != NULL && p->done.bits >= blocks) {
		bitmap_clear(&p->done, blocks);
		return 0;
	}
	bitmap_free(&p->done);
	return bitmap_new(&p->done, blocks, e);
}

int plan_window(struct plan *p, struct chain *c, uint64_t start, struct err *e)
{
	int rc = begin_window(p, c, start, e);

	if (rc == 0)
		rc = c->vault->store->ops->far ? add_far_pages(p, e)
					       : add_pages(p, e);
	if (rc < 0)
		return rc;
	/* The density found here is the best guess for what follows. */
	if (p->end < c->disk_size)
		p->try_bytes = 2 * (p->end - p->start);
	return sort(p, e);
}

int plan_group_digests(const struct plan *p, uint8_t *out, struct err *e)
{
	uint32_t bs = p->chain->block_size, next = 0;
	uint64_t size = p->chain->disk_size, at;
	uint8_t *entries =
	    malloc((size_t)disk_group_blocks(bs) * BLOCK_DIGEST_LEN);

	if (entries == NULL)
		return err_sys(e, PS_TEMPFAIL, "disk digest");
	for (at = p->start; at < p->end; at += DISK_GROUP_BYTES) {
		uint64_t group = at / DISK_GROUP_BYTES;
		uint32_t n = disk_blocks_in_group(size, bs, group);
		bool touched = false;

		for (; next < p->nitems; next++) {
			const struct plan_item *it = &p->items[p->order[next]];
			uint64_t block = (plan_item_offset(p, it) - at) / bs;

			if (block >= n)
				break;
			if (!touched)
				memset(entries, 0,
				       (size_t)n * BLOCK_DIGEST_LEN);
			touched = true;
			memcpy(entries + block * BLOCK_DIGEST_LEN,
			       p->digests +
				   (size_t)it->digest * BLOCK_DIGEST_LEN,
			       (size_t)it->count * BLOCK_DIGEST_LEN);
		}
		if (touched)
			disk_group_digest(entries, n, out + group * SHA256_LEN);
		else
			disk_group_zero(n, out + group * SHA256_LEN);
	}
	free(entries);
	return 0;
}
