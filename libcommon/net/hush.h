/*
 * Keeps a peer from filling the log: of what is refused to one peer, one line
 * is written a minute, whatever the words. The others are counted by their
 * kinds; the count is the peer's line of the minute that follows. Errors of
 * the server's own are counted apart, so that no refusal takes their place.
 */
#ifndef PS_NET_HUSH_H
#define PS_NET_HUSH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "net/log.h"

#define HUSH_NAME 80
#define HUSH_STRANGERS 60 /* lines a minute of all without a login together */
#define HUSH_OWN 10	  /* errors of ours a minute of a machine; none twice */
#define HUSH_NS (60 * INT64_C(1000000000))

struct hush;
/* Told when a minute is over: how many more of `who` there were, and which. */
typedef void hush_fn(void *ctx, const char *who, const char *words);

int hush_open(struct hush **ret, hush_fn *fn, void *ctx, struct err *e);
/* Tells what is still to be told. */
void hush_close(struct hush *h);

/*
 * May this line of `who` be written now (mono_now_ns())? NETLOG_OWN of a
 * stranger is one line a minute, too: its process may be in foreign hands.
 */
bool hush_may(struct hush *h, const char *who, bool stranger,
	      enum netlog_kind kind, const char *words, int64_t now);
/* Tells of the minutes that are over; cheap. */
void hush_tick(struct hush *h, int64_t now);

#endif
