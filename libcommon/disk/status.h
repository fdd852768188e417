/* What map, journal and dirty list know, for people and scripts. */
#ifndef PS_DISK_STATUS_H
#define PS_DISK_STATUS_H

#include "disk/map.h"
#include "disk/scrub.h"

struct map_status {
	struct map_head head;
	uint64_t dirty_bytes; /* that the next pass reads at least */
	uint64_t journal_entries;
	uint64_t sent_seq; /* newest one that was sent, or head.seq */
	struct scrub_state scrub;
	bool scanning; /* a pass is running */
};

/* Changes nothing. -PS_NOINPUT: there is no map. */
int map_status(const char *path, struct map_status *ret, struct err *e);

#endif
