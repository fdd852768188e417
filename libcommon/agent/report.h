/* What other programs tell in small JSON files and on standard output. */
#ifndef PS_AGENT_REPORT_H
#define PS_AGENT_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* What cxpsclient(1) --report writes. */
struct report {
	char state[16]; /* connecting, sending, waiting, done, failed */
	char cause[32];
	char error[256];
	uint64_t retry_after; /* seconds; 0: not said */
	uint64_t bytes, rate;
	double server; /* share of the time that it was busy; -1: not known */
};

/* False when there is none, or one that cannot be read. */
bool report_read(int dirfd, const char *path, struct report *ret);

/* What ps-scan(1) --status --json prints. */
struct scan_status {
	uint64_t size, seq, dirty_bytes, scrub_found;
	bool point, new_base;
};

bool scan_status_parse(const char *text, struct scan_status *ret);

#endif
