#include "config.h"

#include <stdlib.h>

#include "base/pool.h"
#include "vault/read-ahead.h"

/* One read, by a thread of the pool. */
struct piece {
	uint8_t *data; /* made when it is first needed, then kept */
	size_t object; /* number among the covers */
	uint64_t pos;
	size_t len, used; /* and how much of it was taken */
	int rc;
	struct err why;
};

struct read_ahead {
	struct vault *vault;
	const char *machine, *disk;
	const struct vault_cover *covers;
	size_t n;
	struct pool *pool;
	size_t object; /* of the next piece that is asked for */
	uint64_t pos;
	struct piece *at; /* being taken, or NULL */
};

static void work(void *slot, void *ctx)
{
	const struct read_ahead *a = ctx;
	struct store *s = a->vault->store;
	struct piece *p = slot;
	char name[VAULT_NAME_SIZE];

	if (p->data == NULL)
		p->data = malloc(READ_AHEAD_PIECE);
	if (p->data == NULL) {
		p->rc = err_sys(&p->why, PS_TEMPFAIL, "reading ahead");
		return;
	}
	vault_name(a->machine, a->disk, &a->covers[p->object], name);
	p->rc = s->ops->read(s, name, p->pos, p->data, p->len, &p->why);
}

int read_ahead_open(struct read_ahead **ret, struct vault *v,
		    const char *machine, const char *disk,
		    const struct vault_cover *covers, size_t n, struct err *e)
{
	unsigned depth = v->store->ops->far ? READ_AHEAD_FAR : READ_AHEAD_NEAR;
	struct read_ahead *a = calloc(1, sizeof(*a));
	int rc;

	if (a == NULL)
		return err_sys(e, PS_TEMPFAIL, "reading ahead");
	*a = (struct read_ahead){.vault = v,
				 .machine = machine,
				 .disk = disk,
				 .covers = covers,
				 .n = n};
	rc = pool_new(&a->pool, depth, depth, sizeof(struct piece), work, a, e);
	if (rc < 0) {
		free(a);
		return rc;
	}
	*ret = a;
	return 0;
}

void read_ahead_close(struct read_ahead *a)
{
	struct pool *pool;
	unsigned i;

	if (a == NULL)
		return;
	pool = a->pool;
	while (pool_take(pool) != NULL)
		pool_release(pool);
	for (i = 0; i < pool_depth(pool); i++)
		free(((struct piece *)pool_at(pool, i))->data);
	pool_free(pool);
	free(a);
}

/* Asks for all that there is room for. */
static void ask(struct read_ahead *a)
{
	struct piece *p;

	for (;;) {
		uint64_t left;

		while (a->object < a->n &&
		       a->pos == a->covers[a->object].size) {
			a->object++;
			a->pos = 0;
		}
		p = a->object < a->n ? pool_slot(a->pool) : NULL;
		if (p == NULL)
			return;
		left = a->covers[a->object].size - a->pos;
		p->object = a->object;
		p->pos = a->pos;
		p->len =
		    left < READ_AHEAD_PIECE ? (size_t)left : READ_AHEAD_PIECE;
		p->used = 0;
		a->pos += p->len;
		pool_submit(a->pool);
	}
}

/* The piece from which object i goes on; NULL at its end. */
static struct piece *piece_of(struct read_ahead *a, size_t i)
{
	for (;;) {
		struct piece *p = a->at;

		if (p == NULL) {
			if (a->object < i) {
				a->object = i;
				a->pos = 0;
			}
			ask(a);
			p = a->at = pool_take(a->pool);
		}
		if (p == NULL || p->object > i)
			return NULL;
		if (p->object == i && (p->rc < 0 || p->used < p->len))
			return p;
		a->at = NULL;
		pool_release(a->pool);
	}
}

ssize_t read_ahead_take(struct read_ahead *a, size_t i, size_t most,
			const uint8_t **ret, struct err *e)
{
	struct piece *p = piece_of(a, i);
	size_t n;

	if (p == NULL)
		return 0;
	if (p->rc < 0) {
		if (e != NULL)
			*e = p->why;
		return p->rc;
	}
	n = p->len - p->used;
	n = n < most ? n : most;
	*ret = p->data + p->used;
	p->used += n;
	return (ssize_t)n;
}
