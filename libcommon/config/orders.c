#include "config.h"

#include <string.h>

#include "base/units.h"
#include "config/orders.h"

/* As its server says it. */
static bool ends(const char *state)
{
	return strcmp(state, ORDER_DONE) == 0 ||
	       strcmp(state, ORDER_FAILED) == 0;
}

/* ---- giving ---- */

struct new_order {
	const char *server, *what, *machine, *to;
	int64_t job, id;
};

static int check(const struct new_order *n, struct err *e)
{
	int rc = reg_name_check("server", n->server, e);

	if (rc == 0)
		rc = reg_name_check("order", n->what, e);
	if (rc == 0)
		rc = reg_name_check("machine", n->machine, e);
	if (rc == 0 && n->to[0] != '\0')
		rc = reg_name_check("server", n->to, e);
	return rc;
}

static int add(struct reg *r, void *ctx, struct err *e)
{
	struct new_order *n = ctx;
	int64_t now = time_now_ns(), ended = 0;
	int rc = sql_number(r->db,
			    "SELECT COALESCE(MAX(id), 0) FROM orders WHERE "
			    "job = ? AND server = ? AND what = ? AND machine "
			    "= ?",
			    SQL_ARGS(sql_time(n->job), sql_text(n->server),
				     sql_text(n->what), sql_text(n->machine)),
			    0, &n->id, e);

	if (rc < 0 || n->id != 0)
		return rc;
	/* Who drives it may not know yet that it was cancelled. */
	if (n->job != 0)
		rc = sql_number(r->db,
				"SELECT COUNT(*) FROM jobs WHERE id = ? AND "
				"ended IS NOT NULL",
				SQL_ARGS(sql_int(n->job)), 0, &ended, e);
	if (rc == 0 && ended > 0)
		rc =
		    err_set(e, PS_NO, "job %lld: has ended", (long long)n->job);
	if (rc < 0)
		return rc;
	rc = reg_run(r,
		     "INSERT INTO orders (server, what, machine, dest, job, "
		     "state, made, changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		     SQL_ARGS(sql_text(n->server), sql_text(n->what),
			      sql_text(n->machine), sql_text(n->to),
			      sql_time(n->job), sql_text(ORDER_OPEN),
			      sql_int(now), sql_int(now)),
		     e);
	if (rc < 0)
		return rc;
	n->id = sql_last_id(r->db);
	return reg_audit(r, "order-add", n->machine, e,
			 "order %lld: server %s %s, to %s", (long long)n->id,
			 n->server, n->what, n->to);
}

int order_add(struct reg *r, const char *server, const char *what,
	      const char *machine, const char *to, int64_t job, int64_t *ret_id,
	      struct err *e)
{
	struct new_order n = {server, what, machine, to, job, 0};
	int rc = check(&n, e);

	if (rc == 0)
		rc = reg_change(r, add, &n, e);
	if (rc == 0)
		*ret_id = n.id;
	return rc;
}

/* ---- reading ---- */

#define COLUMNS                                                                \
	"SELECT id, server, what, machine, dest, job, state, note, made, "     \
	"changed FROM orders "

static void take(struct order *o, const struct sql_row *row)
{
	*o = (struct order){.id = sql_get_int(row, 0),
			    .job = sql_get_int(row, 5),
			    .made = sql_get_int(row, 8),
			    .changed = sql_get_int(row, 9)};
	sql_copy_text(row, 1, o->server, sizeof(o->server));
	sql_copy_text(row, 2, o->what, sizeof(o->what));
	sql_copy_text(row, 3, o->machine, sizeof(o->machine));
	sql_copy_text(row, 4, o->to, sizeof(o->to));
	sql_copy_text(row, 6, o->state, sizeof(o->state));
	sql_copy_text(row, 7, o->note, sizeof(o->note));
}

static int take_one(void *ctx, const struct sql_row *row, struct err *e)
{
	(void)e;
	take(ctx, row);
	return 0;
}

int order_get(struct reg *r, int64_t id, struct order *ret, struct err *e)
{
	int rc;

	*ret = (struct order){.id = 0};
	rc = sql_each(r->db, COLUMNS "WHERE id = ?", SQL_ARGS(sql_int(id)),
		      take_one, ret, e);
	return rc == 0 && ret->id == 0
		   ? err_set(e, PS_NO, "order %lld: there is none",
			     (long long)id)
		   : rc;
}

int order_find(struct reg *r, int64_t job, const char *server, const char *what,
	       struct order *ret, struct err *e)
{
	int rc;

