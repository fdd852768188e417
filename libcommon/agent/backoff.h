/* Waits between tries: they double, with jitter, up to a limit. */
#ifndef PS_AGENT_BACKOFF_H
#define PS_AGENT_BACKOFF_H

#include <stdint.h>

struct backoff {
	int64_t next; /* mono_now_ns; not before */
	uint64_t wait_s;
};

/* Puts off the next try: at least `least_s`, at most `max_s` beyond that. */
void backoff_fail(struct backoff *b, uint64_t least_s, uint64_t max_s);
void backoff_clear(struct backoff *b);

#endif
