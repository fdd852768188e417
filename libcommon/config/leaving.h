/*
 * How a server leaves the site: a job. It is asked to go, says good-bye, and
 * is forgotten with that; or it is forgotten without being asked.
 *
 *	reached -> asked -> gone
 */
#ifndef PS_CONFIG_LEAVING_H
#define PS_CONFIG_LEAVING_H

#include "config/job-kinds.h"

#define JOB_LEAVE "unregister"

#define LEAVE_REACHED 1 /* steps */
#define LEAVE_ASKED 2
#define LEAVE_GONE 3

/* A new job, or the one that is open; *ret_job. -PS_NO: no such server. */
int leave_begin(struct reg *r, const char *server, int64_t *ret_job,
		struct err *e);

/* Both sides reach each other: it is asked to go. -PS_NO: the job has ended. */
int leave_ask(struct reg *r, const char *server, int64_t job, struct err *e);

/* It has said good-bye: it is forgotten, and its job is done. */
int leave_take(struct reg *r, const char *server, int64_t *ret_machines,
	       struct err *e);

/*
 * It does not go, or shall not: the job has failed or is cancelled, and the
 * server stays.
 */
int leave_fail(struct reg *r, const char *server, int64_t job, const char *why,
	       struct err *e);
job_cancel_fn leave_cancel;

#endif
