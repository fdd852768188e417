#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vault/key-note.h"
#include "vault/tails.h"
#include "vault/verify-object.h"
#include "vault/verify.h"

struct run {
	struct vault *v;
	const struct verify *how;
	struct object_checker *checker;
	struct verify_totals totals;
	char dir[VAULT_NAME_SIZE]; /* while foreign names are looked for */
	int depth;
};

/* ---- damage ---- */

/* A bad sector is damage of one object, not the end of the run. */
static bool is_damage(int rc)
{
	return rc == -PS_DATA || rc == -PS_PROTOCOL || rc == -PS_IOERR;
}

static int report(struct run *r, const char *name, const char *why,
		  struct err *e)
{
	size_t n = strlen(name);

	/* Some messages begin with the object's name already. */
	if (strncmp(why, name, n) == 0 && strncmp(why + n, ": ", 2) == 0)
		why += n + 2;
	r->totals.damaged++;
	return r->how->damage(r->how->ctx, name, why, e);
}

/* Did retention take the object away while we were at it? */
static bool vanished(struct run *r, const char *name)
{
	uint64_t size;

	return r->v->store->ops->size(r->v->store, name, &size, NULL) ==
	       -PS_NOINPUT;
}

/* A disk that is being checked. */
struct disk {
	struct run *run;
	const struct tails *tails;
	bool *bad; /* objects that are damaged themselves */
};

static int note_object(struct disk *d, const struct checked *what,
		       struct err *e)
{
	struct run *r = d->run;
	const struct tail *x = &d->tails->items[what->i];
	char name[VAULT_NAME_SIZE];
	const char *why = what->why.msg;

	vault_name(d->tails->machine, d->tails->disk, &x->cover, name);
	if (what->rc == -PS_NOINPUT && vanished(r, name))
		return 0;
	r->totals.closed += what->closed;
	r->totals.objects++;
	r->totals.bytes += x->cover.size;
	if (what->rc == 0 && !x->damaged)
		return 0;
	if (what->rc == 0) {
		why = "it could not be read at first";
	} else if (!is_damage(what->rc)) {
		if (e != NULL)
			*e = what->why;
		return what->rc;
	}
	d->bad[what->i] = true;
	return report(r, name, why, e);
}

/* Why nothing is known that this object goes on from; NULL: that is damage
 * which is reported elsewhere. */
static const char *link_fault(const struct tails *t, size_t i)
{
	const struct tail *x = &t->items[i];
	size_t k;

	for (k = 0; k < t->n; k++) {
		const struct tail *y = &t->items[k];

		if (y->cover.seq != x->cover.first - 1)
			continue;
		if (y->damaged || memcmp(y->digest, x->prev, SHA256_LEN) == 0)
			return NULL;
	}
	for (k = 0; k < t->n; k++)
		if (t->items[k].cover.seq == x->cover.first - 1)
			return "does not follow its predecessor";
	return "the segment before it is not in the vault";
}

static int check_link(struct run *r, const struct tails *t, size_t i,
		      struct err *e)
{
	char name[VAULT_NAME_SIZE];
	const char *why;

	if (t->items[i].damaged || t->items[i].base ||
	    t->items[i].older != TAIL_NONE)
		return 0;
	why = link_fault(t, i);
	if (why == NULL)
		return 0;
	vault_name(t->machine, t->disk, &t->items[i].cover, name);
	return report(r, name, why, e);
}

static int checked(void *ctx, const struct checked *what, struct err *e)
{
	struct disk *d = ctx;
	int rc = note_object(d, what, e);

	return rc < 0 ? rc : check_link(d->run, d->tails, what->i, e);
}

/* ---- what it means ---- */

/* The object by which a reader reaches this end; i when none does. */
static size_t used_for(const struct tails *t, size_t i)
{
	size_t used = tails_find(t, t->items[i].cover.seq);

	return used == TAIL_NONE ? i : used;
}

/*
 * bad[] holds the objects that are damaged themselves; here it becomes all
 * that cannot be restored. An object comes behind what it goes on from.
 */
