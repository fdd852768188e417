#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "vault/restore-chain.h"

/*
 * More than one job of the restore engine times its jobs under way: there is
 * always one that can be closed.
 */
#define OPEN_MAX 1024u

int chain_prefix(const struct chain *c, uint32_t i, struct err *e)
{
	char name[VAULT_NAME_SIZE];

	vault_name(c->machine, c->disk, &c->objects[i].cover, name);
	/* What the store says begins with it. */
	if (e != NULL && strncmp(e->msg, name, strlen(name)) == 0)
		return -e->code;
	return err_prefix(e, "%s", name);
}

/* ---- the survey ---- */

/* The objects of the disk, and those behind which no base was found. */
struct covers {
	struct vault_covers all;
	bool *dead;
};

/* The widest cover that ends at `seq` and is not dead; all.n: none. */
static size_t widest(const struct covers *covers, uint64_t seq)
{
	const struct vault_covers *all = &covers->all;
	size_t lo = 0, hi = all->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (all->items[mid].seq < seq)
			lo = mid + 1;
		else
			hi = mid;
	}
	/* Sorted by seq, then by first: the widest comes first. */
	for (; lo < all->n && all->items[lo].seq == seq; lo++)
		if (!covers->dead[lo])
			return lo;
	return all->n;
}

static void *grow(void *p, size_t n, size_t *cap, size_t size)
{
	void *grown;

	if (n < *cap)
		return p;
	grown = reallocarray(p, *cap == 0 ? 64 : *cap * 2, size);
	if (grown != NULL)
		*cap = *cap == 0 ? 64 : *cap * 2;
	return grown;
}

/* Remembers an object and what its pages speak of. */
static int add(struct chain *c, const struct vault_cover *cover,
	       const struct seg_object *o, struct err *e)
{
	struct chain_object *objects =
	    grow(c->objects, c->nobjects, &c->objects_cap, sizeof(*objects));
	uint32_t i;

	if (objects == NULL)
		return err_sys(e, PS_TEMPFAIL, "restore plan");
	c->objects = objects;
	objects[c->nobjects] = (struct chain_object){.cover = *cover};
	memcpy(objects[c->nobjects].digest, o->trailer.digest, SHA256_LEN);
	for (i = 0; i < o->npages; i++) {
		struct chain_page *pages =
		    grow(c->pages, c->npages, &c->pages_cap, sizeof(*pages));

		if (pages == NULL)
			return err_sys(e, PS_TEMPFAIL, "restore plan");
		c->pages = pages;
		pages[c->npages++] = (struct chain_page){
		    .first = o->pages[i].first_offset,
		    .end = o->pages[i].end_offset,
		    .object = c->nobjects,
		    .number = i,
		};
	}
	c->nobjects++;
	return 0;
}

/* What the newest object says holds for the whole chain. */
static void begin(struct chain *c, const struct seg_object *o)
{
	c->disk_size = o->header.disk_size;
	c->block_size = o->header.block_size;
	c->has_disk_digest = o->has_disk_digest;
	memcpy(c->disk_digest, o->disk_digest, SHA256_LEN);
	c->authenticated = (o->header.encoding & SEG_SEALED) != 0;
}

/*
 * Does object `o` lead to its successor, which names it by `prev` and whose
 * disk has `size` bytes?
 */
static int check_link(struct chain *c, const struct seg_object *o,
		      const uint8_t *prev, uint64_t size, struct err *e)
{
	uint8_t name[SHA256_LEN];

	if (vault_digest_of(&o->header, &o->trailer, o->header.seq, name) < 0 ||
	    memcmp(name, prev, SHA256_LEN) != 0)
		return err_set(e, PS_DATA,
			       "it is not the segment that its successor "
			       "names");
	if (o->header.block_size != c->block_size)
		return err_set(e, PS_DATA,
			       "the block size changes in the chain");
	if (o->header.disk_size > size)
		return err_set(e, PS_DATA, "the disk shrinks in the chain");
	/* A merged object claims what it replaces: only a seal proves it. */
	if ((o->header.encoding & SEG_SEALED) == 0 &&
	    o->header.first_seq != o->header.seq)
		c->authenticated = false;
	return 0;
}

static int check_object(struct chain *c, const struct seg_object *o,
			const struct seg_header *newer, struct err *e)
{
	if (newer != NULL)
		return check_link(c, o, newer->prev, newer->disk_size, e);
	begin(c, o);
	return 0;
}

/* ---- opening, far away several at a time ---- */

