#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "config/jobs.h"
#include "config/orders.h"

#define OPEN "('waiting', 'running')"

static int no_job(struct err *e, int64_t id)
{
	return err_set(e, PS_NO, "job %lld: there is none", (long long)id);
}

/* ---- making ---- */

struct new_job {
	const char *kind, *object;
	const char *const *steps;
	int64_t id;
};

int job_add_here(struct reg *r, const char *kind, const char *object,
		 const char *const *steps, int64_t *ret_id, struct err *e)
{
	int64_t n;
	int rc = reg_run(r,
			 "INSERT INTO jobs (kind, object, state, who, made) "
			 "VALUES (?, ?, 'waiting', ?, ?)",
			 SQL_ARGS(sql_text(kind), sql_text(object),
				  sql_text(r->who), sql_int(time_now_ns())),
			 e);

	if (rc < 0)
		return rc;
	*ret_id = sql_last_id(r->db);
	for (n = 0; rc == 0 && steps[n] != NULL; n++)
		rc = reg_run(r,
			     "INSERT INTO job_steps (job, n, what, state, "
			     "percent) VALUES (?, ?, ?, 'waiting', 0)",
			     SQL_ARGS(sql_int(*ret_id), sql_int(n + 1),
				      sql_text(steps[n])),
			     e);
	return rc < 0 ? rc
		      : reg_audit(r, "job-add", object, e, "%s job %lld", kind,
				  (long long)*ret_id);
}

static int add(struct reg *r, void *ctx, struct err *e)
{
	struct new_job *j = ctx;

	return job_add_here(r, j->kind, j->object, j->steps, &j->id, e);
}

int job_add(struct reg *r, const char *kind, const char *object,
	    const char *const *steps, int64_t *ret_id, struct err *e)
{
	struct new_job j = {kind, object, steps, 0};
	int rc = reg_change(r, add, &j, e);

	if (rc == 0)
		*ret_id = j.id;
	return rc;
}

/* ---- doing ---- */

struct job_change {
	int64_t id, n, percent;
	const char *state, *text;
};

static int check_words(const char *words, struct err *e)
{
	return words == NULL ? 0 : reg_text_check("the note", words, 1024, e);
}

/* The job, when it has not ended. */
static int get_open(struct reg *r, int64_t id, struct reg_job *j, struct err *e)
{
	int rc = job_get(r, id, j, e);

	if (rc == 0 && j->ended != 0)
		rc = err_set(e, PS_NO, "job %lld: is %s already", (long long)id,
			     j->state);
	return rc;
}

int job_progress_here(struct reg *r, int64_t id, int64_t n, int64_t percent,
		      const char *note, struct err *e)
{
	struct reg_job j;
	int64_t now = time_now_ns(), rc = get_open(r, id, &j, e);

	if (rc < 0)
		return (int)rc;
	rc = sql_run(r->db,
		     "UPDATE job_steps SET state = ?, percent = ?, note = ?, "
		     "begun = COALESCE(begun, ?), ended = ? "
		     "WHERE job = ? AND n = ?",
		     SQL_ARGS(sql_text(percent >= 100 ? "done" : "running"),
			      sql_int(percent), sql_text(note), sql_int(now),
			      sql_time(percent >= 100 ? now : 0), sql_int(id),
			      sql_int(n)),
		     e);
	if (rc == 0)
		return err_set(e, PS_NO, "job %lld: has no step %lld",
			       (long long)id, (long long)n);
	if (rc < 0)
		return (int)rc;
	return reg_run(r,
		       "UPDATE jobs SET state = 'running', "
		       "begun = COALESCE(begun, ?) WHERE id = ?",
		       SQL_ARGS(sql_int(now), sql_int(id)), e);
}

static int progress(struct reg *r, void *ctx, struct err *e)
{
	const struct job_change *c = ctx;

	return job_progress_here(r, c->id, c->n, c->percent, c->text, e);
}

int job_progress(struct reg *r, int64_t id, int64_t n, int64_t percent,
		 const char *note, struct err *e)
{
	struct job_change c = {id, n, percent, NULL, note};

	if (percent < 0 || percent > 100)
		return err_set(e, PS_USAGE, "a percentage is 0 to 100");
	return check_words(note, e) < 0 ? -PS_USAGE
					: reg_change(r, progress, &c, e);
}

int job_note_here(struct reg *r, int64_t id, const char *note, struct err *e)
{
	if (note == NULL)
		return 0;
	return reg_run(r, "UPDATE jobs SET result = ? WHERE id = ?",
		       SQL_ARGS(sql_text(note), sql_int(id)), e);
}

