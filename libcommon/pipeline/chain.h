/*
 * Processes joined by pipes. They form a process group of their own, so that
 * an interrupt typed at the terminal reaches only who supervises them, and
 * they end (SIGTERM) when that process dies.
 */
#ifndef PS_PIPELINE_CHAIN_H
#define PS_PIPELINE_CHAIN_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "pipeline/plan.h"

struct chain_stage {
	const char *name; /* borrowed from the plan */
	pid_t pid;
	bool ended;
	bool told;  /* we asked it to end: what it says is our doing */
	int status; /* as wait(2) gives it; when ended */
};

struct chain {
	struct chain_stage stages[PLAN_STAGES];
	unsigned n;
	unsigned alive;
	pid_t group; /* 0: none */
};

/*
 * Starts all stages. The first reads /dev/null, the last writes to `out`
 * (-1: /dev/null). A program is looked for beside the running one, then in
 * PATH. On failure nothing is left running. A program that cannot be run
 * ends with 126 or 127, as a shell would say it. No signal is blocked there.
 */
int chain_start(struct chain *c, const struct plan *p, int out, struct err *e);

/* A child ended: true when it was one of these. */
bool chain_reaped(struct chain *c, pid_t pid, int status);

/* Asks stages first..last-1 to end, once. */
void chain_tell(struct chain *c, unsigned first, unsigned last);
/* Stages before the last one that ended: nobody reads them any more. */
unsigned chain_unread(const struct chain *c);
/* Sends a signal to all that live; they count as told. */
void chain_signal(struct chain *c, int sig);

#endif
