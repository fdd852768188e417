/*
 * Which stage of a chain holds the others up: looks some times a second at how
 * full the pipes between them are. The stages know nothing of it. Each pipe is
 * opened for a moment, by an O_PATH descriptor that the chain keeps (see
 * chain.h): neither counts as a reader, so a writer whose reader is gone still
 * gets EPIPE, and it works for stages that have closed themselves against
 * ptrace(2), too.
 *
 * A stage limits the chain when what comes before it is full and what comes
 * behind it is empty. Before the first and behind the last there is no pipe:
 * there one side decides.
 *
 * What was seen in the last GAUGE_WINDOW samples is written to a file (JSON,
 * see ps-pipeline(8)) each second.
 */
#ifndef PS_PIPELINE_GAUGE_H
#define PS_PIPELINE_GAUGE_H

#include "base/status.h"
#include "pipeline/chain.h"

#define GAUGE_PER_SECOND 4
#define GAUGE_WINDOW (30 * GAUGE_PER_SECOND)

/* One pipe of one sample. */
enum gauge_fill {
	GAUGE_UNKNOWN,
	GAUGE_EMPTY,   /* a quarter at most */
	GAUGE_BETWEEN, /* */
	GAUGE_FULL,    /* three quarters at least */
};

struct gauge_stage {
	pid_t pid;
	uint8_t fill[GAUGE_WINDOW]; /* of the pipe before it */
	int queue, size;	    /* bytes there in the newest sample */
	int64_t ticks;		    /* of processor; -1: not known */
	double cpu;		    /* share of one processor, last second */
};

struct gauge {
	struct status_file file;
	char path[4096];
	struct gauge_stage stages[PLAN_STAGES];
	unsigned n;
	uint64_t samples; /* of this chain */
	int64_t since;	  /* of it; time_now_ns() */
	int64_t next;	  /* sample; mono_now_ns() */
	int64_t cpu_ns;	  /* when ticks were read */
	bool running;
};

/*
 * The file is DIR/.stages, or DIR/.stages.NAME for a chain with a name that is
 * not the usual one.
 */
void gauge_open(struct gauge *g, const char *dir, const char *name);

/*
 * Looks at the chain when it is time to; `c` may have none alive. Returns
 * `until` (mono_now_ns) or the time of the next sample, whichever is earlier.
 */
int64_t gauge_step(struct gauge *g, const struct chain *c, int64_t until);

/*
 * Shares of the samples of a stage, 0 to 1, and the number of those that they
 * are made of: of all but the first stage only samples in which something was
 * in some pipe.
 */
struct gauge_shares {
	double limits;	/* it holds the chain up */
	double starved; /* nothing comes */
	double blocked; /* nothing is taken from it */
	unsigned n;
};
void gauge_shares(const struct gauge *g, unsigned stage,
		  struct gauge_shares *ret);

/* The file's name of a chain: DIR/STEM, or DIR/STEM.NAME (see gauge_open). */
void gauge_file(const char *dir, const char *stem, const char *name, char *out,
		size_t size);

#endif
