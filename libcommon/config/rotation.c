#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "config/rotation.h"
#include "config/servers.h"

#define OBJECT "passphrase"

enum { STEP_FOLLOW = 1, STEP_OVER };

/* ---- beginning ---- */

int rotation_begin_here(struct reg *r, int64_t generation, struct err *e)
{
	static const char *const steps[] = {
	    "the servers follow", "the one before is not accepted any more",
	    NULL};
	char words[64];
	int64_t job = 0;
	int rc = job_open(r, JOB_ROTATE, OBJECT, &job, e);

	if (rc == 0 && job != 0) {
		snprintf(words, sizeof(words), "generation %lld came meanwhile",
			 (long long)generation);
		rc = job_end_here(r, job, "failed", words, e);
	}
	return rc < 0 ? rc
		      : job_add_here(r, JOB_ROTATE, OBJECT, steps, &job, e);
}

int rotation_cancel(struct reg *r, int64_t job, const char *note,
		    char words[JOB_WORDS_SIZE], struct err *e)
{
	int rc =
	    err_set(e, PS_NO, "job %lld: a new passphrase is not taken back",
		    (long long)job);

	(void)r;
	(void)note;
	(void)words;
	err_hint(e, "ps-config passphrase rotate makes another one");
	return rc;
}

/* ---- how far it is ---- */

struct look {
	int64_t job, current;
	int64_t before; /* 1: the one before is accepted, too */
	int64_t all, behind;
	char who[600]; /* is behind */
	char note[700];
	struct reg_step was;
};

static int add_server(void *ctx, const struct reg_server *s, struct err *e)
{
	struct look *l = ctx;
	size_t n = strlen(l->who);

	(void)e;
	l->all++;
	if (s->generation == l->current)
		return 0;
	l->behind++;
	if (n + strlen(s->name) + 2 < sizeof(l->who))
		snprintf(l->who + n, sizeof(l->who) - n, " %s", s->name);
	return 0;
}

static int take_step(void *ctx, const struct reg_step *s, struct err *e)
{
	struct look *l = ctx;

	(void)e;
	if (s->n == STEP_FOLLOW)
		l->was = *s;
	return 0;
}

static int see(struct reg *r, struct look *l, struct err *e)
{
	int rc = sql_number(r->db, "SELECT MAX(generation) FROM passphrases",
			    SQL_NO_ARGS, 0, &l->current, e);

	if (rc == 0)
		rc = sql_number(
		    r->db,
		    "SELECT COUNT(*) FROM passphrases WHERE "
		    "generation = ? AND until > ?",
		    SQL_ARGS(sql_int(l->current - 1), sql_int(time_now_ns())),
		    0, &l->before, e);
	if (rc == 0)
		rc = server_each(r, add_server, l, e);
	snprintf(l->note, sizeof(l->note), "%lld of %lld%s%s",
		 (long long)(l->all - l->behind), (long long)l->all,
		 l->behind > 0 ? "; not yet:" : "", l->who);
	return rc < 0 ? rc : job_each_step(r, l->job, take_step, l, e);
}

static int end(struct reg *r, const struct look *l, struct err *e)
{
	char words[640];
	int rc;

	if (l->behind > 0) {
		snprintf(words, sizeof(words), "not followed:%s", l->who);
		return job_end_here(r, l->job, "failed", words, e);
	}
	rc = job_progress_here(r, l->job, STEP_OVER, 100, NULL, e);
	snprintf(words, sizeof(words), "%lld servers followed",
		 (long long)l->all);
	return rc < 0 ? rc : job_end_here(r, l->job, "done", words, e);
}

static int change(struct reg *r, void *ctx, struct err *e)
{
	struct look l = {.job = 0};
	int64_t percent;
	int rc = job_open(r, JOB_ROTATE, OBJECT, &l.job, e);

	(void)ctx;
	if (rc == 0 && l.job != 0)
		rc = see(r, &l, e);
	if (rc < 0 || l.job == 0)
		return rc; /* another was faster */
	percent = l.all > 0 ? 100 * (l.all - l.behind) / l.all : 100;
	if (strcmp(l.note, l.was.note) != 0)
		rc = job_progress_here(r, l.job, STEP_FOLLOW, percent, l.note,
				       e);
	return rc < 0 || l.before > 0 ? rc : end(r, &l, e);
}

/* Is there anything to say? Looking costs no change of the registry. */
static int has_moved(struct reg *r, bool *ret, struct err *e)
{
	struct look l = {.job = 0};
	int rc = job_open(r, JOB_ROTATE, OBJECT, &l.job, e);

	*ret = false;
	if (rc < 0 || l.job == 0)
		return rc;
	rc = see(r, &l, e);
	*ret = rc == 0 && (l.before == 0 || strcmp(l.note, l.was.note) != 0);
	return rc;
}

int rotation_look(struct reg *r, struct err *e)
{
	bool moved;
	int rc = has_moved(r, &moved, e);

	return rc < 0 || !moved ? rc : reg_change(r, change, NULL, e);
}
