#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "config/jobs.h"
#include "config/machines.h"
#include "config/moves.h"
#include "config/orders.h"
#include "config/servers.h"

/* ---- beginning ---- */

struct beginning {
	const struct reg_move *m;
	int64_t job;
};

static int check_servers(struct reg *r, const struct reg_move *m, struct err *e)
{
	struct reg_server s;
	int rc = server_get(r, m->to, &s, e);

	if (rc == 0 && strcmp(s.role, SERVER_PS) != 0)
		rc = err_set(e, PS_NO, "server '%s': is no process server",
			     m->to);
	if (rc == 0 && strcmp(m->from, m->to) == 0)
		rc = err_set(e, PS_USAGE, "from %s to itself", m->to);
	/* One that was deleted can neither be asked nor come back. */
	if (rc == 0 && !m->dead && m->from[0] != '\0')
		rc = server_get(r, m->from, &s, e);
	return rc;
}

/* An open move of this machine: is it this one? 1, 0 when there is none. */
static int find_open(struct reg *r, struct beginning *b, struct err *e)
{
	const struct reg_move *m = b->m;
	struct reg_move other;
	int64_t job = 0;
	int rc = job_open(r, JOB_MOVE, m->machine, &job, e);

	if (rc < 0 || job == 0)
		return rc;
	rc = move_get(r, job, &other, e);
	if (rc < 0)
		return rc;
	if (strcmp(other.from, m->from) == 0 && strcmp(other.to, m->to) == 0 &&
	    (other.dead || !m->dead)) {
		b->job = job;
		return 1;
	}
	if (m->dead && !other.dead) {
		rc = reg_run(r,
			     "UPDATE jobs SET state = 'failed', ended = ?, "
			     "result = 'its old server is given up' WHERE id "
			     "= ?",
			     SQL_ARGS(sql_int(time_now_ns()), sql_int(job)), e);
		if (rc == 0)
			rc = order_end_job_here(r, job, e);
		return rc < 0 ? rc
			      : reg_audit(r, "job-end", m->machine, e,
					  "move job %lld: %s is given up",
					  (long long)job, m->from);
	}
	rc = err_set(e, PS_NO,
		     "machine '%s': is being moved from %s to %s by job %lld",
		     m->machine, other.from, other.to, (long long)job);
	err_hint(e, "ps-balance resume goes on with it");
	return rc;
}

static int add_job(struct reg *r, struct beginning *b, struct err *e)
{
	const struct reg_move *m = b->m;
	char in[REG_TEXT_SIZE], out[REG_TEXT_SIZE], names[REG_TEXT_SIZE],
	    comes[REG_TEXT_SIZE];
	const char *steps[] = {in, out, names, comes, NULL};
	int rc;

	snprintf(in, sizeof(in), "%s makes ready for it", m->to);
	if (m->from[0] == '\0')
		snprintf(out, sizeof(out), "it had no server");
	else if (m->dead)
		snprintf(out, sizeof(out), "%s is given up", m->from);
	else
		snprintf(out, sizeof(out), "%s stores what it has and lets go",
			 m->from);
	snprintf(names, sizeof(names), "the registry names %s", m->to);
	snprintf(comes, sizeof(comes), "it sends to %s", m->to);
	rc = job_add_here(r, JOB_MOVE, m->machine, steps, &b->job, e);
	if (rc < 0)
		return rc;
	return reg_run(r,
		       "INSERT INTO moves (job, machine, source, dest, dead) "
		       "VALUES (?, ?, ?, ?, ?)",
		       SQL_ARGS(sql_int(b->job), sql_text(m->machine),
				sql_text(m->from), sql_text(m->to),
				sql_int(m->dead)),
		       e);
}

static int begin(struct reg *r, void *ctx, struct err *e)
{
	struct beginning *b = ctx;
	struct reg_machine machine;
	int rc;

	b->job = 0;
	rc = machine_get(r, b->m->machine, &machine, e);
	if (rc == 0)
		rc = check_servers(r, b->m, e);
	if (rc == 0)
		rc = find_open(r, b, e);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	if (strcmp(machine.server, b->m->to) == 0)
		return 0;
	if (strcmp(machine.server, b->m->from) != 0)
		return err_set(
		    e, PS_NO, "machine '%s': belongs to %s, not %s",
		    b->m->machine,
		    machine.server[0] != '\0' ? machine.server : "no server",
		    b->m->from[0] != '\0' ? b->m->from : "no server");
	return add_job(r, b, e);
}

int move_begin(struct reg *r, const struct reg_move *m, int64_t *ret_job,
	       struct err *e)
{
	struct beginning b = {m, 0};
	int rc = reg_change(r, begin, &b, e);

	if (rc == 0)
		*ret_job = b.job;
	return rc;
}

/* ---- reading ---- */

#define COLUMNS "SELECT job, machine, source, dest, dead FROM moves "

static void take(struct reg_move *m, const struct sql_row *row)
{
	m->job = sql_get_int(row, 0);
	sql_copy_text(row, 1, m->machine, sizeof(m->machine));
	sql_copy_text(row, 2, m->from, sizeof(m->from));
	sql_copy_text(row, 3, m->to, sizeof(m->to));
	m->dead = sql_get_int(row, 4) != 0;
}

