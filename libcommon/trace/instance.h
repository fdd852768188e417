/*
 * A tracing instance of our own (tracefs, instances/NAME): its buffers, its
 * filter, its events; nobody else's tracing is touched or seen. tracefs is
 * reached by a mount that has no place in any folder, so none has to exist.
 */
#ifndef PS_TRACE_INSTANCE_H
#define PS_TRACE_INSTANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "trace/page.h"
#include "trace/target.h"

#define INSTANCE_NAME 48

struct instance {
	int folder; /* instances */
	int dir;    /* instances/NAME */
	char name[INSTANCE_NAME];
	struct page_format page_format;
	struct event_format event_format;
	uint8_t *page;
	unsigned ncpus;
	struct instance_cpu {
		int fd; /* trace_pipe_raw */
		unsigned id;
	} * cpus; /* each that could ever be there */
	uint64_t pages_max;
};

/*
 * Begins to trace what is written to the target, and what the thread named
 * `comm` reads from its disk. `buffer` bytes for each CPU. An instance of the
 * same name that a killed process left is removed. -PS_UNAVAILABLE: there is
 * no such tracing here.
 */
int instance_open(struct instance *in, const char *name, const struct target *t,
		  const char *comm, uint64_t buffer, struct err *e);
/* Ends tracing and removes the instance. */
void instance_close(struct instance *in);

/*
 * Gives what is in the buffers to `fn`: at least every event that was complete
 * before the call. 1: the kernel says that events were lost; -CODE: what is
 * there cannot be read or understood.
 */
int instance_drain(struct instance *in, page_event_fn *fn, void *ctx,
		   struct err *e);

/* How many events had no room, since the beginning, on all CPUs. */
int instance_losses(const struct instance *in, uint64_t *ret, struct err *e);

#endif
