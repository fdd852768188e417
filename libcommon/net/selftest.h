/*
 * The end-to-end self-test of cxpsclient: one step after another, as an
 * administrator would go about it by hand, and for the first that fails
 * what to look at next.
 */
#ifndef PS_NET_SELFTEST_H
#define PS_NET_SELFTEST_H

#include "net/client.h"

enum selftest_result { SELFTEST_OK, SELFTEST_WARN, SELFTEST_FAILED };

struct selftest_step {
	const char *name; /* "resolve", "tcp", "tls", "browser", ... */
	enum selftest_result result;
	int64_t took_ns;
	char detail[512]; /* what was found, or why it failed */
	char hint[512];	  /* what to check next; empty when all is well */
};

typedef void selftest_fn(void *ctx, const struct selftest_step *step);

/*
 * Runs the steps and reports each when it is over. Without a secret it ends
 * before the login. Returns 0, or -CODE of the first that failed.
 */
int selftest_run(const struct client_to *to, const struct login_secret *secret,
		 const char *machine, selftest_fn *report, void *ctx);

#endif