int job_end_here(struct reg *r, int64_t id, const char *state,
		 const char *result, struct err *e)
{
	char both[sizeof(((struct reg_job *)0)->result)];
	struct reg_job j;
	int rc = get_open(r, id, &j, e);

	if (rc == 0 && result != NULL && j.result[0] != '\0' &&
	    strcmp(state, "cancelled") == 0) {
		snprintf(both, sizeof(both), "%.500s; %.500s", result,
			 j.result);
		reg_text_cut(both);
		result = both;
	}
	if (rc == 0)
		rc = reg_run(r,
			     "UPDATE jobs SET state = ?, result = ?, ended = ? "
			     "WHERE id = ?",
			     SQL_ARGS(sql_text(state), sql_text(result),
				      sql_int(time_now_ns()), sql_int(id)),
			     e);
	if (rc == 0)
		rc = order_end_job_here(r, id, e);
	return rc < 0 ? rc
		      : reg_audit(r, "job-end", j.object, e,
				  "%s job %lld %s: %s", j.kind, (long long)id,
				  state, result != NULL ? result : "");
}

static int end(struct reg *r, void *ctx, struct err *e)
{
	const struct job_change *c = ctx;

	return job_end_here(r, c->id, c->state, c->text, e);
}

int job_end(struct reg *r, int64_t id, const char *state, const char *result,
	    struct err *e)
{
	struct job_change c = {id, 0, 0, state, result};

	return check_words(result, e) < 0 ? -PS_USAGE
					  : reg_change(r, end, &c, e);
}

/* ---- reading ---- */

#define COLUMNS                                                                \
	"SELECT id, kind, object, state, who, made, begun, ended, result, "    \
	"(SELECT COUNT(*) FROM job_steps WHERE job = jobs.id) AS steps, "      \
	"(SELECT COUNT(*) FROM job_steps WHERE job = jobs.id AND "             \
	"state = 'done') AS steps_done FROM jobs "

static void take(struct reg_job *j, const struct sql_row *row)
{
	j->id = sql_get_int(row, 0);
	sql_copy_text(row, 1, j->kind, sizeof(j->kind));
	sql_copy_text(row, 2, j->object, sizeof(j->object));
	sql_copy_text(row, 3, j->state, sizeof(j->state));
	sql_copy_text(row, 4, j->who, sizeof(j->who));
	j->made = sql_get_int(row, 5);
	j->begun = sql_get_int(row, 6);
	j->ended = sql_get_int(row, 7);
	sql_copy_text(row, 8, j->result, sizeof(j->result));
	j->steps = sql_get_int(row, 9);
	j->steps_done = sql_get_int(row, 10);
}

static int take_one(void *ctx, const struct sql_row *row, struct err *e)
{
	(void)e;
	take(ctx, row);
	return 0;
}

int job_get(struct reg *r, int64_t id, struct reg_job *ret, struct err *e)
{
	int rc;

	*ret = (struct reg_job){.id = 0};
	rc = sql_each(r->db, COLUMNS "WHERE id = ?", SQL_ARGS(sql_int(id)),
		      take_one, ret, e);
	return rc == 0 && ret->id == 0 ? no_job(e, id) : rc;
}

int job_open(struct reg *r, const char *kind, const char *object,
	     int64_t *ret_id, struct err *e)
{
	return sql_number(r->db,
			  "SELECT COALESCE(MAX(id), 0) FROM jobs WHERE "
			  "kind = ? AND object = ? AND state IN " OPEN,
			  SQL_ARGS(sql_text(kind), sql_text(object)), 0, ret_id,
			  e);
}

struct list {
	job_fn *job;
	step_fn *step;
	void *ctx;
};

static int give(void *ctx, const struct sql_row *row, struct err *e)
{
	const struct list *list = ctx;
	struct reg_job j;

	take(&j, row);
	return list->job(list->ctx, &j, e);
}

int job_each(struct reg *r, bool open_only, uint64_t limit, job_fn *fn,
	     void *ctx, struct err *e)
{
	struct list list = {fn, NULL, ctx};
	int64_t n =
	    limit == 0 || limit > INT64_MAX ? INT64_MAX : (int64_t)limit;

	return sql_each(r->db,
			open_only
			    ? "SELECT * FROM (" COLUMNS "WHERE state IN " OPEN
			      " ORDER BY id DESC LIMIT ?) AS newest ORDER BY id"
			    : "SELECT * FROM (" COLUMNS
			      "ORDER BY id DESC LIMIT ?) AS newest ORDER BY id",
			SQL_ARGS(sql_int(n)), give, &list, e);
}

static int give_step(void *ctx, const struct sql_row *row, struct err *e)
{
	const struct list *list = ctx;
	struct reg_step s = {.n = sql_get_int(row, 0),
			     .percent = sql_get_int(row, 3),
			     .begun = sql_get_int(row, 4),
			     .ended = sql_get_int(row, 5)};

	sql_copy_text(row, 1, s.what, sizeof(s.what));
	sql_copy_text(row, 2, s.state, sizeof(s.state));
	sql_copy_text(row, 6, s.note, sizeof(s.note));
	return list->step(list->ctx, &s, e);
}

int job_each_step(struct reg *r, int64_t id, step_fn *fn, void *ctx,
		  struct err *e)
{
	struct list list = {NULL, fn, ctx};

	return sql_each(r->db,
			"SELECT n, what, state, percent, begun, ended, note "
			"FROM job_steps WHERE job = ? ORDER BY n",
			SQL_ARGS(sql_int(id)), give_step, &list, e);
}
