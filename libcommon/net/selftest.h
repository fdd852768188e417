/*
 * The end-to-end self-test of cxpsclient: one step after another, as an
 * administrator would go about it by hand, and for the first that fails
 * what to look at next.
 */
#ifndef PS_NET_SELFTEST_H
#define PS_NET_SELFTEST_H

#include "net/client.h"

#define SELFTEST_STEPS 12
#define SELFTEST_OPEN_STEPS 5 /* without a login */

/* A certificate with less to live is a warning; with less, a louder one. */
#define SELFTEST_CERT_WARN_DAYS 60
#define SELFTEST_CERT_SOON_DAYS 30
/* The registration of Azure Site Recovery refuses clocks that differ more. */
#define SELFTEST_CLOCK_MAX_S 900
#define SELFTEST_CLOCK_WARN_S 300

enum selftest_result { SELFTEST_OK, SELFTEST_WARN, SELFTEST_FAILED };

struct selftest_step {
	const char *name; /* "resolve", "tcp", "tls", "browser", ... */
	enum selftest_result result;
	int64_t took_ns;
	double rate;	  /* bytes per second, of upload and download; else 0 */
	char detail[512]; /* what was found, or why it failed */
	char hint[512];	  /* what to check next; empty when all is well */
};

typedef void selftest_fn(void *ctx, const struct selftest_step *step);

/* The names of the steps, in their order. */
const char *selftest_name(unsigned i);

/*
 * Runs the steps and reports each when it is over. All of them together get
 * to->wait_ns (the resolver of the system keeps its own time). Without a
 * secret it ends before the login. Returns 0, or -CODE of the first that
 * failed.
 */
int selftest_run(const struct client_to *to, const struct login_secret *secret,
		 const char *machine, selftest_fn *report, void *ctx);

/*
 * Looks again, after TLS 1.3 could not be spoken with whoever is there: does
 * it speak an older TLS, or plain HTTP, and what does it say? Puts better
 * words into `e` when it finds out; waits at most 5 s and to->wait_ns.
 */
void selftest_why_no_tls(const struct client_to *to,
			 const struct addrinfo *list, struct err *e);

#endif
