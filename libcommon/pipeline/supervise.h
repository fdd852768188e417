/*
 * Keeps the chains running, one for each vault (lane.h), and the errands
 * beside them.
 *
 * Signals: SIGTERM and SIGINT end all in order, a second one at once; SIGHUP
 * asks for the configuration to be read again. They are blocked and taken
 * from a descriptor, so none is lost and none interrupts anything.
 */
#ifndef PS_PIPELINE_SUPERVISE_H
#define PS_PIPELINE_SUPERVISE_H

#include "pipeline/seater.h"

/* What a configuration that was read again asks for. */
enum supervise_reload {
	RELOAD_REFUSED, /* the old one stays */
	RELOAD_RATES,	/* ps-upload reads them by itself: tell it */
	RELOAD_ALL,	/* end in order and begin anew */
};

struct supervise {
	struct plan_input in; /* with .once: one run, no restart */
	enum seat_policy seat;
	uint64_t seat_wait_s;	 /* see seater_init() */
	uint64_t max_wait_s;	 /* longest wait before a restart */
	uint64_t stop_timeout_s; /* for stages to finish what they have */
	int out;		 /* for acknowledgement lines; -1: nowhere */
	errand_say_fn *say;	 /* what happens, for people */
	enum supervise_reload (*reload)(void *ctx); /* on SIGHUP */
	void *ctx;
};

/* Returned instead of an exit code: run again with a new configuration. */
#define SUPERVISE_RELOAD 256

/*
 * Returns the exit code (or SUPERVISE_RELOAD) when all children are gone:
 * 0 after SIGTERM or when (once) the cache is empty, 1 when (once) it is but
 * for disks on hold, else that of the stage that was the cause; of several
 * chains the one that needs somebody most. It goes on while one chain does.
 * -CODE when it could not begin.
 */
int supervise_run(const struct supervise *opt, struct err *e);

#endif
