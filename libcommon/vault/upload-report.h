/*
 * What ps-upload tells of itself while it works (--report): a status file
 * (base/status.h), its keys stand in ps-upload(1). It is fed from every
 * thread: from the HTTP client (web.h), from the reader and from the
 * committer. A thread of its own writes it, so that it is true while all others
 * wait, and so that nobody waits for it.
 */
#ifndef PS_VAULT_UPLOAD_REPORT_H
#define PS_VAULT_UPLOAD_REPORT_H

#include <pthread.h>
#include <stdbool.h>

#include "base/status.h"
#include "web/web.h"

/* The latency is the mean of so many requests. */
#define UPLOAD_REQUESTS 32

enum upload_state {
	UPLOAD_STARTING,
	UPLOAD_SENDING,
	UPLOAD_WAITING, /* ended for a reason that may pass */
	UPLOAD_DONE,
	UPLOAD_FAILED,
};

struct upload_report {
	struct status_file file;
	char vault[512];
	/* private, under the lock */
	uint64_t limit; /* bytes per second; 0: none */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool news, closing, single_writer;
	enum upload_state state;
	const char *cause; /* "" or a word of the manual */
	char error[512];
	bool troubled; /* the last try failed, or the former process did */
	uint64_t segments, bytes, retries, errors;
	/* Time spent so, and since when now (0: not). */
	struct upload_span {
		int64_t ns, since;
	} limited, input;
	double latency[UPLOAD_REQUESTS];
	uint64_t requests;
	/* The store's clock, by its last answer that told a time. */
	int64_t ahead_s, ahead_ns; /* when: mono_now_ns(); 0: never */
	/* At the beginning of the interval that rate and cause are made of. */
	struct {
		int64_t ns, limited_ns, input_ns;
		uint64_t bytes;
	} since;
	double rate;
};

/*
 * Begins; `path` NULL: nothing is kept or written, and all that follows does
 * nothing. `vault` loses what may be a
 * secret (user and password, query). What the process before has failed with
 * stays the cause until the store answers this one.
 */
void upload_report_open(struct upload_report *r, const char *path,
			const char *vault, uint64_t limit);
/* Another limit from now on; 0: none. */
void upload_report_rate(struct upload_report *r, uint64_t limit);
/* The vault's store refuses no second create. */
void upload_report_single_writer(struct upload_report *r);
/* A web_watch_fn; ctx is the report. */
void upload_report_web(void *ctx, const struct web_event *ev);
/* Bytes were written into the vault. */
void upload_report_moved(struct upload_report *r, size_t bytes);
/* The reader begins or ends to sleep for the limit. */
void upload_report_limit(struct upload_report *r, bool sleeps);
/* The reader begins or ends to wait for its input. */
void upload_report_input(struct upload_report *r, bool waits);
/*
 * A segment is stored; `seconds` is what the store took for it, where no
 * request tells (a folder), else 0.
 */
void upload_report_stored(struct upload_report *r, double seconds);
/* The last word; `e` may be NULL when code is 0 or 1. */
void upload_report_end(struct upload_report *r, int code, const struct err *e);

#endif
