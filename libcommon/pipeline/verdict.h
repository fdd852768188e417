/*
 * What to make of a chain that ended: which stage was the cause, and whether
 * the same chain may succeed later. The table stands in ps-pipeline(8).
 */
#ifndef PS_PIPELINE_VERDICT_H
#define PS_PIPELINE_VERDICT_H

#include "pipeline/chain.h"

enum verdict_kind {
	VERDICT_DONE,  /* every stage ended well */
	VERDICT_HELD,  /* well, but a disk was put on hold */
	VERDICT_AGAIN, /* temporary: start again, any number of times */
	VERDICT_FEW,   /* start again, but only a few times in a row */
	VERDICT_STOP,  /* somebody has to look: starting again is wrong */
};

struct verdict {
	enum verdict_kind kind;
	int code;	/* the exit code that says it */
	unsigned stage; /* the cause; not for DONE and HELD */
	int status;	/* how that stage ended, as wait(2) gives it */
};

/* All stages must have ended. */
void verdict_of(const struct chain *c, struct verdict *ret);

/* "ps-upload ended with 69 (a peer cannot be reached)" */
void verdict_words(const struct chain *c, const struct verdict *v, char *out,
		   size_t size);

#endif
