#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "vault/tail-cache.h"
#include "vault/tails.h"

/* How often to list again because retention took an object away. */
#define PLANS 5
/* Stores far away answer late: more requests under way than processors. */
#define READERS 8
#define READERS_FAR 32
#define PARALLEL_FROM 32
#define PARALLEL_FROM_FAR 3

/* ---- reading one ---- */

/* A piece of work for the pool: tail number i. */
struct look {
	size_t i;
	int rc;
	struct err err;
	struct tail_memo memo;
};

struct load {
	struct vault *v;
	const struct keyring *keys;
	struct tails *tails;
	struct tail_cache *cache;  /* NULL: none */
	const struct tail *lender; /* the last that owns a list of members */
};

static void take_header(struct tail *t, const struct seg_header *h)
{
	t->sealed = (h->encoding & SEG_SEALED) != 0;
	t->compressed = (h->encoding & SEG_COMPRESSED) != 0;
	t->base = h->kind == SEG_BASE;
	t->initial = h->initial;
	t->consistency = h->consistency;
	t->disk_size = h->disk_size;
	t->time = h->bookmark_time;
	memcpy(t->prev, h->prev, SHA256_LEN);
}

/* Takes the list of members over from the object. */
static int take_trailer(struct tail *t, struct seg_object *o, struct err *e)
{
	struct seg_trailer *from = &o->trailer;

	t->last_part = from->last_part;
	t->change_time = from->change_time;
	t->data_bytes = from->data_bytes;
	t->zero_bytes = from->zero_bytes;
	t->stored_bytes = from->stored_bytes;
	t->authentic = o->readable;
	if (!from->last_part)
		return 0;
	t->bookmark = strdup(o->header.bookmark);
	if (t->bookmark == NULL)
		return err_sys(e, PS_TEMPFAIL, "list of the vault");
	t->members = from->members;
	t->nmembers = from->nmembers;
	from->members = NULL;
	from->nmembers = 0;
	return 0;
}

static int open_tail(const struct load *l, const struct tail *t,
		     const struct keyring *keys, struct tail_memo *memo,
		     struct vault_object **ret, struct err *e)
{
	const char *machine = l->tails->machine, *disk = l->tails->disk;
	int rc = vault_object_open_memo(l->v, machine, disk, &t->cover, keys,
					memo, ret, e);

	/* Sealed by another key: what can be read without one still counts. */
	if (rc == -PS_NOPERM && keys != NULL)
		rc = vault_object_open_memo(l->v, machine, disk, &t->cover,
					    NULL, memo, ret, e);
	return rc;
}

static int read_tail(const struct load *l, struct tail *t,
		     struct tail_memo *memo, struct err *e)
{
	struct vault_object *o;
	int rc;

	if (l->cache != NULL)
		tail_cache_get(l->cache, &t->cover, memo);
	else
		memo = NULL;
	rc = open_tail(l, t, l->keys, memo, &o, e);
	if (rc < 0 && memo != NULL && memo->kept) {
		/* The cache is wrong, or the object is: the store knows. */
		tail_memo_drop(memo);
		rc = open_tail(l, t, l->keys, memo, &o, e);
	}
	if (rc < 0)
		return rc;
	if (vault_digest_of(&o->seg.header, &o->seg.trailer, t->cover.seq,
			    t->digest) < 0) {
		rc = err_set(e, PS_DATA, "%s: its last digest is missing",
			     o->name);
	} else {
		take_header(t, &o->seg.header);
		rc = take_trailer(t, &o->seg, e);
	}
	vault_object_close(o);
	return rc;
}

static void work(void *slot, void *ctx)
{
	struct load *l = ctx;
	struct look *k = slot;

	k->rc = read_tail(l, &l->tails->items[k->i], &k->memo, &k->err);
}

/* Lists of members repeat from point to point: one copy is enough. */
static void share_members(struct load *l, struct tail *t)
{
	const struct tail *from = l->lender;

	if (t->nmembers == 0)
		return;
	if (from == NULL || from->nmembers != t->nmembers ||
	    memcmp(from->members, t->members,
		   t->nmembers * sizeof(*t->members)) != 0) {
		l->lender = t;
		return;
	}
	free(t->members);
	t->members = from->members;
	t->borrowed = true;
}

/*
 * A damaged object, or one in a bad sector, is a gap in the chain, not the end
 * of the listing.
 */
static int note(struct load *l, struct look *k, struct err *e)
{
	struct tails *t = l->tails;

	if (k->rc == 0)
		tail_cache_put(l->cache, &t->items[k->i].cover, &k->memo);
	else
		tail_memo_drop(&k->memo);
	if (k->rc == 0) {
		share_members(l, &t->items[k->i]);
		return 0;
	}
	if (k->rc != -PS_DATA && k->rc != -PS_PROTOCOL && k->rc != -PS_IOERR) {
		if (e != NULL)
			*e = k->err;
		return k->rc;
	}
	t->items[k->i].damaged = true;
	if (t->damaged++ == 0)
		snprintf(t->damage, sizeof(t->damage), "%.*s",
			 (int)sizeof(t->damage) - 1, k->err.msg);
	return 0;
}

