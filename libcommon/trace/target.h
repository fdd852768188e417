/*
 * A block device as the kernel's trace names it: events carry the number of
 * the whole disk and a sector of the whole disk, for partitions too.
 */
#ifndef PS_TRACE_TARGET_H
#define PS_TRACE_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define SECTOR 512u

struct target {
	dev_t dev;	  /* the device itself */
	uint32_t disk;	  /* its whole disk, as the kernel packs numbers */
	uint64_t start;	  /* where it begins on that, in sectors */
	uint64_t sectors; /* its length */
	uint64_t diskseq; /* which disk this is since boot */
};

/*
 * Looks a device up in sysfs. -PS_UNAVAILABLE: a kind whose writes the trace
 * does not show, or a kernel without diskseq (before 5.15).
 */
int target_find(struct target *t, const char *path, struct err *e);

/* Still the same disk, of the same size, in the same place? */
bool target_same(const struct target *a, const struct target *b);

#endif
