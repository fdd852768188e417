/* Moves: the steps, and who takes them. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "config/jobs.h"
#include "config/machines.h"
#include "config/moves.h"
#include "config/orders.h"

#define STEPS_AT_ONCE 64 /* of one call: some milliseconds each */

/* ---- one move ---- */

struct stepping {
	struct reg *r;
	struct reg_move m;
	bool ended;
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
	if (w.step.percent == percent && strcmp(w.step.note, note) == 0 &&
	    strcmp(w.step.state, "waiting") != 0)
		return 0;
	return job_progress(s->r, s->m.job, n, percent, note, e);
}

static int end(struct stepping *s, const char *state, const char *words,
	       struct err *e)
{
	s->ended = true;
	return job_end(s->r, s->m.job, state, words, e);
}

static bool is(const struct order *o, const char *state)
{
	return strcmp(o->state, state) == 0;
}

/* Gives an order, or looks how it is: 1 nothing more comes of it, 0, -CODE. */
static int ask(struct stepping *s, int64_t n, const char *server,
	       const char *what, struct order *ret, struct err *e)
{
	int64_t id;
	bool waits;
	int rc = order_add(s->r, server, what, s->m.machine, s->m.to, s->m.job,
			   &id, e);

	if (rc == 0)
		rc = order_get(s->r, id, ret, e);
	if (rc < 0)
		return rc;
	waits = is(ret, ORDER_OPEN) || is(ret, ORDER_RUNNING);
	if (!is(ret, ORDER_WITHDRAWN))
		rc = say(s, n,
			 is(ret, ORDER_DONE)   ? 100
			 : is(ret, ORDER_OPEN) ? 0
					       : 50,
			 ret->note, e);
	return rc < 0 ? rc : !waits;
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
	if (left > 0)
		return say(s, 1, 0, "has to look at what it had left first", e);
	rc = ask(s, 1, s->m.to, ORDER_MOVE_IN, &o, e);
	if (rc > 0 && is(&o, ORDER_FAILED))
		return fail(s, &o, e);
	return rc;
}

/*
 * FROM could not let go, or shall not any more: it keeps the machine. When it
 * was too late for that, `why` was withdrawn in vain.
 */
static int take_back(struct stepping *s, const struct order *why, struct err *e)
{
	char words[1024];
	struct order o;
	int rc = ask(s, 2, s->m.from, ORDER_STAY, &o, e);

	if (rc <= 0)
		return rc;
	if (is(why, ORDER_FAILED))
		return fail(s, is(&o, ORDER_FAILED) ? &o : why, e);
	if (is(&o, ORDER_FAILED))
		return order_again(s->r, why->id, e);
	snprintf(words, sizeof(words), "%s stays at %s", s->m.machine,
		 s->m.from);
	return end(s, "cancelled", words, e);
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
	return rc > 0 && !is(&o, ORDER_DONE) ? take_back(s, &o, e) : rc;
}

static int name_server(struct reg *r, void *ctx, struct err *e)
{
	const struct reg_move *m = ctx;
	struct reg_machine machine;
	struct reg_job j;
	int rc = machine_get(r, m->machine, &machine, e);

	if (rc < 0 || strcmp(machine.server, m->to) == 0)
		return rc;
	if (strcmp(machine.server, m->from) != 0)
		return err_set(e, PS_NO,
			       "machine '%s': was given to %s meanwhile",
			       m->machine, machine.server);
	rc = job_get(r, m->job, &j, e);
	if (rc < 0 || j.ended != 0)
		return rc;
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

	if (rc < 0 && rc != -PS_NO)
		return rc;
	if (rc == -PS_NO || strcmp(machine.state, MACHINE_ENABLED) != 0) {
		rc = say(s, 4, 100, "", e);
		return rc < 0 ? rc : end(s, "done", "it is not protected", e);
	}
	rc = ask(s, 4, s->m.to, ORDER_ARRIVED, &o, e);
	if (rc <= 0)
		return rc;
	return is(&o, ORDER_DONE) ? end(s, "done", o.note, e) : fail(s, &o, e);
}

