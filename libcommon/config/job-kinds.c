#include "config.h"

#include <string.h>

#include "config/job-kinds.h"
#include "config/leaving.h"
#include "config/moves.h"
#include "config/rotation.h"

/* Who has a kind adds it here. */
static const struct job_kind {
	const char *name;
	job_cancel_fn *cancel; /* NULL: there is nothing to take back */
} kinds[] = {
    {JOB_LEAVE, leave_cancel},
    {JOB_MOVE, move_cancel},
    {JOB_REFRESH, NULL},
    {JOB_ROTATE, rotation_cancel},
    {NULL, NULL},
};

/* Its kind: that with the name NULL when it has no owner here. */
static int kind_of(struct reg *r, int64_t job, const struct job_kind **ret,
		   struct err *e)
{
	const struct job_kind *k = kinds;
	struct reg_job j;
	int rc = job_get(r, job, &j, e);

	while (k->name != NULL && strcmp(k->name, j.kind) != 0)
		k++;
	*ret = k;
	return rc;
}

int job_cancel(struct reg *r, int64_t job, const char *note,
	       char words[JOB_WORDS_SIZE], struct err *e)
{
	const struct job_kind *k;
	int rc = kind_of(r, job, &k, e);

	words[0] = '\0';
	if (rc == 0 && note != NULL)
		rc = reg_text_check("the note", note, JOB_WORDS_SIZE, e);
	if (rc < 0)
		return rc;
	return k->cancel != NULL ? k->cancel(r, job, note, words, e)
				 : job_end(r, job, "cancelled", note, e);
}

int job_check_outside(struct reg *r, int64_t job, struct err *e)
{
	const struct job_kind *k;
	int rc = kind_of(r, job, &k, e);

	if (rc < 0 || k->name == NULL)
		return rc;
	rc = err_set(e, PS_NO, "job %lld: a %s says by itself how it goes",
		     (long long)job, k->name);
	err_hint(e, "ps-config jobs cancel %lld takes it back", (long long)job);
	return rc;
}
