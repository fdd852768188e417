/*
 * The rule by which a segment gets its name in a vault, so that two servers
 * that both own a disk can never both write its history. For one disk:
 *
 * - a segment is created only if the highest sequence in the vault is the one
 *   before it, with the digest that it names as its predecessor;
 * - at or under the highest it is "stored" if the vault holds this digest
 *   under this number, else "refused";
 * - anything else (a gap, another predecessor) is "refused".
 */
#ifndef PS_VAULT_FENCE_H
#define PS_VAULT_FENCE_H

#include "vault/vault.h"

/* Where a vault's history of a disk ends, as far as this process knows. */
struct fence {
	struct vault *vault;
	char machine[NAME_SIZE];
	char disk[NAME_SIZE];
	uint64_t seq; /* 0: empty */
	uint8_t digest[SHA256_LEN];
	int64_t looked; /* when, ns of a clock that counts suspension, too */
};

/* A segment that wants its name. */
struct fence_claim {
	uint64_t seq;
	uint8_t prev[SHA256_LEN];
	uint8_t digest[SHA256_LEN];
};

enum fence_verdict {
	FENCE_NEXT,   /* goes on from the end */
	FENCE_BEHIND, /* at or under the highest: compare */
	FENCE_GAP,
	FENCE_FORK,
};

/* Looks at the vault. -PS_DATA: the last object is damaged. */
int fence_look(struct fence *f, struct err *e);

/* The rule by itself. */
enum fence_verdict fence_judge(uint64_t head, const uint8_t *head_digest,
			       uint64_t seq, const uint8_t *prev);
/* Words for a gap or a fork. */
void fence_reason(enum fence_verdict verdict, uint64_t head, uint64_t seq,
		  char out[ACK_REASON_SIZE]);

/*
 * A segment at or under the highest: is it the one that is there? Confirmed
 * on stable storage before it counts as stored. Sets level and reason of the
 * acknowledgement; fails only when the store does.
 */
int fence_check(struct fence *f, const struct fence_claim *claim,
		struct ack *ret, struct err *e);

/*
 * Gives a written object its name if the rule allows it, else drops it. Sets
 * level and reason of the acknowledgement. `put` is used up in every case.
 */
int fence_commit(struct fence *f, const struct fence_claim *claim,
		 struct store_put *put, struct ack *ret, struct err *e);

/*
 * After a create that took so long that retention may have merged and removed
 * the number in between: false when others went on without this object (it
 * is then removed again).
 */
int fence_settle(struct fence *f, const struct fence_claim *claim,
		 bool *ret_ours, struct err *e);

#endif
