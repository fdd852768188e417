#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/pool.h"
#include "base/progress.h"
#include "base/rate.h"
#include "disk/digest.h"
#include "disk/sweep.h"

#define READ_SIZE SEG_RECORD_RAW_MAX
#define BLOCKS_PER_READ (READ_SIZE / SEG_BLOCK_MIN)
#define NO_GROUP UINT64_MAX
/* Reads under way: enough for a disk array, and a bound on memory. */
#define THREADS_MAX 16u

/* A piece of the disk, inside one group. */
struct piece {
	uint64_t offset, len;
	bool hole;
	/* of a read: at most READ_SIZE bytes, and their block digests */
	uint8_t *bytes;
	uint8_t digests[BLOCKS_PER_READ * BLOCK_DIGEST_LEN];
	int rc;
	struct err err;
};

struct run {
	const struct sweep *s;
	struct pool *pool;
	uint64_t size;
	uint32_t bs;
	uint8_t *groups;   /* digests as the map keeps them */
	uint8_t *entries;  /* of the group that is worked on */
	uint64_t group;	   /* its number, or NO_GROUP */
	uint64_t map_data; /* first block behind `map_looked` with an entry */
	uint64_t map_looked;
	uint64_t done;
	struct rate rate;
};

/* ---- in the workers ---- */

static void read_and_hash(void *slot, void *ctx)
{
	const struct sweep *s = ctx;
	struct piece *p = slot;
	size_t pos, bs = s->block_size, len = (size_t)p->len;

	p->rc = 0;
	if (p->hole)
		return;
	p->rc = source_read(s->src, p->offset, p->bytes, len, &p->err);
	for (pos = 0; p->rc == 0 && pos < len; pos += bs)
		block_digest(p->bytes + pos, len - pos < bs ? len - pos : bs,
			     bs, p->digests + pos / bs * BLOCK_DIGEST_LEN);
}

/* ---- what comes back, in order ---- */

/* The digest of the group that is worked on, on a disk of this size. */
static void group_digest(const struct run *r, uint64_t size,
			 uint8_t out[SHA256_LEN])
{
	uint32_t n = disk_blocks_in_group(size, r->bs, r->group);

	if (bytes_all_zero(r->entries, (size_t)n * BLOCK_DIGEST_LEN))
		memset(out, 0, SHA256_LEN);
	else
		disk_group_digest(r->entries, n, out);
}

static uint8_t *group_place(const struct run *r)
{
	return r->groups + r->group * SHA256_LEN;
}

/*
 * Entries that do not fit their digest were damaged. What they claim would
 * not be sent, and the disk digest of every later point would be wrong.
 */
static int group_check(const struct run *r, uint64_t size, struct err *e)
{
	uint8_t digest[SHA256_LEN];

	group_digest(r, size, digest);
	if (memcmp(digest, group_place(r), SHA256_LEN) == 0)
		return 0;
	err_set(e, PS_DATA, "%s: damaged: the entries of GiB %llu",
		r->s->map->path, (unsigned long long)r->group);
	err_hint(e, "fetch the digest map from the server, or start a new base "
		    "with --full");
	return -PS_DATA;
}

static int group_leave(struct run *r, struct err *e)
{
	uint32_t i, n;

	if (r->group == NO_GROUP)
		return 0;
	n = disk_blocks_in_group(r->size, r->bs, r->group);
	for (i = 0; r->s->map != NULL && i < n; i++)
		if (map_entry_unknown(r->entries +
				      (size_t)i * BLOCK_DIGEST_LEN)) {
			err_set(e, PS_DATA,
				"%s: a block is unknown and not in the dirty "
				"list",
				r->s->map->path);
			err_hint(e, "start a new base with --full");
			return -PS_DATA;
		}
	group_digest(r, r->size, group_place(r));
	r->group = NO_GROUP;
	return 0;
}

/* `size` of the disk when the digest of the group was made. */
static int group_read(struct run *r, uint64_t group, uint64_t size,
		      struct err *e)
{
	uint32_t n = disk_blocks_in_group(r->size, r->bs, group);
	int rc = map_read(r->s->map, group * disk_group_blocks(r->bs), n,
			  r->entries, e);

	r->group = group;
	return rc < 0 ? rc : group_check(r, size, e);
}

static int group_enter(struct run *r, uint64_t group, struct err *e)
{
	uint32_t n = disk_blocks_in_group(r->size, r->bs, group);
	int rc = group_leave(r, e);

	if (rc < 0)
		return rc;
	if (r->s->map != NULL)
		return group_read(r, group, r->size, e);
	memset(r->entries, 0, (size_t)n * BLOCK_DIGEST_LEN);
	r->group = group;
	return 0;
}

static const uint8_t zero_entry[BLOCK_DIGEST_LEN];

enum state { SAME, ZERO, DATA };

