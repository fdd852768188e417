/*
 * Segment files in the folder of one disk: CACHE/MACHINE/DISK/SEQ, 20 digits.
 * A file is complete from the moment it has its name and never changes.
 */
#ifndef PS_CACHE_SPOOL_H
#define PS_CACHE_SPOOL_H

#include <stdint.h>

#include "cache/head.h"

#define SPOOL_NAME_SIZE 21

void spool_name(uint64_t seq, char out[SPOOL_NAME_SIZE]);
/* False when the name is none of a segment file. */
bool spool_seq(const char *name, uint64_t *ret);

/* The sequences that are there, ascending. */
struct spool_list {
	uint64_t *seqs;
	size_t n;
};

/* Lists those behind `after`; free with spool_list_free. */
int spool_list(int dirfd, uint64_t after, struct spool_list *ret,
	       struct err *e);
void spool_list_free(struct spool_list *l);

/* What header and trailer of a file say. */
struct spool_info {
	struct seg_header header;
	struct mark at; /* its sequence and digest */
	bool last_part;
	uint64_t bytes;
	int64_t time; /* of arrival, ns since 1970 */
};

/*
 * Reads header and trailer alone. `machine` and `disk` say what it must be.
 * -PS_NOINPUT when there is no such file, -PS_DATA when it is damaged.
 */
int spool_peek(int dirfd, uint64_t seq, const char *machine, const char *disk,
	       struct spool_info *ret, struct err *e);

/*
 * Is it the file itself that a failed look at it tells of? Anything else (no
 * memory, no descriptors) says nothing about the segment and may pass.
 */
bool spool_is_damage(int rc);

/* spool_peek for a file that is open (at its beginning or not). */
int spool_peek_fd(int fd, uint64_t seq, const char *machine, const char *disk,
		  struct spool_info *ret, struct err *e);

/* Opens a segment file for reading: a descriptor, -PS_NOINPUT, -CODE. */
int spool_open(int dirfd, uint64_t seq, struct err *e);

/*
 * Reads the whole file and checks all that can be checked without a key, and
 * that it is the one segment which its name says.
 */
int spool_check(int fd, uint64_t seq, const char *machine, const char *disk,
		struct spool_info *ret, struct err *e);

/* Removes a file; that it is gone already is no failure. */
int spool_remove(int dirfd, uint64_t seq, struct err *e);

#endif
