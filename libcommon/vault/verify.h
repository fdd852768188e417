/*
 * Proves that what a vault holds can be restored: every byte of every object
 * passes a check (CRC, or the seal with a key), index and records agree, the
 * segment digest is right, each segment follows its predecessor. With `data`
 * every record is expanded, too, and each block compared with its digest.
 */
#ifndef PS_VAULT_VERIFY_H
#define PS_VAULT_VERIFY_H

#include "vault/vault.h"

/* One damaged object: its name and what is wrong with it. */
typedef int verify_damage_fn(void *ctx, const char *name, const char *why,
			     struct err *e);
/*
 * A point that cannot be restored because of it; id is empty when not even
 * the point's name can be read.
 */
typedef int verify_affected_fn(void *ctx, const char *machine, const char *disk,
			       uint64_t seq, const char *id, struct err *e);
/* A name that is no part of the vault's layout. */
typedef int verify_foreign_fn(void *ctx, const char *name, struct err *e);

struct verify {
	const char *machine, *disk; /* NULL: all */
	const struct keyring *keys; /* may be NULL */
	bool data;
	verify_damage_fn *damage;
	verify_affected_fn *affected;
	verify_foreign_fn *foreign; /* may be NULL */
	void *ctx;
};

struct verify_totals {
	uint64_t objects, bytes;
	uint64_t damaged, affected, foreign;
	uint64_t closed; /* sealed objects without a key: CRCs alone */
};

/*
 * Goes on after damage and reports each; 0 even if there was some (see the
 * totals). Fails when the store or a callback does, or when the keys do not
 * open an object (-PS_NOPERM).
 */
int verify_run(struct vault *v, const struct verify *how,
	       struct verify_totals *ret, struct err *e);

#endif