/* A piece of work: an object that is opened, and its index read. */
struct visit {
	size_t place; /* among the covers */
	struct vault_object *o;
	int rc;
	struct err err;
};

/* Objects on the way back that are opened before their turn. */
struct ahead {
	struct chain *c;
	const struct covers *covers;
	struct pool *pool; /* NULL: each is opened when its turn comes */
	uint64_t want;	   /* the sequence at which the next one ends */
	struct visit one;
};

static int check_index(const struct visit *v, struct err *e)
{
	int rc;

	if (!v->o->seg.readable) {
		rc = err_set(e, PS_NOPERM, "it is sealed and there is no key");
		err_hint(e, "give the vault's key file with -k");
	} else {
		rc = seg_object_check_digest(&v->o->seg, e);
	}
	if (rc < 0 && e != NULL &&
	    strncmp(e->msg, v->o->name, strlen(v->o->name)) != 0)
		err_prefix(e, "%s", v->o->name);
	return rc;
}

static void visit_work(void *slot, void *ctx)
{
	struct ahead *a = ctx;
	struct visit *v = slot;

	v->rc = vault_object_open(a->c->vault, a->c->machine, a->c->disk,
				  &a->covers->all.items[v->place], a->c->keys,
				  &v->o, &v->err);
	if (v->rc == 0)
		v->rc = check_index(v, &v->err);
}

static int ahead_begin(struct ahead *a, struct chain *c,
		       const struct covers *covers, uint64_t seq, struct err *e)
{
	*a = (struct ahead){.c = c, .covers = covers, .want = seq};
	if (!c->vault->store->ops->far)
		return 0;
	return pool_new(&a->pool, CHAIN_AHEAD, CHAIN_AHEAD,
			sizeof(struct visit), visit_work, a, e);
}

/* The object at `place`, which is the next one; to be given to ahead_done. */
static struct visit *ahead_take(struct ahead *a, size_t place)
{
	struct visit *v;

	if (a->pool == NULL) {
		a->one = (struct visit){.place = place};
		visit_work(&a->one, a);
		return &a->one;
	}
	while (a->want != 0 && (v = pool_slot(a->pool)) != NULL) {
		size_t i = widest(a->covers, a->want);

		if (i == a->covers->all.n)
			break;
		*v = (struct visit){.place = i};
		a->want = a->covers->all.items[i].first - 1;
		pool_submit(a->pool);
	}
	return pool_take(a->pool);
}

static void ahead_done(struct ahead *a, struct visit *v)
{
	vault_object_close(v->o);
	v->o = NULL;
	if (a->pool != NULL)
		pool_release(a->pool);
}

static void ahead_end(struct ahead *a)
{
	struct visit *v;

	if (a->pool == NULL)
		return;
	while ((v = pool_take(a->pool)) != NULL)
		ahead_done(a, v);
	pool_free(a->pool);
}

/* One object, opened and closed; its header is left in `newer`. */
static int visit(struct chain *c, struct ahead *a, size_t place,
		 struct seg_header *newer, struct err *e)
{
	struct visit *v = ahead_take(a, place);
	int rc;

	if (v == NULL || v->place != place)
		return err_set(e, PS_SOFTWARE, "restore: out of step");
	rc = v->rc;
	if (rc < 0 && e != NULL)
		*e = v->err;
	if (rc == 0) {
		rc = check_object(c, &v->o->seg,
				  c->nobjects == 0 ? NULL : newer, e);
		if (rc < 0 && e != NULL)
			err_prefix(e, "%s", v->o->name);
	}
	if (rc == 0)
		rc = add(c, &a->covers->all.items[place], &v->o->seg, e);
	if (rc == 0)
		*newer = v->o->seg.header;
	/* Opening it again would take round trips. */
	if (rc == 0 && a->pool != NULL && c->nopen < OPEN_MAX) {
		c->open_list[c->nopen++] = c->nobjects - 1;
		c->objects[c->nobjects - 1].open = v->o;
		v->o = NULL;
	}
	ahead_done(a, v);
	return rc;
}

/* ---- the way back ---- */

static void close_all(struct chain *c)
{
	uint32_t i;

	for (i = 0; c->open_list != NULL && i < c->nopen; i++)
		vault_object_close(c->objects[c->open_list[i]].open);
	c->nopen = 0;
}

/*
 * Nothing alive ends at `missing`: what led here is dead, back to the first
 * object that has another way. 1: there is one, walk again; -PS_NO: none.
 */