static int report_affected(struct run *r, const struct tails *t, bool *bad,
			   struct err *e)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < t->n; i++) {
		const struct tail *x = &t->items[i];

		if (x->damaged || !x->covered ||
		    (x->older != TAIL_NONE && bad[x->older]))
			bad[i] = true;
	}
	for (i = 0; rc == 0 && i < t->n; i++) {
		const struct tail *x = &t->items[i];

		if (!bad[i] || used_for(t, i) != i ||
		    (!x->last_part && !x->damaged))
			continue;
		r->totals.affected++;
		rc = r->how->affected(
		    r->how->ctx, t->machine, t->disk, x->cover.seq,
		    x->bookmark != NULL ? x->bookmark : "", e);
	}
	return rc;
}

/* ---- foreign names ---- */

static bool is_ours(const struct run *r, const char *name, int is_dir)
{
	struct vault_cover c;

	if (r->depth == 0)
		return is_dir || strcmp(name, "vault.json") == 0 ||
		       strcmp(name, VAULT_KEY_NOTE) == 0;
	if (r->depth == 1)
		return is_dir;
	return !is_dir && vault_parse_name(name, &c);
}

static int look_at_name(void *ctx, const struct store_entry *en, struct err *e)
{
	struct run *r = ctx;
	char full[2 * VAULT_NAME_SIZE];

	if (is_ours(r, en->name, en->is_dir))
		return 0;
	snprintf(full, sizeof(full), "%s%s%s", r->dir,
		 r->dir[0] != '\0' ? "/" : "", en->name);
	r->totals.foreign++;
	return r->how->foreign(r->how->ctx, full, e);
}

/* In the folder of a machine, or of a disk. */
static int foreign_in(struct run *r, const char *machine, const char *disk,
		      int depth, struct err *e)
{
	if (r->how->foreign == NULL)
		return 0;
	r->depth = depth;
	snprintf(r->dir, sizeof(r->dir), "%s%s%s",
		 machine != NULL ? machine : "", disk != NULL ? "/" : "",
		 disk != NULL ? disk : "");
	return r->v->store->ops->list(r->v->store, r->dir, look_at_name, r, e);
}

static int foreign_machine(void *ctx, const struct store_entry *en,
			   struct err *e)
{
	return en->is_dir ? foreign_in(ctx, en->name, NULL, 1, e) : 0;
}

static int foreign_top(struct run *r, struct err *e)
{
	struct store *s = r->v->store;
	int rc;

	if (r->how->foreign == NULL)
		return 0;
	if (r->how->machine != NULL)
		return foreign_in(r, r->how->machine, NULL, 1, e);
	rc = foreign_in(r, NULL, NULL, 0, e);
	return rc < 0 ? rc : s->ops->list(s, "", foreign_machine, r, e);
}

/* ---- all of it ---- */

static int check_disk(void *ctx, const char *machine, const char *disk,
		      struct err *e)
{
	struct run *r = ctx;
	struct tails t;
	struct disk d = {.run = r, .tails = &t};
	int rc;

	if (r->how->disk != NULL && strcmp(disk, r->how->disk) != 0)
		return 0;
	rc = foreign_in(r, machine, disk, 2, e);
	if (rc == 0)
		rc = tails_load(r->v, machine, disk, r->how->keys, &t, e);
	if (rc < 0)
		return rc;
	d.bad = calloc(t.n + 1, sizeof(*d.bad));
	if (d.bad == NULL)
		rc = err_sys(e, PS_TEMPFAIL, "verify");
	if (rc == 0)
		rc = checker_run(r->checker, &t, checked, &d, e);
	if (rc == 0)
		rc = report_affected(r, &t, d.bad, e);
	free(d.bad);
	tails_free(&t);
	return rc;
}

int verify_run(struct vault *v, const struct verify *how,
	       struct verify_totals *ret, struct err *e)
{
	struct run r = {.v = v, .how = how};
	int rc = checker_new(&r.checker, v, how->keys, how->data, e);

	if (rc < 0)
		return rc;
	rc = foreign_top(&r, e);
	if (rc == 0)
		rc = vault_disks(v, how->machine, check_disk, &r, e);
	checker_free(r.checker);
	*ret = r.totals;
	return rc;
}
