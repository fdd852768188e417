/*
 * Restores one disk as it was after one segment.
 *
 *	survey	 every index of the chain is read and checked
 *	plan	 which block comes from which record; the disk digest that
 *		 comes out must be the one that the source put into the point
 *	write	 records are fetched, checked, opened, expanded; each block is
 *		 hashed and compared with its digest, then written once
 *
 * So damage in any index, a rolled back or a mixed chain is found before the
 * target is touched, and nothing is ever written that was not verified
 * against a plan that is equal to the source's disk.
 */
#ifndef PS_VAULT_RESTORE_H
#define PS_VAULT_RESTORE_H

#include <signal.h>

#include "vault/restore-target.h"
#include "vault/vault.h"

#define RESTORE_THREADS_MAX 16u

struct restore {
	struct vault *vault;
	const char *machine, *disk;
	uint64_t seq;		     /* the last segment of the point */
	const struct keyring *keys;  /* NULL: none */
	struct target *target;	     /* opened, not begun */
	unsigned threads;	     /* 0: one for each processor */
	bool allow_unsealed;	     /* although keys are given */
	uint32_t plan_limit;	     /* see plan_init(); 0: the default */
	volatile sig_atomic_t *stop; /* non-zero ends it; NULL: nothing does */
};

struct restore_result {
	uint64_t disk_size;
	uint64_t data_bytes;	/* of the disk that are not zero */
	uint64_t fetched_bytes; /* of records, as stored */
	uint32_t objects;	/* of the chain */
	unsigned replans;	/* because retention took objects away */
	bool authenticated;	/* by the key, see struct chain */
	uint8_t disk_digest[SHA256_LEN]; /* verified equal to the source's */
};

/*
 * Returns 0 only when the target is complete, verified and on stable storage.
 * -PS_DATA: damaged, or not what the source had; -PS_NO: the chain is not in
 * the vault; -PS_NOPERM: no key or the wrong one; -PS_TEMPFAIL: stopped, no
 * room. Closing the target is the caller's.
 */
int restore_run(const struct restore *r, struct restore_result *ret,
		struct err *e);

#endif
