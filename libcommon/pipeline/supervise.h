/*
 * Keeps a chain running: starts it, starts it again when it ends for a
 * reason that may pass, ends it in order when asked to.
 *
 * Signals: SIGTERM and SIGINT end it in order, a second one at once; SIGHUP
 * asks for the configuration to be read again. They are blocked and taken
 * from a descriptor, so none is lost and none interrupts anything.
 */
#ifndef PS_PIPELINE_SUPERVISE_H
#define PS_PIPELINE_SUPERVISE_H

#include "pipeline/seater.h"

struct supervise {
	struct plan_input in; /* with .once: one run, no restart */
	enum seat_policy seat;
	uint64_t max_wait_s;	 /* longest wait before a restart */
	uint64_t stop_timeout_s; /* for stages to finish what they have */
	int out;		 /* for acknowledgement lines; -1: nowhere */
	errand_say_fn *say;	 /* what happens, for people */
	/* On SIGHUP: may the new configuration be used? */
	bool (*reload)(void *ctx);
	void *ctx;
};

/* Returned instead of an exit code: run again with a new configuration. */
#define SUPERVISE_RELOAD 256

/*
 * Returns the exit code (or SUPERVISE_RELOAD) when all children are gone:
 * 0 after SIGTERM or when (once) the cache is empty, 1 when (once) it is but
 * for disks on hold, else that of the stage that was the cause. -CODE when
 * it could not begin.
 */
int supervise_run(const struct supervise *opt, struct err *e);

#endif