static int take_one(void *ctx, const struct sql_row *row, struct err *e)
{
	(void)e;
	take(ctx, row);
	return 0;
}

int move_get(struct reg *r, int64_t job, struct reg_move *ret, struct err *e)
{
	int rc;

	*ret = (struct reg_move){.job = 0};
	rc = sql_each(r->db, COLUMNS "WHERE job = ?", SQL_ARGS(sql_int(job)),
		      take_one, ret, e);
	return rc == 0 && ret->job == 0
		   ? err_set(e, PS_NO, "job %lld: is no move", (long long)job)
		   : rc;
}

struct list {
	move_fn *fn;
	void *ctx;
};

static int give(void *ctx, const struct sql_row *row, struct err *e)
{
	const struct list *list = ctx;
	struct reg_move m;

	take(&m, row);
	return list->fn(list->ctx, &m, e);
}

int move_each(struct reg *r, move_fn *fn, void *ctx, struct err *e)
{
	struct list list = {fn, ctx};

	return sql_each(r->db,
			COLUMNS "WHERE job IN (SELECT id FROM jobs WHERE "
				"ended IS NULL) ORDER BY job",
			SQL_NO_ARGS, give, &list, e);
}

/* ---- going on ---- */

struct stepping {
	struct reg *r;
	struct reg_move m;
	struct move_at *at;
};

struct step_wanted {
	int64_t n;
	struct reg_step step;
};

static int take_step(void *ctx, const struct reg_step *s, struct err *e)
{
	struct step_wanted *w = ctx;

	(void)e;
	if (s->n == w->n)
		w->step = *s;
	return 0;
}

/* Says how far a step is, unless that is known. */
static int say(struct stepping *s, int64_t n, int64_t percent, const char *note,
	       struct err *e)
{
	struct step_wanted w = {.n = n};
	int rc = job_each_step(s->r, s->m.job, take_step, &w, e);

	if (rc < 0)
		return rc;
	s->at->step = (unsigned)n;
	snprintf(s->at->what, sizeof(s->at->what), "%s", w.step.what);
	snprintf(s->at->note, sizeof(s->at->note), "%s", note);
	if (w.step.percent == percent && strcmp(w.step.note, note) == 0 &&
	    strcmp(w.step.state, "waiting") != 0)
		return 0;
	return job_progress(s->r, s->m.job, n, percent, note, e);
}

static int end(struct stepping *s, const char *state, const char *words,
	       struct err *e)
{
	s->at->ended = true;
	s->at->done = strcmp(state, "done") == 0;
	s->at->waits_for[0] = '\0';
	snprintf(s->at->note, sizeof(s->at->note), "%s", words);
	return job_end(s->r, s->m.job, state, words, e);
}

/* Gives an order, or looks how it is: 1 it has ended, 0 not yet, -CODE. */
static int ask(struct stepping *s, int64_t n, const char *server,
	       const char *what, struct order *ret, struct err *e)
{
	int64_t id;
	int rc = order_add(s->r, server, what, s->m.machine, s->m.to, s->m.job,
			   &id, e);

	if (rc == 0)
		rc = order_get(s->r, id, ret, e);
	if (rc < 0)
		return rc;
	if (strcmp(ret->state, ORDER_DONE) == 0)
		rc = say(s, n, 100, ret->note, e);
	else if (strcmp(ret->state, ORDER_FAILED) == 0)
		rc = say(s, n, 50, ret->note, e);
	else
		rc = say(s, n, strcmp(ret->state, ORDER_OPEN) == 0 ? 0 : 50,
			 ret->note, e);
	if (rc < 0)
		return rc;
	if (strcmp(ret->state, ORDER_DONE) == 0 ||
	    strcmp(ret->state, ORDER_FAILED) == 0)
		return 1;
	memcpy(s->at->waits_for, ret->server, NAME_SIZE);
	return 0;
}

static bool failed(const struct order *o)
{
	return strcmp(o->state, ORDER_FAILED) == 0;
}

static int fail(struct stepping *s, const struct order *o, struct err *e)
{
	char words[1024];

	snprintf(words, sizeof(words), "%s: %.900s", o->server, o->note);
	reg_text_cut(words);
	return end(s, "failed", words, e);
}

/*
 * TO may not have looked yet at what it had left of this machine when it was
 * away: that would close the door behind the machine.
 */
static int has_left(struct stepping *s, int64_t *ret, struct err *e)
{
	return sql_number(s->r->db,
			  "SELECT COUNT(*) FROM orders WHERE server = ? AND "
			  "machine = ? AND what = ? AND state IN "
			  "('" ORDER_OPEN "', '" ORDER_RUNNING "')",
			  SQL_ARGS(sql_text(s->m.to), sql_text(s->m.machine),
				   sql_text(ORDER_LEFT)),
			  0, ret, e);
}

