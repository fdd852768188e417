#include "config.h"

#include <string.h>

#include "disk/apply.h"
#include "disk/digest.h"

/* Groups that were touched and whose digests are not yet made again. */
struct touch {
	struct map *m;
	uint64_t disk_size;
	uint64_t first, last; /* groups; first > last: none */
};

static int touch_flush(struct touch *t, struct err *e)
{
	int rc = 0;

	if (t->first <= t->last)
		rc =
		    map_groups_update(t->m, t->disk_size, t->first, t->last, e);
	t->first = 1;
	t->last = 0;
	return rc;
}

/* Bytes from..to were touched; they ascend from call to call. */
static int touch_add(struct touch *t, uint64_t from, uint64_t to, struct err *e)
{
	uint64_t first = from / DISK_GROUP_BYTES;
	uint64_t last = (to - 1) / DISK_GROUP_BYTES;
	int rc = 0;

	if (t->first <= t->last && first > t->last + 1)
		rc = touch_flush(t, e);
	if (t->first > t->last)
		t->first = first;
	t->last = last;
	return rc;
}

static int apply_record(void *ctx, const struct seg_entry *rec,
			const uint8_t *digests, struct err *e)
{
	struct touch *t = ctx;
	uint32_t bs = t->m->head.block_size;
	uint64_t first = rec->offset / bs, n = seg_blocks(rec->raw_len, bs);
	int rc = rec->zero ? map_write_zero(t->m, first, n, e)
			   : map_write(t->m, first, n, digests, e);

	if (rc == 0)
		rc = touch_add(t, rec->offset, rec->offset + rec->raw_len, e);
	return rc;
}

int map_apply(struct map *m, const struct journal_entry *en, struct err *e)
{
	const struct seg_header *h = &en->header;
	struct touch t = {
	    .m = m, .disk_size = h->disk_size, .first = 1, .last = 0};
	struct map_head next = m->head;
	int rc = 0;

	if (h->block_size != m->head.block_size ||
	    (h->kind == SEG_DELTA && h->disk_size < m->head.disk_size))
		return err_set(e, PS_DATA,
			       "%s: journal entry %llu is for another disk",
			       m->path, (unsigned long long)h->seq);
	if (h->kind == SEG_BASE) {
		rc = map_reset(m, h->disk_size, e);
		next.has_point = next.restart = false;
	} else if (h->disk_size != m->head.disk_size) {
		rc = map_resize(m, h->disk_size, e);
	}
	if (rc == 0)
		rc = journal_entry_walk(en, apply_record, &t, e);
	if (rc == 0)
		rc = touch_flush(&t, e);
	if (rc < 0)
		return rc;
	next.disk_size = h->disk_size;
	next.seq = h->seq;
	next.has_point = next.has_point || en->trailer.last_part;
	memcpy(next.digest, en->trailer.digest, SHA256_LEN);
	return map_commit(m, &next, e);
}

static int range_record(void *ctx, const struct seg_entry *rec,
			const uint8_t *digests, struct err *e)
{
	(void)digests;
	return ranges_add(ctx, rec->offset, rec->offset + rec->raw_len, e);
}

int entry_ranges(const struct journal_entry *en, struct ranges *r,
		 struct err *e)
{
	return journal_entry_walk(en, range_record, r, e);
}

static int forget_record(void *ctx, const struct seg_entry *rec,
			 const uint8_t *digests, struct err *e)
{
	struct touch *t = ctx;
	uint32_t bs = t->m->head.block_size;
	uint64_t end = rec->offset + rec->raw_len;
	int rc;

	(void)digests;
	if (rec->offset >= t->disk_size)
		return 0;
	if (end > t->disk_size)
		end = t->disk_size;
	rc = map_write_unknown(t->m, rec->offset / bs,
			       seg_blocks(end - rec->offset, bs), e);
	if (rc == 0)
		rc = touch_add(t, rec->offset, end, e);
	return rc;
}

int map_forget(struct map *m, const struct journal_entry *en, struct err *e)
{
	struct touch t = {
	    .m = m, .disk_size = m->head.disk_size, .first = 1, .last = 0};
	int rc = journal_entry_walk(en, forget_record, &t, e);

	return rc < 0 ? rc : touch_flush(&t, e);
}