static int step_back(struct chain *c, struct covers *covers, uint64_t seq,
		     uint64_t missing, struct err *e)
{
	uint32_t n = c->nobjects;

	while (n-- > 0) {
		covers->dead[c->objects[n].place] = true;
		if (widest(covers, c->objects[n].cover.seq) < covers->all.n)
			return 1;
	}
	if (missing == 0)
		err_set(e, PS_NO,
			"%s/%s: segment %llu leads back to no base: the point "
			"cannot be restored",
			c->machine, c->disk, (unsigned long long)seq);
	else
		err_set(e, PS_NO,
			"%s/%s: segment %llu is not in the vault: the point "
			"is no longer kept, or not yet complete",
			c->machine, c->disk, (unsigned long long)missing);
	err_hint(e, "'ps-vault list' shows which points are complete");
	return -PS_NO;
}

/* From `seq` to the base. 1: this way is dead, walk again. */
static int walk_back(struct chain *c, struct covers *covers, struct ahead *a,
		     uint64_t seq, struct err *e)
{
	struct seg_header newer = {0};
	uint64_t want = seq;

	do {
		size_t i = want == 0 ? covers->all.n : widest(covers, want);
		int rc;

		if (i == covers->all.n)
			return step_back(c, covers, seq, want, e);
		if (c->nobjects == UINT32_MAX)
			return err_set(e, PS_DATA, "%s/%s: chain too long",
				       c->machine, c->disk);
		rc = visit(c, a, i, &newer, e);
		if (rc < 0)
			return rc;
		c->objects[c->nobjects - 1].place = i;
		want = covers->all.items[i].first - 1;
	} while (newer.kind != SEG_BASE);
	return 0;
}

static int walk(struct chain *c, struct covers *covers, uint64_t seq,
		struct err *e)
{
	struct ahead a;
	int rc = ahead_begin(&a, c, covers, seq, e);

	if (rc < 0)
		return rc;
	close_all(c);
	c->nobjects = 0;
	c->npages = 0;
	rc = walk_back(c, covers, &a, seq, e);
	ahead_end(&a);
	return rc;
}

int chain_survey(struct chain *c, struct vault *v, const char *machine,
		 const char *disk, uint64_t seq, const struct keyring *keys,
		 struct err *e)
{
	struct covers covers = {0};
	int rc = vault_covers(v, machine, disk, &covers.all, e);

	if (rc < 0)
		return rc;
	*c = (struct chain){
	    .vault = v, .machine = machine, .disk = disk, .keys = keys};
	covers.dead = calloc(covers.all.n + 1, sizeof(*covers.dead));
	c->open_list = calloc(OPEN_MAX, sizeof(*c->open_list));
	if (covers.dead == NULL || c->open_list == NULL)
		rc = err_sys(e, PS_TEMPFAIL, "restore plan");
	else
		rc = 1;
	while (rc > 0)
		rc = walk(c, &covers, seq, e);
	vault_covers_free(&covers.all);
	free(covers.dead);
	if (rc < 0)
		chain_free(c);
	return rc;
}

void chain_free(struct chain *c)
{
	close_all(c);
	free(c->open_list);
	free(c->objects);
	free(c->pages);
	*c = (struct chain){0};
}

/* ---- objects that are open ---- */

/* Closes one that nobody uses (second chance) and gives its place. */
static uint32_t make_room(struct chain *c)
{
	for (;; c->hand++) {
		uint32_t place = c->hand % OPEN_MAX;
		struct chain_object *co = &c->objects[c->open_list[place]];

		if (co->users > 0)
			continue;
		if (co->recent) {
			co->recent = false;
			continue;
		}
		vault_object_close(co->open);
		co->open = NULL;
		return place;
	}
}

int chain_get(struct chain *c, uint32_t i, const struct seg_object **ret,
	      struct err *e)
{
	struct chain_object *co = &c->objects[i];

	if (co->open == NULL) {
		struct vault_object *o;
		int rc = vault_object_open(c->vault, c->machine, c->disk,
					   &co->cover, c->keys, &o, e);

		if (rc < 0)
			return rc;
		if (memcmp(o->seg.trailer.digest, co->digest, SHA256_LEN) !=
		    0) {
			vault_object_close(o);
			err_set(e, PS_DATA, "it was replaced by another one");
			return chain_prefix(c, i, e);
		}
		co->open = o;
		c->open_list[c->nopen < OPEN_MAX ? c->nopen++ : make_room(c)] =
		    i;
	}
	co->users++;
	co->recent = true;
	*ret = &co->open->seg;
	return 0;
}

void chain_put(struct chain *c, uint32_t i)
{
	c->objects[i].users--;
}
