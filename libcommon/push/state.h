/*
 * How the last push to each machine ended: one small file for each, so that a
 * second run can take those that failed, and two runs never work at one
 * machine at a time.
 */
#ifndef PS_PUSH_STATE_H
#define PS_PUSH_STATE_H

#include <jansson.h>

#include "push/host.h"

struct push_state {
	int dirfd;
};

/* Makes the folder where it is not there. */
int push_state_open(struct push_state *s, const char *path, struct err *e);
void push_state_close(struct push_state *s);

/* Locks a machine. -PS_NO: somebody pushes to it now; else a descriptor. */
int push_state_lock(const struct push_state *s, const struct push_host *h,
		    struct err *e);

/* One object: host, machine, result, reason, code, ... NULL: no memory. */
json_t *push_result_json(const struct push_host *h,
			 const struct push_result *r);

/* Keeps a result, durably; taken by push_state_failed(). */
int push_state_keep(const struct push_state *s, const struct push_host *h,
		    const struct push_result *r, struct err *e);

/* Those whose last push failed, as push_host_read() takes them. */
typedef int push_state_fn(void *ctx, const char *text, struct err *e);
int push_state_failed(const struct push_state *s, push_state_fn *fn, void *ctx,
		      struct err *e);

#endif
