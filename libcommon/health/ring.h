/*
 * The samples of the last 72 hours, one for each minute, in a file that
 * never grows:
 *
 *	0	"pshealth", version u32, metrics u32, capacity u32, CRC-32C u32
 *	64	capacity records: time i64, metrics x i64, CRC-32C u32, 0 u32
 *
 * The minute says the place of a record, so there is no head to keep: a gap
 * is a gap, and a record that was torn by a power loss is one, too. Samples
 * are worth no fsync.
 */
#ifndef PS_HEALTH_RING_H
#define PS_HEALTH_RING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "health/metric.h"

#define RING_MINUTES (72 * 60)

struct ring {
	int fd;
};

/* Opens the ring in a folder, as keep_open() (keep.h) says. */
int ring_open(struct ring *r, int dirfd, bool write, char *ret_aside,
	      size_t aside_size, struct err *e);
void ring_close(struct ring *r);

int ring_put(struct ring *r, const struct sample *s, struct err *e);
/* The sample of that minute: 1, 0 when there is none, -CODE. */
int ring_get(struct ring *r, int64_t minute, struct sample *ret, struct err *e);

/*
 * All samples of minutes first..last, oldest first, into `ret` (room for
 * last - first + 1). Returns their number or -CODE.
 */
int ring_window(struct ring *r, int64_t first, int64_t last, struct sample *ret,
		struct err *e);

#endif