/* Each: 1 go on with the next step, 0 not now, -CODE. */
static int step_in(struct stepping *s, struct err *e)
{
	struct order o;
	int64_t left = 0;
	int rc = has_left(s, &left, e);

	if (rc < 0)
		return rc;
	if (left > 0) {
		memcpy(s->at->waits_for, s->m.to, NAME_SIZE);
		return say(s, 1, 0, "has to look at what it had left first", e);
	}
	rc = ask(s, 1, s->m.to, ORDER_MOVE_IN, &o, e);
	if (rc > 0 && failed(&o))
		return fail(s, &o, e);
	return rc;
}

/* FROM could not let go: it keeps the machine. */
static int take_back(struct stepping *s, const struct order *why, struct err *e)
{
	struct order o;
	int rc = ask(s, 2, s->m.from, ORDER_STAY, &o, e);

	if (rc <= 0)
		return rc;
	return fail(s, failed(&o) ? &o : why, e);
}

static int step_out(struct stepping *s, struct err *e)
{
	struct order o;
	int64_t id;
	int rc;

	if (s->m.from[0] == '\0') {
		rc = say(s, 2, 100, "", e);
		return rc < 0 ? rc : 1;
	}
	if (s->m.dead) {
		/* For when it comes back; nobody waits for that. */
		rc = order_add(s->r, s->m.from, ORDER_LEFT, s->m.machine,
			       s->m.to, s->m.job, &id, e);
		if (rc == 0)
			rc = say(s, 2, 100, "what only its cache held is lost",
				 e);
		return rc < 0 ? rc : 1;
	}
	rc = ask(s, 2, s->m.from, ORDER_MOVE_OUT, &o, e);
	return rc > 0 && failed(&o) ? take_back(s, &o, e) : rc;
}

static int name_server(struct reg *r, void *ctx, struct err *e)
{
	const struct reg_move *m = ctx;
	struct reg_machine machine;
	int rc = machine_get(r, m->machine, &machine, e);

	if (rc < 0 || strcmp(machine.server, m->to) == 0)
		return rc;
	if (strcmp(machine.server, m->from) != 0)
		return err_set(e, PS_NO,
			       "machine '%s': was given to %s meanwhile",
			       m->machine, machine.server);
	rc = reg_run(r,
		     "UPDATE machines SET server = ?, changed = ? WHERE name = "
		     "?",
		     SQL_ARGS(sql_text(m->to), sql_int(time_now_ns()),
			      sql_text(m->machine)),
		     e);
	return rc < 0 ? rc
		      : reg_audit(r, "machine-move", m->machine, e,
				  "server %s -> %s, job %lld%s", m->from, m->to,
				  (long long)m->job,
				  m->dead ? ", it was given up" : "");
}

static int step_name(struct stepping *s, struct err *e)
{
	struct err why = {0};
	int rc = reg_change(s->r, name_server, &s->m, &why);

	if (rc == -PS_NO)
		return end(s, "failed", why.msg, e);
	if (rc < 0 && e != NULL)
		*e = why;
	if (rc == 0)
		rc = say(s, 3, 100, "", e);
	return rc < 0 ? rc : 1;
}

/* A machine that is not protected sends nothing. */
static int step_comes(struct stepping *s, struct err *e)
{
	struct reg_machine machine;
	struct order o;
	int rc = machine_get(s->r, s->m.machine, &machine, e);

	if (rc < 0)
		return rc;
	if (strcmp(machine.state, MACHINE_ENABLED) != 0) {
		rc = say(s, 4, 100, "", e);
		return rc < 0 ? rc : end(s, "done", "it is not protected", e);
	}
	rc = ask(s, 4, s->m.to, ORDER_ARRIVED, &o, e);
	if (rc <= 0)
		return rc;
	return failed(&o) ? fail(s, &o, e) : end(s, "done", o.note, e);
}

static int go_on(struct stepping *s, struct err *e)
{
	int rc = step_in(s, e);

	if (rc > 0 && !s->at->ended)
		rc = step_out(s, e);
	if (rc > 0 && !s->at->ended)
		rc = step_name(s, e);
	if (rc > 0 && !s->at->ended)
		rc = step_comes(s, e);
	return rc < 0 ? rc : 0;
}

int move_step(struct reg *r, int64_t job, struct move_at *ret, struct err *e)
{
	struct stepping s = {.r = r, .at = ret};
	struct reg_job j;
	struct err why = {0};
	int rc = move_get(r, job, &s.m, e);

	*ret = (struct move_at){.steps = 4};
	if (rc == 0)
		rc = job_get(r, job, &j, e);
	if (rc == 0 && j.ended == 0) {
		rc = go_on(&s, &why);
		/* Who else drives this move was faster. */
		if (rc == -PS_NO)
			rc = job_get(r, job, &j, e);
		if (rc < 0 && e != NULL && why.code != 0)
			*e = why;
	}
	if (rc < 0 || j.ended == 0 || ret->ended)
		return rc;
	ret->ended = true;
	ret->done = strcmp(j.state, "done") == 0;
	snprintf(ret->note, sizeof(ret->note), "%s", j.result);
	return 0;
}