static enum state compare(const uint8_t *entry, const uint8_t *now)
{
	if (memcmp(entry, now, BLOCK_DIGEST_LEN) == 0)
		return SAME;
	return memcmp(now, zero_entry, BLOCK_DIGEST_LEN) == 0 ? ZERO : DATA;
}

/* Hands out n blocks from number `first` of a piece. */
static int hand_out(struct run *r, const struct piece *p, enum state what,
		    uint64_t first, uint64_t n, struct err *e)
{
	uint64_t from = first * r->bs, to = (first + n) * r->bs;

	if (what == SAME)
		return 0;
	if (to > p->len)
		to = p->len;
	if (what == ZERO)
		return r->s->zero == NULL
			   ? 0
			   : r->s->zero(r->s->ctx, p->offset + from, to - from,
					e);
	return r->s->data == NULL
		   ? 0
		   : r->s->data(r->s->ctx, p->offset + from,
				(uint32_t)(to - from), p->bytes + from,
				p->digests + first * BLOCK_DIGEST_LEN, e);
}

/* Compares a piece with the map, block by block, and hands out the runs. */
static int consume_blocks(struct run *r, const struct piece *p, struct err *e)
{
	uint64_t n = seg_blocks(p->len, r->bs), i, first = 0;
	uint8_t *entry = r->entries + p->offset % DISK_GROUP_BYTES / r->bs *
					  BLOCK_DIGEST_LEN;
	enum state now, before = SAME;
	int rc;

	for (i = 0; i < n; i++, entry += BLOCK_DIGEST_LEN) {
		const uint8_t *d =
		    p->hole ? zero_entry : p->digests + i * BLOCK_DIGEST_LEN;

		now = compare(entry, d);
		if (now != SAME)
			memcpy(entry, d, BLOCK_DIGEST_LEN);
		if (now == before)
			continue;
		rc = hand_out(r, p, before, first, i - first, e);
		if (rc < 0)
			return rc;
		first = i;
		before = now;
	}
	return hand_out(r, p, before, first, n - first, e);
}

/* Takes the oldest piece. 1; 0 when none is under way; -CODE. */
static int consume(struct run *r, struct err *e)
{
	struct piece *p = pool_take(r->pool);
	int rc;

	if (p == NULL)
		return 0;
	rc = p->rc;
	if (rc < 0 && e != NULL)
		*e = p->err;
	if (rc == 0 && p->offset / DISK_GROUP_BYTES != r->group)
		rc = group_enter(r, p->offset / DISK_GROUP_BYTES, e);
	if (rc == 0)
		rc = consume_blocks(r, p, e);
	r->done += p->len;
	progress_at(r->done);
	pool_release(r->pool);
	return rc < 0 ? rc : 1;
}

/* ---- what goes in ---- */

static int submit(struct run *r, uint64_t from, uint64_t to, bool hole,
		  struct err *e)
{
	struct piece *p;

	while ((p = pool_slot(r->pool)) == NULL) {
		int rc = consume(r, e);

		if (rc < 0)
			return rc;
	}
	p->offset = from;
	p->len = to - from;
	p->hole = hole;
	pool_submit(r->pool);
	return 0;
}

/* Data between from and to, which lie in one group; from on a block. */
static int submit_reads(struct run *r, uint64_t from, uint64_t to,
			struct err *e)
{
	while (from < to) {
		uint64_t end = from - from % READ_SIZE + READ_SIZE;
		int rc;

		if (end > to)
			end = to;
		rate_take(&r->rate, (size_t)(end - from));
		rc = submit(r, from, end, false, e);
		if (rc < 0)
			return rc;
		from = end;
	}
	return 0;
}

/* No entry of the map between two bytes of the disk is other than zero. */
static bool map_is_zero(struct run *r, uint64_t from, uint64_t to)
{
	uint64_t first = from / r->bs;

	if (r->s->map == NULL)
		return true;
	if (first > r->map_data || first < r->map_looked || r->map_data == 0) {
		r->map_data = map_next_data(r->s->map, first);
		r->map_looked = first;
	}
	return r->map_data >= seg_blocks(to, r->bs);
}

/* A dirty stretch inside one group; both ends on blocks or disk's end. */
static int sweep_stretch(struct run *r, uint64_t from, uint64_t to,
			 struct err *e)
{
	uint64_t data, end;
	int rc = 0;

	while (rc == 0 && from < to) {
		bool found = source_next_data(r->s->src, from, to, &data, &end);

		if (!found)
			data = end = to;
		/* A block that is partly a hole is read. */
		data -= data % r->bs;
		if (data < from)
			data = from;
		if (data > from) {
			if (map_is_zero(r, from, data))
				r->done += data - from;
			else
				rc = submit(r, from, data, true, e);
		}
		if (end % r->bs != 0)
			end += r->bs - end % r->bs;
		if (end > to)
			end = to;
		if (rc == 0)
			rc = submit_reads(r, data, end, e);
		from = end;
	}
	return rc;
}

