/* Journal entries and the map: forward, and back again. */
#ifndef PS_DISK_APPLY_H
#define PS_DISK_APPLY_H

#include "disk/journal.h"
#include "disk/map.h"
#include "disk/ranges.h"

/*
 * Puts what a segment says into the map and makes its header say so. In
 * place and idempotent: after a crash the same call does it again.
 */
int map_apply(struct map *m, const struct journal_entry *en, struct err *e);

/* Adds the blocks of a segment to a list of ranges. */
int entry_ranges(const struct journal_entry *en, struct ranges *r,
		 struct err *e);

/*
 * The blocks of a segment become unknown, as far as they lie in the map. The
 * header is left alone.
 */
int map_forget(struct map *m, const struct journal_entry *en, struct err *e);

#endif
