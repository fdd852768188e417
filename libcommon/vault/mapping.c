#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "disk/digestmap.h"
#include "vault/bitmap.h"
#include "vault/mapping.h"
#include "vault/restore-chain.h"

/* How often to plan again because retention took an object away. */
#define PLANS 5

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

static int apply_chain(struct mapping *m, struct chain *c, struct err *e)
{
	const struct seg_object *o;
	uint32_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < c->nobjects; i++) {
		rc = chain_get(c, i, &o, e);
		if (rc < 0)
			return rc;
		rc = seg_object_walk(o, apply, m, e);
		if (rc < 0)
			chain_prefix(c, i, e);
		chain_put(c, i);
	}
	return rc;
}

/* The map gets its name, or is handed over open. */
static int commit(struct mapping *m, struct chain *c, struct map *ret,
		  struct err *e)
{
	const struct seg_object *o;
	uint8_t digest[SHA256_LEN];
	bool point;
	int rc = chain_get(c, 0, &o, e);

	if (rc < 0)
		return rc;
	rc = vault_digest_of(&o->header, &o->trailer, o->header.seq, digest);
	point = o->trailer.last_part || !o->header.initial;
	if (rc < 0)
		rc = err_set(e, PS_DATA, "%s/%s: its last digest is missing",
			     c->machine, c->disk);
	else if (ret != NULL)
		map_build_hand_over(m->build, o->header.seq, digest, point,
				    ret);
	else
		rc =
		    map_build_commit(m->build, o->header.seq, digest, point, e);
	chain_put(c, 0);
	return rc;
}

static int build(struct chain *c, const char *path, struct map *ret,
		 struct err *e)
{
	struct mapping m = {.block_size = c->block_size};
	int rc =
	    bitmap_new(&m.done, seg_blocks(c->disk_size, c->block_size), e);

	if (rc < 0)
		return rc;
	if (ret != NULL)
		rc = map_build_anonymous(&m.build, c->machine, c->disk,
					 c->disk_size, c->block_size, e);
	else
		rc = map_build_begin(&m.build, path, c->machine, c->disk,
				     c->disk_size, c->block_size, e);
	if (rc == 0) {
		rc = apply_chain(&m, c, e);
		if (rc == 0)
			rc = commit(&m, c, ret, e);
		if (rc < 0)
			map_build_abort(m.build);
	}
	bitmap_free(&m.done);
	return rc;
}

/* Writes the map to `path`, or (ret) leaves it open without a name. */
static int make(struct vault *v, const char *machine, const char *disk,
		uint64_t seq, const struct keyring *keys, const char *path,
		struct map *ret, uint64_t *ret_seq, struct err *e)
{
	struct chain c;
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
	for (i = 0; i < PLANS && rc == -PS_NOINPUT; i++) {
		rc = chain_survey(&c, v, machine, disk, seq, keys, e);
		if (rc < 0)
			continue;
		rc = build(&c, path, ret, e);
		chain_free(&c);
	}
	if (rc == 0)
		*ret_seq = seq;
	return rc;
}

int vault_map(struct vault *v, const char *machine, const char *disk,
	      uint64_t seq, const struct keyring *keys, const char *path,
	      uint64_t *ret_seq, struct err *e)
{
	return make(v, machine, disk, seq, keys, path, NULL, ret_seq, e);
}

int vault_digestmap(struct vault *v, const char *machine, const char *disk,
		    uint64_t seq, const struct keyring *keys,
		    struct io_out *out, uint64_t *ret_seq, struct err *e)
{
	struct map m;
	int rc = make(v, machine, disk, seq, keys, NULL, &m, ret_seq, e);

	if (rc < 0)
		return rc;
	rc = digestmap_write(&m, out, e);
	map_close(&m);
	return rc;
}
