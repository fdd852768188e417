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
	int before; /* O_PATH of the pipe that it reads, for gauge.h; -1 */
};

struct chain {
	struct chain_stage stages[PLAN_STAGES];
	unsigned n;
	unsigned alive;
	pid_t group; /* 0: none */
};

/* What the stages are given; descriptors are borrowed. */
struct chain_io {
	int in;	 /* read by the first; -1: /dev/null */
	int out; /* written by the last; -1: /dev/null */
	int err; /* standard error of all; -1: that of this process */
	/* Called in each child before its program begins; may be NULL. */
	void (*prepare)(void *ctx);
	void *ctx;
};

/*
 * Starts all stages. A program without '/' in its name is looked for beside
 * the running one, then in PATH. On failure nothing is left running. A
 * program that cannot be run ends with 126 or 127, as a shell would say it.
 * No signal is blocked there.
 */
int chain_start(struct chain *c, const struct plan *p,
		const struct chain_io *io, struct err *e);

/* A child ended: true when it was one of these. */
bool chain_reaped(struct chain *c, pid_t pid, int status);

/* Asks stages first..last-1 to end, once. */
void chain_tell(struct chain *c, unsigned first, unsigned last);
/* Stages before the last one that ended: nobody reads them any more. */
unsigned chain_unread(const struct chain *c);
/* Sends a signal to all that live; they count as told. */
void chain_signal(struct chain *c, int sig);
/* The same for all that they have started, too, while one of them lives. */
void chain_signal_group(struct chain *c, int sig);

#endif
