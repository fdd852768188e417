#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "disk/map.h"
#include "vault/bitmap.h"
#include "vault/mapping.h"

struct mapping {
	struct map_build *build;
	uint32_t block_size;
	struct bitmap done; /* blocks that a newer segment has set */
};

/*
 * Newest first: only what no newer segment has set counts. A new map is all
 * zero, so a ZERO record has nothing to write.
 */
static int apply(void *ctx, const struct seg_ref *ref, struct err *e)
{
	struct mapping *m = ctx;
	uint64_t first = ref->entry.offset / m->block_size;
	uint64_t n = seg_blocks(ref->entry.raw_len, m->block_size);
	uint64_t from = first, to;

	if (first > m->done.bits || n > m->done.bits - first)
		return err_set(e, PS_DATA, "a record lies outside the disk");
	while (!ref->entry.zero && from < first + n) {
		int rc = 0;

		from = bitmap_next_clear(&m->done, from, first + n);
		to = bitmap_next_set(&m->done, from, first + n);
		if (to > from)
			rc = map_build_put(m->build, from, to - from,
					   ref->digests + (from - first) *
							      BLOCK_DIGEST_LEN,
					   e);
		if (rc < 0)
			return rc;
		from = to;
	}
	bitmap_set(&m->done, first, n);
	return 0;
}

static int apply_chain(struct mapping *m, const struct vault_chain *c,
		       struct err *e)
{
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < c->n; i++) {
		const struct vault_object *o = c->objects[i];

		if (!o->seg.readable)
			return err_set(e, PS_NOPERM,
				       "%s: is sealed, its key is needed",
				       o->name);
		rc = seg_object_check_digest(&o->seg, e);
		if (rc == 0)
			rc = seg_object_walk(&o->seg, apply, m, e);
		if (rc < 0)
			err_prefix(e, "%s", o->name);
	}
	return rc;
}

static int commit(struct mapping *m, const struct vault_object *head,
		  struct err *e)
{
	const struct seg_header *h = &head->seg.header;
	const struct seg_trailer *t = &head->seg.trailer;
	uint8_t digest[SHA256_LEN];

	if (vault_digest_of(h, t, h->seq, digest) < 0)
		return err_set(e, PS_DATA, "%s: its last digest is missing",
			       head->name);
	return map_build_commit(m->build, h->seq, digest,
				t->last_part || !h->initial, e);
}

static int build(const struct vault_chain *c, const char *path, struct err *e)
{
	const struct seg_header *h = &c->objects[0]->seg.header;
	struct mapping m = {.block_size = h->block_size};
	int rc =
	    bitmap_new(&m.done, seg_blocks(h->disk_size, h->block_size), e);

	if (rc < 0)
		return rc;
	rc = map_build_begin(&m.build, path, h->machine, h->disk, h->disk_size,
			     h->block_size, e);
	if (rc == 0) {
		rc = apply_chain(&m, c, e);
		if (rc == 0)
			rc = commit(&m, c->objects[0], e);
		if (rc < 0)
			map_build_abort(m.build);
	}
	bitmap_free(&m.done);
	return rc;
}

int vault_map(struct vault *v, const char *machine, const char *disk,
	      uint64_t seq, const struct keyring *keys, const char *path,
	      uint64_t *ret_seq, struct err *e)
{
	struct vault_chain c;
	uint8_t digest[SHA256_LEN];
	int i, rc = 0;

	if (seq == 0)
		rc = vault_head(v, machine, disk, &seq, digest, e);
	if (rc == 0 && seq == 0)
		rc =
		    err_set(e, PS_NO, "%s/%s: not in the vault", machine, disk);
	if (rc < 0)
		return rc;
	rc = -PS_NOINPUT;
	for (i = 0; i < 5 && rc == -PS_NOINPUT; i++) {
		rc = vault_chain(v, machine, disk, seq, keys, &c, e);
		if (rc < 0)
			return rc;
		rc = build(&c, path, e);
		vault_chain_free(&c);
	}
	if (rc == 0)
		*ret_seq = seq;
	return rc;
}
