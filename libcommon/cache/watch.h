/*
 * Which folders of the cache have changed, by inotify. Where the system's
 * watches run out this says less: whoever uses it looks by itself now and
 * then.
 */
#ifndef PS_CACHE_WATCH_H
#define PS_CACHE_WATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct watch {
	int fd;	      /* readable when something changed; -1: no inotify */
	void **owner; /* by watch descriptor; NULL: a folder of folders */
	size_t nowners;
	bool lacking; /* some folder could not be watched */
};

/* Never fails: without inotify w->fd is -1. */
void watch_open(struct watch *w);
void watch_close(struct watch *w);

/*
 * Watches a folder. `owner` belongs to the folder of a disk; NULL: a folder
 * whose new folders matter. May be called again for the same folder.
 */
void watch_add(struct watch *w, const char *path, void *owner);

/*
 * Reads what happened: calls fn with the owner of each folder where a segment
 * or a head appeared, or with NULL when folders may be new or events were
 * lost (then everything has to be looked at).
 */
typedef void watch_fn(void *ctx, void *owner);
void watch_read(struct watch *w, watch_fn *fn, void *ctx);

#endif