static int read_parallel(struct load *l, struct err *e)
{
	struct pool *p;
	struct look *k;
	size_t i = 0;
	unsigned readers = l->v->store->ops->far ? READERS_FAR : READERS;
	int rc = pool_new(&p, readers, 4 * readers, sizeof(*k), work, l, e);

	if (rc < 0)
		return rc;
	while (rc == 0) {
		k = i < l->tails->n ? pool_slot(p) : NULL;
		if (k != NULL) {
			*k = (struct look){.i = i++};
			pool_submit(p);
			continue;
		}
		k = pool_take(p);
		if (k == NULL)
			break;
		rc = note(l, k, e);
		pool_release(p);
	}
	while ((k = pool_take(p)) != NULL) {
		tail_memo_drop(&k->memo);
		pool_release(p);
	}
	pool_free(p);
	return rc;
}

static int read_all(struct load *l, struct err *e)
{
	size_t i,
	    from = l->v->store->ops->far ? PARALLEL_FROM_FAR : PARALLEL_FROM;
	int rc = 0;

	if (l->tails->n >= from)
		return read_parallel(l, e);
	for (i = 0; rc == 0 && i < l->tails->n; i++) {
		struct look k = {.i = i};

		work(&k, l);
		rc = note(l, &k, e);
	}
	return rc;
}

/* ---- chains ---- */

/* The first object whose seq is at least `seq`. */
static size_t lower_bound(const struct tails *t, uint64_t seq)
{
	size_t lo = 0, hi = t->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->items[mid].cover.seq < seq)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/*
 * As a restore chooses: the widest that leads to a base; it stops at one that
 * is damaged. Of this digest, unless that is NULL.
 */
static size_t find(const struct tails *t, uint64_t seq, const uint8_t *digest)
{
	size_t i;

	for (i = lower_bound(t, seq); i < t->n && t->items[i].cover.seq == seq;
	     i++) {
		if (t->items[i].damaged)
			break;
		if (t->items[i].covered &&
		    (digest == NULL ||
		     memcmp(t->items[i].digest, digest, SHA256_LEN) == 0))
			return i;
	}
	return TAIL_NONE;
}

size_t tails_find(const struct tails *t, uint64_t seq)
{
	return find(t, seq, NULL);
}

/* In order of sequence: what an object goes on from is known before it. */
static void connect(struct tails *t)
{
	size_t i;

	for (i = 0; i < t->n; i++) {
		struct tail *x = &t->items[i];
		const struct tail *older;

		x->older = TAIL_NONE;
		if (x->damaged)
			continue;
		x->covered = x->base;
		x->chain_authentic = x->authentic;
		if (x->base)
			continue;
		x->older = find(t, x->cover.first - 1, x->prev);
		if (x->older == TAIL_NONE)
			continue;
		older = &t->items[x->older];
		x->covered = true;
		x->chain_authentic = x->authentic && older->chain_authentic;
	}
}

/* A table of what the covers' names tell. */
static int begin(struct tails *t, const struct vault_covers *c, struct err *e)
{
	size_t i;

	t->items = calloc(c->n + 1, sizeof(*t->items));
	if (t->items == NULL)
		return err_sys(e, PS_TEMPFAIL, "list of the vault");
	t->n = c->n;
	for (i = 0; i < c->n; i++)
		t->items[i].cover = c->items[i];
	return 0;
}

static int load_once(struct vault *v, const struct keyring *keys,
		     struct tails *t, struct err *e)
{
	struct load l = {.v = v, .keys = keys, .tails = t};
	struct vault_covers c;
	int rc = vault_covers(v, t->machine, t->disk, &c, e);

	if (rc < 0)
		return rc;
	rc = begin(t, &c, e);
	vault_covers_free(&c);
	if (rc == 0) {
		l.cache = tail_cache_open(v, t->machine, t->disk, t->n);
		rc = read_all(&l, e);
		tail_cache_close(l.cache);
	}
	if (rc == 0)
		connect(t);
	return rc;
}

int tails_load(struct vault *v, const char *machine, const char *disk,
	       const struct keyring *keys, struct tails *ret, struct err *e)
{
	struct tails t = {0};
	int i, rc = -PS_NOINPUT;

	snprintf(t.machine, sizeof(t.machine), "%s", machine);
	snprintf(t.disk, sizeof(t.disk), "%s", disk);
	for (i = 0; i < PLANS && rc == -PS_NOINPUT; i++) {
		rc = load_once(v, keys, &t, e);
		if (rc < 0)
			tails_free(&t);
	}
	if (rc == 0)
		*ret = t;
	return rc;
}

void tails_free(struct tails *t)
{
	size_t i;

	for (i = 0; i < t->n; i++) {
		free(t->items[i].bookmark);
		if (!t->items[i].borrowed)
			free(t->items[i].members);
	}
	free(t->items);
	t->items = NULL;
	t->n = t->damaged = 0;
}