	*ret = (struct order){.id = 0};
	rc =
	    sql_each(r->db, COLUMNS "WHERE job = ? AND server = ? AND what = ?",
		     SQL_ARGS(sql_int(job), sql_text(server), sql_text(what)),
		     take_one, ret, e);
	return rc == 0 ? ret->id != 0 : rc;
}

struct list {
	order_fn *fn;
	void *ctx;
};

static int give(void *ctx, const struct sql_row *row, struct err *e)
{
	const struct list *list = ctx;
	struct order o;

	take(&o, row);
	return list->fn(list->ctx, &o, e);
}

int order_each(struct reg *r, const char *server, order_fn *fn, void *ctx,
	       struct err *e)
{
	struct list list = {fn, ctx};

	return sql_each(r->db,
			COLUMNS "WHERE server = ? AND state IN "
				"('" ORDER_OPEN "', '" ORDER_RUNNING "') "
				"ORDER BY id",
			SQL_ARGS(sql_text(server)), give, &list, e);
}

/* ---- giving up ---- */

int order_end_job_here(struct reg *r, int64_t job, struct err *e)
{
	return reg_run(r,
		       "UPDATE orders SET state = ?, changed = ?, note = 'its "
		       "job has ended' WHERE job = ? AND state IN "
		       "('" ORDER_OPEN "', '" ORDER_RUNNING "') AND what NOT "
		       "IN ('" ORDER_LEFT "', '" ORDER_STAY "')",
		       SQL_ARGS(sql_text(ORDER_FAILED), sql_int(time_now_ns()),
				sql_int(job)),
		       e);
}

static int set_state(struct reg *r, int64_t id, const char *state,
		     struct err *e)
{
	struct order o;
	int rc = order_get(r, id, &o, e);

	if (rc == 0)
		rc = reg_run(r,
			     "UPDATE orders SET state = ?, changed = ? WHERE "
			     "id = ?",
			     SQL_ARGS(sql_text(state), sql_int(time_now_ns()),
				      sql_int(id)),
			     e);
	return rc < 0
		   ? rc
		   : reg_audit(r, "order-change", o.machine, e,
			       "order %lld: server %s %s: %s -> %s",
			       (long long)id, o.server, o.what, o.state, state);
}

int order_withdraw_here(struct reg *r, int64_t id, struct err *e)
{
	return set_state(r, id, ORDER_WITHDRAWN, e);
}

static int again(struct reg *r, void *ctx, struct err *e)
{
	return set_state(r, *(const int64_t *)ctx, ORDER_OPEN, e);
}

int order_again(struct reg *r, int64_t id, struct err *e)
{
	return reg_change(r, again, &id, e);
}

/* ---- reporting ---- */

struct word {
	int64_t id;
	const char *server, *state, *note;
};

static int report(struct reg *r, void *ctx, struct err *e)
{
	const struct word *w = ctx;
	struct order o;
	int rc = order_get(r, w->id, &o, e);

	if (rc < 0)
		return rc;
	if (strcmp(o.server, w->server) != 0)
		return err_set(e, PS_NO, "order %lld: is none of server '%s'",
			       (long long)w->id, w->server);
	if (ends(o.state) || strcmp(o.state, ORDER_WITHDRAWN) == 0)
		return strcmp(o.state, w->state) == 0
			   ? 0
			   : err_set(e, PS_NO, "order %lld: is %s already",
				     (long long)w->id, o.state);
	if (strcmp(o.state, w->state) == 0 && w->note != NULL &&
	    strcmp(o.note, w->note) == 0)
		return 0; /* it says so with each heartbeat */
	rc = reg_run(r,
		     "UPDATE orders SET state = ?, note = ?, changed = ? "
		     "WHERE id = ?",
		     SQL_ARGS(sql_text(w->state), sql_text(w->note),
			      sql_int(time_now_ns()), sql_int(w->id)),
		     e);
	if (rc < 0 || !ends(w->state))
		return rc;
	return reg_audit(r, "order-end", o.machine, e,
			 "order %lld: server %s %s %s: %s", (long long)w->id,
			 w->server, o.what, w->state,
			 w->note != NULL ? w->note : "");
}

int order_report(struct reg *r, int64_t id, const char *server,
		 const char *state, const char *note, struct err *e)
{
	struct word w = {id, server, state, note};
	int rc = note == NULL
		     ? 0
		     : reg_text_check("the note", note, ORDER_NOTE_SIZE, e);

	if (rc == 0 && !ends(state) && strcmp(state, ORDER_RUNNING) != 0)
		rc = err_set(e, PS_USAGE,
			     "'%.70s': an order is running, done or failed",
			     state);
	return rc < 0 ? rc : reg_change(r, report, &w, e);
}
