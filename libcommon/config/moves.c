#include "config.h"

#include <stdio.h>
#include <string.h>

#include "config/jobs.h"
#include "config/machines.h"
#include "config/moves.h"
#include "config/orders.h"
#include "config/servers.h"

/* ---- beginning ---- */

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
static int find_open(struct reg *r, struct reg_move *m, struct err *e)
{
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
		m->job = job;
		return 1;
	}
	if (m->dead && !other.dead)
		return job_end_here(r, job, "failed",
				    "its old server is given up", e);
	rc = err_set(e, PS_NO,
		     "machine '%s': is being moved from %s to %s by job %lld",
		     m->machine, other.from, other.to, (long long)job);
	err_hint(e,
		 "ps-balance resume watches it, ps-config jobs cancel %lld "
		 "takes it back",
		 (long long)job);
	return rc;
}

static int add_job(struct reg *r, struct reg_move *m, struct err *e)
{
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
	rc = job_add_here(r, JOB_MOVE, m->machine, steps, &m->job, e);
	if (rc < 0)
		return rc;
	return reg_run(r,
		       "INSERT INTO moves (job, machine, source, dest, dead) "
		       "VALUES (?, ?, ?, ?, ?)",
		       SQL_ARGS(sql_int(m->job), sql_text(m->machine),
				sql_text(m->from), sql_text(m->to),
				sql_int(m->dead)),
		       e);
}

static int begin(struct reg *r, struct reg_move *m, struct err *e)
{
	struct reg_machine machine;
	int rc;

	m->job = 0;
	rc = machine_get(r, m->machine, &machine, e);
	if (rc == 0)
		rc = check_servers(r, m, e);
	if (rc == 0)
		rc = find_open(r, m, e);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	if (strcmp(machine.server, m->to) == 0)
		return 0;
	if (strcmp(machine.server, m->from) != 0)
		return err_set(
		    e, PS_NO, "machine '%s': belongs to %s, not %s", m->machine,
		    machine.server[0] != '\0' ? machine.server : "no server",
		    m->from[0] != '\0' ? m->from : "no server");
	return add_job(r, m, e);
}

struct beginning {
	struct reg_move *list;
	size_t n;
};

static int begin_all(struct reg *r, void *ctx, struct err *e)
{
	const struct beginning *b = ctx;
	size_t i;
	int rc = 0;

	for (i = 0; i < b->n && rc == 0; i++)
		rc = begin(r, &b->list[i], e);
	return rc;
}

int moves_begin(struct reg *r, struct reg_move *list, size_t n, struct err *e)
{
	struct beginning b = {list, n};

	return reg_change(r, begin_all, &b, e);
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

static int look_step(void *ctx, const struct reg_step *s, struct err *e)
{
	struct move_at *at = ctx;

	(void)e;
	at->steps = (unsigned)s->n;
	/* The last one that has begun; before that the first. */
	if (s->n > 1 && strcmp(s->state, "waiting") == 0)
		return 0;
	at->step = (unsigned)s->n;
	memcpy(at->what, s->what, sizeof(at->what));
	memcpy(at->note, s->note, sizeof(at->note));
	return 0;
}

int move_look(struct reg *r, int64_t job, struct move_at *ret, struct err *e)
{
	struct reg_job j;
	int rc = job_get(r, job, &j, e);

	*ret = (struct move_at){.step = 0};
	if (rc < 0)
		return rc;
	ret->begun = strcmp(j.state, "waiting") != 0;
	ret->ended = j.ended != 0;
	ret->done = strcmp(j.state, "done") == 0;
	rc = job_each_step(r, job, look_step, ret, e);
	if (ret->ended)
		snprintf(ret->note, sizeof(ret->note), "%s", j.result);
	return rc;
}

/* ---- taking back ---- */

struct cancelling {
	int64_t job;
	const char *note;
	char *words;
};

static int cancel_now(struct reg *r, const struct cancelling *c, struct err *e)
{
	return job_end_here(r, c->job, "cancelled", c->words, e);
}

/* FROM was asked to let go: whether it has, only it can say. */
static int withdraw(struct reg *r, const struct cancelling *c,
		    const struct reg_move *m, const struct order *o,
		    struct err *e)
{
	if (m->dead || strcmp(o->state, ORDER_DONE) == 0)
		return err_set(
		    e, PS_NO, "move job %lld: %s %s already, %s goes on to %s",
		    (long long)c->job, m->from,
		    m->dead ? "is given up" : "has let go", m->machine, m->to);
	snprintf(c->words, 1024,
		 "%s is asked to keep %s; the job ends when it has answered",
		 m->from, m->machine);
	if (strcmp(o->state, ORDER_OPEN) != 0 &&
	    strcmp(o->state, ORDER_RUNNING) != 0)
		return 0; /* it is being taken back */
	return order_withdraw_here(r, o->id, e);
}

static int cancel(struct reg *r, void *ctx, struct err *e)
{
	const struct cancelling *c = ctx;
	struct reg_machine machine;
	struct reg_move m;
	struct reg_job j;
	struct order o;
	int rc = move_get(r, c->job, &m, e);

	if (rc == 0)
		rc = job_get(r, c->job, &j, e);
	if (rc == 0)
		rc = machine_get(r, m.machine, &machine, e);
	if (rc < 0)
		return rc;
	if (j.ended != 0) {
		rc = err_set(e, PS_NO, "move job %lld: is %s already",
			     (long long)c->job, j.state);
		if (strcmp(machine.server, m.to) == 0 && m.from[0] != '\0')
			err_hint(e, "back: ps-balance move %s %s %s", m.to,
				 m.from, m.machine);
		return rc;
	}
	rc = job_note_here(r, c->job, c->note, e);
	if (rc < 0)
		return rc;
	if (strcmp(machine.server, m.to) == 0) {
		snprintf(c->words, 1024,
			 "%s belongs to %s already and stays there; its coming "
			 "is not waited for any more",
			 m.machine, m.to);
		return cancel_now(r, c, e);
	}
	rc = order_find(r, c->job, m.from, m.dead ? ORDER_LEFT : ORDER_MOVE_OUT,
			&o, e);
	if (rc > 0)
		return withdraw(r, c, &m, &o, e);
	snprintf(c->words, 1024, "%s stays at %s, nothing had changed",
		 m.machine, m.from[0] != '\0' ? m.from : "no server");
	return rc < 0 ? rc : cancel_now(r, c, e);
}

int move_cancel(struct reg *r, int64_t job, const char *note, char words[1024],
		struct err *e)
{
	struct cancelling c = {job, note, words};

	return reg_change(r, cancel, &c, e);
}
