/*
 * What the ends of a disk's objects tell: which are last parts of a pass,
 * which chain leads to a base. Two small reads for each object, no index.
 */
#ifndef PS_VAULT_TAILS_H
#define PS_VAULT_TAILS_H

#include "vault/vault.h"

#define TAIL_NONE SIZE_MAX

struct tail {
	struct vault_cover cover;
	bool damaged; /* cannot be read; nothing but cover is then valid */
	bool sealed, compressed, base, last_part, initial;
	bool authentic; /* opened with a key, or not sealed */
	uint8_t consistency;
	uint64_t disk_size;
	uint64_t data_bytes, zero_bytes, stored_bytes;
	int64_t time, change_time; /* of bookmark and last change */
	char *bookmark;		   /* last parts only, else NULL */
	uint8_t prev[SHA256_LEN];
	uint8_t digest[SHA256_LEN]; /* by which a successor names it */
	struct seg_member *members; /* last parts only */
	uint32_t nmembers;
	bool borrowed; /* the members are those of an earlier object */
	/*
	 * The object that this one goes on from, as a reader chooses it;
	 * TAIL_NONE for a base, or when there is none.
	 */
	size_t older;
	bool covered;	      /* an unbroken chain leads to a base */
	bool chain_authentic; /* so is every object of that chain */
};

struct tails {
	char machine[NAME_SIZE], disk[NAME_SIZE];
	struct tail *items; /* as vault_covers: by seq, then by first */
	size_t n, damaged;
	char damage[256]; /* what is wrong with the first damaged one */
};

/*
 * Reads the ends of all objects of a disk. With keys, sealed ones are opened
 * by them; one that these keys do not open counts as not authentic. An
 * object that is damaged is marked and does not fail the call.
 */
int tails_load(struct vault *v, const char *machine, const char *disk,
	       const struct keyring *keys, struct tails *ret, struct err *e);
void tails_free(struct tails *t);

/* The object a reader takes to reach `seq` (the widest that leads to a base);
 * TAIL_NONE: there is none. */
size_t tails_find(const struct tails *t, uint64_t seq);

#endif
