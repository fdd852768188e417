/* The self-test of cxpsclient as it is shown: once or again and again. */
#ifndef PS_TOOLS_CXPSCLIENT_TEST_H
#define PS_TOOLS_CXPSCLIENT_TEST_H

#include "net/selftest.h"

enum test_show {
	TEST_LINES,  /* a line for each step */
	TEST_SHORT,  /* one line for each run */
	TEST_JSON,   /* an object for each run, and one for the summary */
	TEST_NAGIOS, /* one line with figures; exit codes of a plugin */
};

struct test_options {
	const struct client_to *to;
	const struct login_secret *secret; /* NULL: up to the login */
	const char *machine;
	enum test_show show;
	uint64_t runs; /* 0: until SIGINT or SIGTERM */
	uint64_t interval_s;
};

/* Exit codes of monitoring plugins. */
#define NAGIOS_OK 0
#define NAGIOS_WARNING 1
#define NAGIOS_CRITICAL 2
#define NAGIOS_UNKNOWN 3

/*
 * Runs the test. Returns the exit code: of the first run that failed, else 0;
 * for TEST_NAGIOS one of those above.
 */
int test_run(const struct test_options *o);

#endif
