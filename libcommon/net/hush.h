/*
 * Keeps a peer from filling the log: of one peer a line is written once a
 * minute, and counted after that. The count is written when its minute is
 * over.
 */
#ifndef PS_NET_HUSH_H
#define PS_NET_HUSH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define HUSH_NAME 80
#define HUSH_STRANGER 1	  /* lines a minute of an address without a login */
#define HUSH_STRANGERS 60 /* of all of them together */
#define HUSH_MACHINE 10	  /* of a machine; never the same line twice */
#define HUSH_NS (60 * INT64_C(1000000000))

struct hush;
/* Told at the end of a minute: so many lines of `who` were left out. */
typedef void hush_fn(void *ctx, const char *who, uint64_t left_out);

int hush_open(struct hush **ret, hush_fn *fn, void *ctx, struct err *e);
/* Tells what is still to be told. */
void hush_close(struct hush *h);

/* May this line of `who` be written now (mono_now_ns())? */
bool hush_may(struct hush *h, const char *who, bool stranger, const char *words,
	      int64_t now);
/* Tells of the minutes that are over; cheap. */
void hush_tick(struct hush *h, int64_t now);

#endif
