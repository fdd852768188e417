#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "place.h"

int place_begin(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	segs_vault(&p->v, p->dir);
	*state = p;
	return 0;
}

int place_end(void **state)
{
	struct place *p = *state;

	segs_vault_end(&p->v, p->dir);
	bytes_free(&p->b);
	free(p);
	return 0;
}

void place_add(struct place *p, uint64_t seq)
{
	struct spec s = {.seq = seq, .fill = (unsigned)seq};

	memcpy(s.prev, p->d[seq - 1], SHA256_LEN);
	seg_make(&p->b, &s, p->d[seq]);
}

int place_go(struct place *p)
{
	int rc = segs_upload(&p->v, &p->b, &p->a);

	bytes_free(&p->b);
	assert_int_equal(segs_leftovers(p->dir), 0);
	return rc;
}

void place_fill(struct place *p, uint64_t n)
{
	uint64_t i;

	for (i = 1; i <= n; i++)
		place_add(p, i);
	assert_int_equal(place_go(p), 0);
	assert_int_equal(p->a.totals.stored, n);
}

void place_remove(struct place *p, uint64_t first, uint64_t seq)
{
	struct vault_cover c = {.first = first, .seq = seq};
	char name[VAULT_NAME_SIZE];

	vault_name("web01", "root", &c, name);
	assert_int_equal(p->v.store->ops->remove(p->v.store, name, NULL), 0);
}