int move_step(struct reg *r, int64_t job, struct err *e)
{
	static int (*const steps[])(struct stepping *, struct err *) = {
	    step_in, step_out, step_name, step_comes};
	struct stepping s = {.r = r};
	struct err why = {0};
	struct reg_job j;
	size_t i;
	int rc = move_get(r, job, &s.m, e);

	if (rc == 0)
		rc = job_get(r, job, &j, e);
	if (rc < 0 || j.ended != 0)
		return rc;
	rc = 1;
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (rc > 0 && !s.ended)
			rc = steps[i](&s, &why);
	/* Who else drives this move, or ended it, was faster. */
	if (rc < 0 && rc != -PS_NO) {
		if (e != NULL)
			*e = why;
		return rc;
	}
	return 0;
}

int move_heard(struct reg *r, int64_t order, struct err *e)
{
	struct err why = {0};
	struct order o;
	int rc = order_get(r, order, &o, &why);

	if (rc == 0 && o.job != 0)
		rc = move_step(r, o.job, &why);
	if (rc < 0 && rc != -PS_NO && e != NULL)
		*e = why;
	return rc == -PS_NO ? 0 : rc;
}

/* ---- all of them ---- */

struct one {
	int64_t job;
	char from[NAME_SIZE], to[NAME_SIZE];
	bool begun; /* somebody has taken its first step */
	bool named; /* the machine belongs to its new server */
	bool asked; /* a server has an order of it */
};

struct all {
	struct one *list;
	size_t n, cap;
};

static int take_one(void *ctx, const struct sql_row *row, struct err *e)
{
	struct all *a = ctx;
	struct one *o;

	if (a->n == a->cap) {
		size_t cap = a->cap == 0 ? 64 : 2 * a->cap;

		o = realloc(a->list, cap * sizeof(*o));
		if (o == NULL)
			return err_sys(e, PS_TEMPFAIL, "list of moves");
		a->list = o;
		a->cap = cap;
	}
	o = &a->list[a->n++];
	o->job = sql_get_int(row, 0);
	sql_copy_text(row, 1, o->from, sizeof(o->from));
	sql_copy_text(row, 2, o->to, sizeof(o->to));
	o->begun = sql_get_int(row, 3) != 0;
	o->named = sql_get_int(row, 4) != 0;
	o->asked = sql_get_int(row, 5) != 0;
	return 0;
}

/* Those that have not ended: of the same two servers one after another. */
static int take_all(struct reg *r, struct all *a, struct err *e)
{
	return sql_each(
	    r->db,
	    "SELECT m.job, m.source, m.dest, "
	    "CASE WHEN j.state = 'waiting' THEN 0 ELSE 1 END, "
	    "CASE WHEN machines.server = m.dest THEN 1 ELSE 0 END, "
	    "CASE WHEN m.job IN (SELECT job FROM orders WHERE state IN "
	    "('" ORDER_OPEN "', '" ORDER_RUNNING "') AND what <> '" ORDER_LEFT
	    "' AND job IS NOT NULL) THEN 1 ELSE 0 END "
	    "FROM moves m JOIN jobs j ON j.id = m.job "
	    "LEFT JOIN machines ON machines.name = m.machine "
	    "WHERE j.ended IS NULL ORDER BY m.source, m.dest, m.job",
	    SQL_NO_ARGS, take_one, a, e);
}

static bool same_way(const struct one *a, const struct one *b)
{
	return strcmp(a->from, b->from) == 0 && strcmp(a->to, b->to) == 0;
}

int moves_drive(struct reg *r, bool *ret_more, struct err *e)
{
	struct all a = {NULL, 0, 0};
	size_t i, on_the_way = 0;
	unsigned steps = 0;
	struct err why = {0};
	int rc = take_all(r, &a, &why);

	/* What is wrong with one move, and not the database's, stops no other.
	 */
	for (i = 0; i < a.n && rc != -PS_TEMPFAIL && steps < STEPS_AT_ONCE;
	     i++) {
		const struct one *o = &a.list[i];

		if (i > 0 && !same_way(o, &a.list[i - 1]))
			on_the_way = 0;
		if (!o->begun && on_the_way >= MOVES_AT_ONCE)
			continue;
		on_the_way += !o->named;
		if (o->asked)
			continue;
		steps++;
		if (move_step(r, o->job, &why) < 0)
			rc = -why.code;
	}
	*ret_more = rc == 0 && i < a.n;
	free(a.list);
	if (rc < 0 && e != NULL)
		*e = why;
	return rc;
}
