/*
 * A tracer behind a socket in a private folder: `socket`, `lock` (held while it
 * lives). A request is one line, an answer one line, a body, and "end":
 *
 *	cut DEVICE TO BASE	("-": no base) "ok", ranges, or "unknown WHY"
 *	status			"ok", one line of JSON
 *	stop			"ok"; it ends
 *
 * A failure is "error CODE WORDS". DEVICE is MAJOR:MINOR: who asks for another
 * one than is traced gets 69, and the tracer ends.
 */
#ifndef PS_TRACE_TRACING_H
#define PS_TRACE_TRACING_H

#include <stdint.h>

#include "base/err.h"
#include "disk/ranges.h"

struct tracing_options {
	const char *device, *state;
	uint64_t buffer; /* bytes for each CPU */
	uint64_t idle_s; /* ends when nobody has cut for so long; 0: never */
	void (*ready)(void *ctx); /* it traces; may be NULL */
	void *ctx;
};

/* Serves until it is stopped: SIGTERM, SIGINT, `stop`, or idle. */
int tracing_run(const struct tracing_options *o, struct err *e);

/* ---- the other side ---- */

/* An answer, without "ok" and "end". Owned by the caller: free(text). */
struct tracing_answer {
	char *text;
	char why[256]; /* of "unknown" */
};

/*
 * Asks with a deadline. 0, 1 for "unknown", -CODE for what the server says.
 * -PS_UNAVAILABLE: nobody is there; -PS_TEMPFAIL: no answer, what was asked for
 * may still happen.
 */
int tracing_ask(const char *state, const char *request, int timeout_s,
		struct tracing_answer *ret, struct err *e);

#endif
