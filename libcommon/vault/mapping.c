#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "disk/map.h"
#include "vault/mapping.h"

struct mapping {
	struct map_build *build;
	uint32_t block_size;
	uint64_t blocks;
	uint64_t *done; /* one bit for each block that a newer segment set */
};

static bool is_done(const struct mapping *m, uint64_t block)
{
	return (m->done[block / 64] >> (block % 64) & 1) != 0;
}

/* Marks a run; whole words at once, a run of zeros may be the whole disk. */
static void mark(struct mapping *m, uint64_t block, uint64_t n)
{
	while (n > 0) {
		if (block % 64 == 0 && n >= 64) {
			m->done[block / 64] = UINT64_MAX;
			block += 64;
			n -= 64;
		} else {
			m->done[block / 64] |= 1ull << (block % 64);
			block++;
			n--;
		}
	}
}

/*
 * Newest first: only what no newer segment has set counts. A new map is all
 * zero, so a ZERO record has nothing to write.
 */
static int apply(void *ctx, const struct seg_ref *ref, struct err *e)
{
	struct mapping *m = ctx;
	uint64_t first = ref->entry.offset / m->block_size;
	uint64_t n = seg_blocks(ref->entry.raw_len, m->block_size);
	uint64_t i = 0, run;
	int rc = 0;

	if (first > m->blocks || n > m->blocks - first)
		return err_set(e, PS_DATA, "a record lies outside the disk");
	while (rc == 0 && !ref->entry.zero && i < n) {
		for (run = 0; i + run < n && !is_done(m, first + i + run);)
			run++;
		if (run > 0)
			rc = map_build_put(m->build, first + i, run,
					   ref->digests + i * BLOCK_DIGEST_LEN,
					   e);
		i += run + 1;
	}
	if (rc == 0)
		mark(m, first, n);
	return rc;
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
	int rc;

	m.blocks = seg_blocks(h->disk_size, h->block_size);
	m.done = calloc((size_t)(m.blocks / 64 + 1), sizeof(*m.done));
	if (m.done == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s", path);
	rc = map_build_begin(&m.build, path, h->machine, h->disk, h->disk_size,
			     h->block_size, e);
	if (rc == 0) {
		rc = apply_chain(&m, c, e);
		if (rc == 0)
			rc = commit(&m, c->objects[0], e);
		if (rc < 0)
			map_build_abort(m.build);
	}
	free(m.done);
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
