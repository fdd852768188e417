/*
 * The rotation of the passphrase, as a job: it begins with the new one, the
 * servers follow one by one, and it ends with the time of the one before.
 */
#ifndef PS_CONFIG_ROTATION_H
#define PS_CONFIG_ROTATION_H

#include "config/job-kinds.h"

#define JOB_ROTATE "rotate"

/* Within reg_change(), when `generation` is new; a former one ends. */
int rotation_begin_here(struct reg *r, int64_t generation, struct err *e);

/* Says how far it is, when that has changed; ends it in time. */
int rotation_look(struct reg *r, struct err *e);

/* That is not possible: the new one was given out. */
job_cancel_fn rotation_cancel;

#endif
