/*
 * What a client tells of itself while it works: a small JSON file (status.h).
 * Written at once when the state or the cause changes, else at most once a
 * second. The keys stand in cxpsclient(1).
 */
#ifndef PS_NET_REPORT_H
#define PS_NET_REPORT_H

#include <stdint.h>

#include "base/err.h"
#include "base/name.h"
#include "base/status.h"

#define REPORT_CAUSE_SIZE 32

enum report_state {
	REPORT_CONNECTING,
	REPORT_SENDING,
	REPORT_WAITING, /* told to come again */
	REPORT_DONE,
	REPORT_FAILED,
};

struct report {
	struct status_file file;
	enum report_state state;
	char cause[REPORT_CAUSE_SIZE];
	unsigned retry_s;
	char error[512];
	char machine[NAME_SIZE], disk[NAME_SIZE];
	uint64_t seq;	   /* being sent, or sent last */
	uint64_t segments; /* sent */
	uint64_t bytes;
	uint64_t acked_seq; /* of this disk; 0: none */
	/* private */
	int64_t since_ns; /* of the bytes that the rate is made of */
	uint64_t since_bytes;
	double rate;
	int64_t served_ns; /* of the last answer; 0: nothing was sent yet */
	double server;	   /* share of the time in which it was busy for us */
	bool server_known;
};

/* Writes it, when something is new or a second is over. */
void report_tick(struct report *r);
/* Another state; the file is written at once when it is new. */
void report_state(struct report *r, enum report_state state);
/* Why: what the server has said, or our own word. */
void report_cause(struct report *r, const char *cause, unsigned retry_s);
/* The server was busy for so long with the segment that it answers now. */
void report_server(struct report *r, int64_t busy_ms);
/* The last word: done (0), told to wait (-PS_TEMPFAIL), else failed. */
void report_end(struct report *r, int rc, const struct err *e);

#endif
