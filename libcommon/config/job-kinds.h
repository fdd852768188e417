/*
 * Kinds of jobs that have an owner in this program: who takes them back, and
 * who alone says how far they are. Any other job is what somebody outside does
 * (the purge of points): that one tells how it goes, and may be cancelled with
 * nothing to take back.
 */
#ifndef PS_CONFIG_JOB_KINDS_H
#define PS_CONFIG_JOB_KINDS_H

#include "config/jobs.h"

#define JOB_WORDS_SIZE 1024

#define JOB_REFRESH "refresh" /* of ps-config itself */

/*
 * Takes back what a job has begun, and ends it, together or not at all;
 * `words` tell what that means, `note` (or NULL) is of who wants it, for the
 * job's result (job_note_here()). When others have to act first (an order that
 * outlives its job), the job may end later, by its owner. -PS_NO: it has
 * ended, is too far, or is nothing that can be taken back; it goes on then.
 * Who waits for the job sees its end, or is told when it says how far it is
 * (job_progress(): -PS_NO).
 */
typedef int job_cancel_fn(struct reg *r, int64_t job, const char *note,
			  char words[JOB_WORDS_SIZE], struct err *e);

/* `note` may be NULL. */
int job_cancel(struct reg *r, int64_t job, const char *note,
	       char words[JOB_WORDS_SIZE], struct err *e);

/* -PS_NO: only its owner says how such a job goes. */
int job_check_outside(struct reg *r, int64_t job, struct err *e);

#endif
