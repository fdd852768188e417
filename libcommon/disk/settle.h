/* Moving a map to what the other side has. Used by commit.c. */
#ifndef PS_DISK_SETTLE_H
#define PS_DISK_SETTLE_H

#include "disk/journal.h"
#include "disk/map.h"

struct ledger {
	struct journal journal;
	struct map map;
	uint64_t forgotten; /* entries up to here were dropped as stored */
};

/* A disk's state on the other side. */
struct mark {
	uint64_t seq;
	uint8_t digest[SHA256_LEN];
};

/*
 * Commits journal entries up to the mark, which must be at or behind the
 * map's. When the end of a pass is among them, its generation of the dirty
 * list goes. *ret_last: the newest one ended its pass.
 */
int ledger_forward(struct ledger *l, const struct mark *to, bool *ret_last,
		   struct err *e);

/*
 * The mark is all that the other side has: commits up to it, or goes back to
 * it, and drops the entries behind it. The scan lock must be held.
 */
int ledger_settle(struct ledger *l, const struct mark *head, struct err *e);

/* Takes the mark as it is; the next pass begins a base behind it. */
int ledger_restart(struct ledger *l, const struct mark *head, struct err *e);

/* Entries up to `seq` are in the vault: they are not needed any more. */
int ledger_stored(struct ledger *l, uint64_t seq, struct err *e);

#endif
