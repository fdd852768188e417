/*
 * Change lists: what may have changed on a disk, told by somebody who kept
 * book (a hypervisor's dirty bitmap, a snapshot's difference). Two forms,
 * told apart by the first character:
 *
 *	START LENGTH STATE		bytes, one range on a line; '#' and
 *					empty lines are passed over
 *	[ { "offset", "length", "description" }, ... ]
 *					what `nbdinfo --map --json` prints
 *
 * States: "dirty" and "clean" speak of changes; only dirty ranges are read.
 * "data", "zero", "hole" and "hole,zero" speak of allocation: a hole may be
 * new, so every range that is named is read. A list is of one kind. Ranges
 * ascend, do not overlap, and lie in the disk.
 */
#ifndef PS_DISK_CHANGES_H
#define PS_DISK_CHANGES_H

#include <stdio.h>

#include "disk/ranges.h"

/*
 * Reads a whole list and adds what has to be read to `ret`, which is not
 * touched on failure. -PS_DATA: refused, with the number of the line.
 */
int changes_read(FILE *f, const char *name, uint64_t disk_size,
		 struct ranges *ret, struct err *e);

/*
 * Copies a list of whatever length as one that is bounded: at most RANGES_MAX
 * lines of text, dirty ranges that cover at least what the list names, none
 * behind its end. -PS_DATA: refused; then nothing was written.
 */
int changes_merge(FILE *from, const char *name, FILE *to, struct err *e);

#endif
