/*
 * What can be cancelled, and how it is taken back: one line for each kind of
 * job that has an undo (jobs.h), from whoever owns that kind.
 */
#ifndef PS_CONFIG_JOB_KINDS_H
#define PS_CONFIG_JOB_KINDS_H

#include "config/jobs.h"

extern const struct job_kind job_kinds[]; /* for job_cancel() */

#endif
