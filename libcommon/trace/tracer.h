/*
 * Keeps book of what is written to one block device, from the kernel's trace.
 * What is told holds when all writes that were handed to the disk before a cut
 * have reached it: whoever cuts holds writers at that moment (fsfreeze), or
 * knows that there are none. doc/write-trace.md has the whole argument.
 */
#ifndef PS_TRACE_TRACER_H
#define PS_TRACE_TRACER_H

#include "trace/writebook.h"
#include "trace/instance.h"
#include "trace/target.h"

#define TRACER_BUFFER (2u << 20) /* bytes for each CPU, by default */
#define TRACER_BUFFER_MIN 8192u

struct tracer {
	const char *path; /* of the device; borrowed */
	struct target target;
	struct instance instance;
	struct writebook book;
	char comm[TASK_COMM_SIZE]; /* how our own reads are told apart */
	bool probed;		   /* our own read was seen */
	uint64_t losses;	   /* of the instance, when last looked at */
	uint64_t events, times_lost;
	char why[200]; /* the last time that events were lost, or empty */
};

/*
 * Begins; the thread that calls gets a name of its own. `name` is that of the
 * instance. It is tried with a read of the device whether events say what they
 * should. -PS_UNAVAILABLE: not here, or not this device.
 */
int tracer_open(struct tracer *t, const char *path, const char *name,
		uint64_t buffer, struct err *e);
void tracer_close(struct tracer *t);

/* Takes events from the kernel's buffers; faults are kept in mind. */
void tracer_drain(struct tracer *t);

/*
 * Cuts, see writebook_cut(): 0 with the ranges, or 1 and `why`: not known.
 * -PS_UNAVAILABLE: this is not the disk any more that was traced.
 */
int tracer_cut(struct tracer *t, const char *to, const char *base,
	       struct ranges *ret, const char **why, struct err *e);

#endif
