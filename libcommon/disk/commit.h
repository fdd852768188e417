/*
 * Acknowledgements come back: what the other side has taken is committed to
 * the map, segment by segment.
 *
 * A line about one segment (as they come from a running pipeline) only ever
 * commits: that segment and those before it. A line that states the head of
 * the disk (ack.head, or sequence 0) settles everything when the input ends:
 * the journal is committed up to the head; what was sent and is not in the
 * head was not taken, and when the head is older than the map, the other side
 * has lost it. Blocks of such segments become unknown (always sent) and dirty.
 */
#ifndef PS_DISK_COMMIT_H
#define PS_DISK_COMMIT_H

#include <stdbool.h>
#include <stdio.h>

#include "segment/ack.h"

struct commit {
	const char *map;
	bool settle; /* every line of the input states a head */
	/*
	 * Believe the head even when the map cannot be brought there: the
	 * next pass begins a new base behind it. Implies settle.
	 */
	bool restart;
	/* With restart: makes a map that is missing. */
	const char *machine, *disk;
	uint64_t block_size; /* 0: the default */
};

/*
 * Reads lines until the end of `in`; passes each on to `out` when it was
 * dealt with. 0: all that was sent is acknowledged, or settled. -PS_TEMPFAIL:
 * the input ended before that, or the disk has to be seated first. -PS_NO: a
 * segment was refused. -PS_DATA: an acknowledgement that does not fit.
 */
int commit_run(const struct commit *c, FILE *in, FILE *out, struct err *e);

#endif
