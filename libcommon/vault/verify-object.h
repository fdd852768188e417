/*
 * Private to verify: every byte of the objects of a disk. Objects are opened
 * before their turn and their records are read in long pieces side by side,
 * also those of the objects behind: far away it is the line that limits, not
 * the round trip. Memory is bounded by what is under way.
 */
#ifndef PS_VAULT_VERIFY_OBJECT_H
#define PS_VAULT_VERIFY_OBJECT_H

#include "vault/tails.h"

struct object_checker;

/* What became of an object. */
struct checked {
	size_t i;    /* number among the tails */
	bool closed; /* sealed and there is no key: CRCs alone */
	int rc;	     /* -PS_DATA: damaged; or why it could not be read */
	struct err why;
};

/* Called for each object in the order of the tails; 0 goes on. */
typedef int checked_fn(void *ctx, const struct checked *what, struct err *e);

/*
 * `data`: expand records and compare their blocks, too. Vault and keys (may
 * be NULL) are borrowed.
 */
int checker_new(struct object_checker **ret, struct vault *v,
		const struct keyring *keys, bool data, struct err *e);
void checker_free(struct object_checker *c); /* NULL is allowed */

/* Fails with what `done` returns, or when there is no memory. */
int checker_run(struct object_checker *c, const struct tails *t,
		checked_fn *done, void *ctx, struct err *e);

#endif
