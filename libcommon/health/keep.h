/*
 * How the files of the state folder are opened: each begins with a head that
 * never changes; one that is another, or has another length, is damaged. A
 * writer sets it aside and begins anew; a reader is told.
 */
#ifndef PS_HEALTH_KEEP_H
#define PS_HEALTH_KEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define KEEP_HEAD_MAX 4096

struct keep {
	const char *name; /* in the folder */
	const char *what; /* for messages */
	uint8_t head[KEEP_HEAD_MAX];
	size_t head_len;
	uint64_t size; /* of the file; 0: it grows up to its size */
};

/*
 * A descriptor. To write, the file is made when missing, and one that is
 * damaged is set aside under another name, which *ret_aside then tells ("" when
 * not). To read: -PS_NOINPUT when there is none, -PS_DATA when it is damaged.
 */
int keep_open(const struct keep *k, int dirfd, bool write, char *ret_aside,
	      size_t aside_size, struct err *e);

#endif
