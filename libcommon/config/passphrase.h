/*
 * The passphrase with which servers and agents join: the registry keeps its
 * scrypt root (net/login.h), sealed, and never the passphrase. After a
 * rotation the old one is accepted, too, until its overlap is over.
 */
#ifndef PS_CONFIG_PASSPHRASE_H
#define PS_CONFIG_PASSPHRASE_H

#include "config/registry.h"
#include "net/keeper.h"
#include "net/login.h"

#define PASSPHRASE_OVERLAP_S (7 * 86400)

/*
 * Makes a passphrase and stores its root as the current one. With `rotate`
 * there has to be one already, which is accepted for overlap_s more; without,
 * there must be none (-PS_NO).
 */
int passphrase_make(struct reg *r, bool rotate, uint64_t overlap_s,
		    char out[LOGIN_PASSPHRASE_SIZE], struct err *e);

struct reg_passphrase {
	int64_t generation; /* from 1 */
	int64_t made;	    /* ns */
	int64_t until;	    /* ns; 0: it is the current one */
	bool accepted;
};
typedef int passphrase_fn(void *ctx, const struct reg_passphrase *p,
			  struct err *e);
/* Newest first. */
int passphrase_each(struct reg *r, passphrase_fn *fn, void *ctx, struct err *e);

/*
 * Of which accepted generation is this secret, a passphrase's root or the key
 * of one machine? Returns it; -PS_NOPERM: of none; -PS_NO: there is no
 * passphrase yet.
 */
int64_t passphrase_check(struct reg *r, const struct login_secret *s,
			 struct err *e);

/* Those that are accepted now, the newest first: for the keeper of a server. */
int passphrase_roots(struct reg *r, struct keeper_roots *ret, struct err *e);

#endif
