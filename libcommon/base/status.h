/*
 * A small file in which a program tells how it is doing while it works:
 * replaced as a whole, so that a reader never sees half of it, and never
 * synced, because it says how things are now.
 */
#ifndef PS_BASE_STATUS_H
#define PS_BASE_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#define STATUS_EVERY_NS 1000000000LL

struct status_file {
	const char *path; /* NULL: nobody wants it; borrowed */
	/* private */
	int64_t written_ns; /* mono_now_ns(); 0: not yet */
	bool broken;	    /* said once that it cannot be written */
};

/* Has a second passed since it was written? False when nobody wants it. */
bool status_due(const struct status_file *f);
/*
 * Writes text and a newline; NULL (no memory) counts as a failure. A failure
 * is told once and stops nothing. One process writes one file from one thread
 * at a time.
 */
void status_write(struct status_file *f, const char *text);

#endif
