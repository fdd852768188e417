/* One segment from the cache to a descriptor, checked before it is sent. */
#ifndef PS_CACHE_SEND_H
#define PS_CACHE_SEND_H

#include "cache/folder.h"

/*
 * Reads the file whole and checks it. -PS_DATA when it is damaged or a
 * medium fails: *ret_fd is not set then.
 */
int send_open(struct folder *f, uint64_t seq, int *ret_fd,
	      struct spool_info *ret, struct err *e);

/* Sends `n` bytes of the file; the pages are still in memory. */
int send_file(int out, int fd, uint64_t n, struct err *e);

#endif
