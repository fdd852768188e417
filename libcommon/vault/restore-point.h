/* Which point to restore: by name, by time, and not an older one than known. */
#ifndef PS_VAULT_RESTORE_POINT_H
#define PS_VAULT_RESTORE_POINT_H

#include "vault/point.h"

struct restore_wish {
	const char *machine, *disk;
	const char *what; /* "latest", "latest-app", an id; NULL: by time */
	int64_t at;	  /* ns since 1970, when what is NULL */
	/*
	 * A point that is known from outside the vault to have existed; the
	 * chosen one must be this or a later one of the same disk. NULL: none.
	 */
	const char *not_older;
	bool need_proof; /* the reference must be authentic */
};

/*
 * Gives the point (inside `p`) and the last segment of the disk for it.
 * -PS_NO: no such point; -PS_DATA: it is older than `not_older`, or that one
 * is not in the vault: it was rolled back, or retention removed it.
 */
int restore_point_choose(const struct points *p, const struct restore_wish *w,
			 const struct point **ret, uint64_t *ret_seq,
			 struct err *e);

#endif
