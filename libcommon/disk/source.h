/*
 * The disk that is read: a regular file or a block device. Holes are found
 * without reading them.
 */
#ifndef PS_DISK_SOURCE_H
#define PS_DISK_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct source {
	int fd;
	const char *path; /* borrowed */
	uint64_t size;	  /* bytes, when it was opened */
	bool mounted;	  /* it, or what lies on it, is mounted read-write */
	/* private: the stretch that the last look found */
	uint64_t looked_at, data_from, data_to;
};

/*
 * Opens a source for reading. -PS_NOINPUT: not there; -PS_USAGE: neither a
 * regular file nor a block device. `path` must live as long as the source.
 */
int source_open(struct source *s, const char *path, struct err *e);
void source_close(struct source *s);

/*
 * The next stretch of data that begins before `end`, at or behind `pos`.
 * False: there is only a hole. One thread at a time.
 */
bool source_next_data(struct source *s, uint64_t pos, uint64_t end,
		      uint64_t *ret_from, uint64_t *ret_to);

/* Exactly n bytes; safe from several threads. -PS_IOERR: cannot be read. */
int source_read(const struct source *s, uint64_t pos, void *buf, size_t n,
		struct err *e);

#endif
