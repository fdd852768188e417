/*
 * A progress line on standard error for long work: bytes, rate, time left.
 * Nothing is printed when standard error is no terminal or under -q.
 */
#ifndef PS_BASE_PROGRESS_H
#define PS_BASE_PROGRESS_H

#include <stdint.h>

/* `total` 0: not known, no percentage and no time left. */
void progress_begin(const char *what, uint64_t total);
/* Bytes done so far; cheap enough for every block. */
void progress_at(uint64_t done);
/* Clears the line. */
void progress_end(void);

#endif
