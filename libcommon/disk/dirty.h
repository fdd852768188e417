/*
 * The dirty list: the ranges of a disk that the next pass has to read, and
 * the only thing that it reads. One durable file in the journal's folder.
 *
 * Additions go to the open generation. A pass freezes: everything becomes one
 * numbered generation, and a new one opens. When the pass is acknowledged to
 * its end, that generation goes; later additions stay.
 *
 * A list that is missing, damaged, or belongs to another map stands for the
 * whole disk.
 */
#ifndef PS_DISK_DIRTY_H
#define PS_DISK_DIRTY_H

#include <stdbool.h>

#include "disk/journal.h"
#include "disk/map.h"
#include "disk/ranges.h"

struct dirty {
	uint8_t id[MAP_ID_LEN];
	uint64_t open_no;     /* number of the open generation, from 1 */
	struct ranges frozen; /* of generation open_no - 1 */
	struct ranges open;
	/*
	 * The last pass was one without point that had nothing to send, and
	 * nobody who waits for its acknowledgements has been told yet.
	 */
	bool nothing_sent;
};

/*
 * Reads the list of a map. Returns 1, or 0 when there is none that fits: the
 * list is then empty and the caller adds the whole disk.
 */
int dirty_load(struct dirty *d, const struct journal *j,
	       const uint8_t id[MAP_ID_LEN], struct err *e);
void dirty_free(struct dirty *d);

/* Makes the list durable. */
int dirty_save(struct dirty *d, struct journal *j, struct err *e);

/* Everything becomes one generation; its number is returned. */
int dirty_freeze(struct dirty *d, uint64_t *ret_generation, struct err *e);
/* Forgets that generation and the older ones that went into it. */
void dirty_forget(struct dirty *d, uint64_t generation);

#endif
