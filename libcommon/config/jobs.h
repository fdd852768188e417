/*
 * Jobs: what takes long, with its steps, progress and result, and what was
 * done in the past. Who does a job says how far it is; a job that was cut off
 * is found as it was left.
 *
 *	waiting -> running -> done | failed;  waiting, running -> cancelled
 */
#ifndef PS_CONFIG_JOBS_H
#define PS_CONFIG_JOBS_H

#include "config/registry.h"

#define JOB_STEPS_MAX 64

struct reg_job {
	int64_t id;
	char kind[NAME_SIZE], object[NAME_SIZE], state[NAME_SIZE];
	char who[REG_TEXT_SIZE];
	int64_t made, begun, ended; /* ns; 0: not yet */
	int64_t steps, steps_done;
	char result[1024];
};

struct reg_step {
	int64_t n; /* from 1 */
	char what[REG_TEXT_SIZE], state[NAME_SIZE];
	int64_t percent, begun, ended;
	char note[1024];
};

/* Makes a waiting job; `steps` ends with NULL. */
int job_add(struct reg *r, const char *kind, const char *object,
	    const char *const *steps, int64_t *ret_id, struct err *e);
/* The same within reg_change(). */
int job_add_here(struct reg *r, const char *kind, const char *object,
		 const char *const *steps, int64_t *ret_id, struct err *e);

/*
 * Says how far step n is: 0 to 100 percent, which is done; the job runs then.
 * -PS_NO: there is no such job or step, or the job has ended.
 */
int job_progress(struct reg *r, int64_t id, int64_t n, int64_t percent,
		 const char *note, struct err *e);

/* The same within reg_change(). */
int job_progress_here(struct reg *r, int64_t id, int64_t n, int64_t percent,
		      const char *note, struct err *e);

/*
 * Ends a job: "done", "failed" or "cancelled", with what came of it. To cancel
 * one of somebody else is in job-kinds.h.
 */
int job_end(struct reg *r, int64_t id, const char *state, const char *result,
	    struct err *e);
/* The same within reg_change(). */
int job_end_here(struct reg *r, int64_t id, const char *state,
		 const char *result, struct err *e);

/*
 * Why somebody wants the end of a job, for its result when it is cancelled;
 * within reg_change(). NULL: nothing is said.
 */
int job_note_here(struct reg *r, int64_t id, const char *note, struct err *e);

/* Is a job of this kind for this object not ended? Its id, or 0. */
int job_open(struct reg *r, const char *kind, const char *object,
	     int64_t *ret_id, struct err *e);

int job_get(struct reg *r, int64_t id, struct reg_job *ret, struct err *e);
typedef int job_fn(void *ctx, const struct reg_job *j, struct err *e);
/*
 * The newest `limit` (0: all), oldest first; `open_only`: of those that have
 * not ended.
 */
int job_each(struct reg *r, bool open_only, uint64_t limit, job_fn *fn,
	     void *ctx, struct err *e);
typedef int step_fn(void *ctx, const struct reg_step *s, struct err *e);
int job_each_step(struct reg *r, int64_t id, step_fn *fn, void *ctx,
		  struct err *e);

#endif
