/*
 * A job: commands that are run one after another, as systemd does for a unit
 * of the type oneshot. Its file in the folder of jobs is locked while it runs
 * and has the time at which it was begun last.
 */
#ifndef PS_SERVICE_JOB_H
#define PS_SERVICE_JOB_H

#include <stdint.h>

#include "service/place.h"
#include "service/unit.h"

/*
 * Runs it here and now. Returns the exit code of the first command that
 * fails, else 0; -PS_NO when it runs already.
 */
int job_run(const struct place *p, const struct unit *u, struct err *e);

/*
 * When it is to be begun next: its interval after the last time, at once if
 * that is over; one that never ran, and that may be missed, at once.
 */
int64_t job_due_ns(const struct place *p, const struct unit *u, int64_t now_ns);

#endif
