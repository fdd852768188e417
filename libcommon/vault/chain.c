#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "vault/vault.h"

/* How often to plan again because retention took an object away. */
#define PLANS 5

/* The way back from one object to the next older ones. */
struct walk {
	struct vault *v;
	const char *machine, *disk;
	const struct keyring *keys;
	struct vault_covers covers;
	bool *dead; /* covers behind which no base can be reached */
	size_t *at; /* the cover of each object of the chain */
	size_t cap;
	struct err damage; /* the first that was met; code 0: none */
	struct vault_chain chain;
};

/* The widest cover that ends at seq and is not known as dead; n: none. */
static size_t widest(const struct walk *w, uint64_t seq)
{
	size_t lo = 0, hi = w->covers.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (w->covers.items[mid].seq < seq)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < w->covers.n && w->covers.items[lo].seq == seq; lo++)
		if (!w->dead[lo])
			return lo;
	return w->covers.n;
}

static int link_error(const struct vault_object *o, const char *why,
		      struct err *e)
{
	return err_set(e, PS_DATA, "%s: %s", o->name, why);
}

/* Does `newer` really go on from `older`? */
static int check_link(const struct vault_object *newer,
		      const struct vault_object *older, struct err *e)
{
	const struct seg_header *n = &newer->seg.header;
	const struct seg_header *o = &older->seg.header;
	uint8_t digest[SHA256_LEN];

	if (vault_digest_of(o, &older->seg.trailer, o->seq, digest) < 0 ||
	    memcmp(digest, n->prev, SHA256_LEN) != 0)
		return link_error(newer, "does not follow its predecessor", e);
	if (n->block_size != o->block_size || n->disk_size < o->disk_size)
		return link_error(newer, "its disk is not its predecessor's",
				  e);
	return 0;
}

static int push(struct walk *w, size_t i, struct err *e)
{
	struct vault_object *o;
	size_t n = w->chain.n;
	int rc;

	if (n == w->cap) {
		size_t cap = 2 * w->cap + 16;
		struct vault_object **objects;
		size_t *at = realloc(w->at, cap * sizeof(*at));

		if (at != NULL)
			w->at = at;
		objects = realloc(w->chain.objects, cap * sizeof(*objects));
		if (objects != NULL)
			w->chain.objects = objects;
		if (at == NULL || objects == NULL)
			return err_sys(e, PS_TEMPFAIL, "chain of segments");
		w->cap = cap;
	}
	rc = vault_object_open(w->v, w->machine, w->disk, &w->covers.items[i],
			       w->keys, &o, e);
	if (rc < 0)
		return rc;
	if (n > 0)
		rc = check_link(w->chain.objects[n - 1], o, e);
	if (rc < 0) {
		vault_object_close(o);
		return rc;
	}
	w->chain.objects[n] = o;
	w->at[n] = i;
	w->chain.n++;
	return 0;
}

/* A damaged object leads nowhere; a narrower one may be sound. */
static void note_damage(struct walk *w, size_t i, const struct err *why)
{
	w->dead[i] = true;
	if (w->damage.code == 0)
		w->damage = *why;
}

static int give_up(const struct err *why, int rc, struct err *e)
{
	if (e != NULL)
		*e = *why;
	return rc;
}

static int no_way(const struct walk *w, uint64_t seq, struct err *e)
{
	if (w->damage.code != 0)
		return give_up(&w->damage, -PS_DATA, e);
	return err_set(e, PS_NO,
		       "%s/%s: segment %llu is not in the vault with all that "
		       "it needs",
		       w->machine, w->disk, (unsigned long long)seq);
}

/*
 * Widest first; where that leads nowhere, one step back and the next
 * narrower. A cover that leads nowhere is tried once.
 */
static int walk_back(struct walk *w, uint64_t seq, struct err *e)
{
	uint64_t want = seq;

	for (;;) {
		size_t i = widest(w, want);
		const struct seg_header *h;
		struct err why = {0};
		int rc;

		if (i < w->covers.n) {
			rc = push(w, i, &why);
			if (rc == -PS_DATA)
				note_damage(w, i, &why);
			else if (rc < 0)
				return give_up(&why, rc, e);
		} else if (w->chain.n == 0) {
			return no_way(w, seq, e);
		} else {
			w->chain.n--;
			w->dead[w->at[w->chain.n]] = true;
			vault_object_close(w->chain.objects[w->chain.n]);
		}
		if (w->chain.n == 0) {
			want = seq;
			continue;
		}
		h = &w->chain.objects[w->chain.n - 1]->seg.header;
		if (h->kind == SEG_BASE)
			return 0;
		want = h->first_seq - 1;
	}
}

static int chain_once(struct walk *w, uint64_t seq, struct err *e)
{
	int rc = vault_covers(w->v, w->machine, w->disk, &w->covers, e);

	if (rc < 0)
		return rc;
	w->dead = calloc(w->covers.n + 1, sizeof(*w->dead));
	if (w->dead == NULL)
		rc = err_sys(e, PS_TEMPFAIL, "chain of segments");
	else
		rc = walk_back(w, seq, e);
	if (rc < 0)
		vault_chain_free(&w->chain);
	vault_covers_free(&w->covers);
	free(w->dead);
	free(w->at);
	return rc;
}

int vault_chain(struct vault *v, const char *machine, const char *disk,
		uint64_t seq, const struct keyring *keys,
		struct vault_chain *ret, struct err *e)
{
	int i, rc = -PS_NOINPUT;

	for (i = 0; i < PLANS && rc == -PS_NOINPUT; i++) {
		struct walk w = {
		    .v = v, .machine = machine, .disk = disk, .keys = keys};

		rc = chain_once(&w, seq, e);
		if (rc == 0)
			*ret = w.chain;
	}
	return rc;
}

void vault_chain_free(struct vault_chain *c)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		vault_object_close(c->objects[i]);
	free(c->objects);
	*c = (struct vault_chain){0};
}
