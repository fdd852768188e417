/*
 * Turns to send: a limit on bytes per second that several processes share by
 * naming one small file, and an order among them: what is urgent goes first.
 *
 * The file holds when the line is free again and until when urgent senders
 * want it, on the monotonic clock. It is changed under flock, which goes with
 * its holder; content that makes no sense is made anew. Nothing in it has to
 * outlive the processes.
 */
#ifndef PS_BASE_SHARE_H
#define PS_BASE_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SHARE_PIECE_MAX (256 * 1024)

struct share {
	const char *path;    /* NULL: nobody shares */
	uint64_t per_second; /* bytes; 0: no limit, only the order */
	int fd;
	int64_t behind_ns; /* since when it has let others go first; 0: not */
	int64_t free_ns, urgent_ns; /* as it was last seen */
};

/* Opens or makes the file; `path` (borrowed) may be NULL. */
int share_open(struct share *s, const char *path, uint64_t per_second,
	       struct err *e);
void share_close(struct share *s);

/* True when turns have to be asked for at all. */
bool share_matters(const struct share *s);
/* The most to ask for at once: about an eighth of a second. */
size_t share_piece(const struct share *s);

/*
 * Asks to send n bytes now: 0 when they may go, else the nanoseconds after
 * which to ask again. Who is not urgent waits while others are, but gets a
 * piece every five seconds: the line behind it must not look dead, and first
 * replication must end some day.
 */
int64_t share_take(struct share *s, bool urgent, size_t n);

#endif