/* One dirty range, group by group; *pos is where the last one ended. */
static int sweep_range(struct run *r, const struct range *x, uint64_t *pos,
		       struct err *e)
{
	uint64_t from = x->start - x->start % r->bs, to = x->end;
	int rc = 0;

	if (from < *pos)
		from = *pos;
	if (to > r->size)
		to = r->size;
	if (to % r->bs != 0)
		to += r->bs - to % r->bs;
	if (to > r->size)
		to = r->size;
	while (rc == 0 && from < to) {
		uint64_t end =
		    from - from % DISK_GROUP_BYTES + DISK_GROUP_BYTES;

		if (end > to)
			end = to;
		rc = sweep_stretch(r, from, end, e);
		from = end;
		*pos = end;
	}
	return rc;
}

/* ---- the whole ---- */

/*
 * The group digests of the map; behind its end all is zero, though a growth
 * that was taken back half-way may have left digests there. When the disk has
 * grown, the digest of the group that held the old end was made over fewer
 * blocks.
 */
static int groups_load(struct run *r, struct err *e)
{
	const struct map *m = r->s->map;
	uint64_t tail = m->head.disk_size / DISK_GROUP_BYTES;
	int rc = map_groups_read(m, m->head.disk_size, r->groups, e);

	if (rc < 0 || r->size <= m->head.disk_size ||
	    m->head.disk_size % DISK_GROUP_BYTES == 0)
		return rc;
	rc = group_read(r, tail, m->head.disk_size, e);
	/* Its blocks may be unknown: that is for the sweep to settle. */
	if (rc == 0)
		group_digest(r, r->size, group_place(r));
	r->group = NO_GROUP;
	return rc;
}

static int run_open(struct run *r, struct err *e)
{
	unsigned i, threads = r->s->threads;
	size_t groups = (size_t)disk_groups(r->size) * SHA256_LEN;
	int rc;

	if (threads == 0)
		threads = pool_cpus() + 1; /* one of them waits for the disk */
	if (threads > THREADS_MAX)
		threads = THREADS_MAX;
	r->groups = calloc(1, groups + 1);
	r->entries =
	    malloc((size_t)disk_group_blocks(r->bs) * BLOCK_DIGEST_LEN);
	if (r->groups == NULL || r->entries == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s", r->s->src->path);
	if (r->s->map != NULL) {
		rc = groups_load(r, e);
		if (rc < 0)
			return rc;
	}
	rc = pool_new(&r->pool, threads, 2 * threads, sizeof(struct piece),
		      read_and_hash, (void *)r->s, e);
	for (i = 0; rc == 0 && i < pool_depth(r->pool); i++) {
		struct piece *p = pool_at(r->pool, i);

		p->bytes = aligned_alloc(4096, READ_SIZE);
		if (p->bytes == NULL)
			rc = err_sys(e, PS_TEMPFAIL, "%s", r->s->src->path);
	}
	return rc;
}

static void run_close(struct run *r)
{
	uint8_t **bytes;
	unsigned i, depth = r->pool == NULL ? 0 : pool_depth(r->pool);

	/* The buffers go after the workers have stopped. */
	bytes = calloc(depth + 1, sizeof(*bytes));
	for (i = 0; bytes != NULL && i < depth; i++)
		bytes[i] = ((struct piece *)pool_at(r->pool, i))->bytes;
	pool_free(r->pool);
	for (i = 0; bytes != NULL && i < depth; i++)
		free(bytes[i]);
	free(bytes);
	free(r->groups);
	free(r->entries);
}

/* Group digests as the disk digest takes them: zero groups get theirs. */
static void finish_digest(struct run *r, uint8_t out[SHA256_LEN])
{
	uint64_t i, n = disk_groups(r->size);

	for (i = 0; i < n; i++) {
		uint8_t *g = r->groups + i * SHA256_LEN;

		if (bytes_all_zero(g, SHA256_LEN))
			disk_group_zero(disk_blocks_in_group(r->size, r->bs, i),
					g);
	}
	disk_digest_of(r->size, r->bs, r->groups, out);
}

int sweep_run(const struct sweep *s, uint8_t ret_disk_digest[SHA256_LEN],
	      struct err *e)
{
	struct run r = {.s = s,
			.size = s->src->size,
			.bs = s->block_size,
			.group = NO_GROUP,
			.rate.per_second = s->read_rate};
	uint64_t pos = 0;
	size_t i;
	int rc = run_open(&r, e);

	for (i = 0; rc == 0 && i < s->ranges->n; i++)
		rc = sweep_range(&r, &s->ranges->items[i], &pos, e);
	while (rc == 0 && (rc = consume(&r, e)) > 0)
		rc = 0;
	if (rc == 0)
		rc = group_leave(&r, e);
	if (rc == 0)
		finish_digest(&r, ret_disk_digest);
	run_close(&r);
	return rc;
}
