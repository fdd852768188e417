#include "config.h"

#include <string.h>

#include "base/units.h"
#include "config/contacts.h"

/* ---- what is wanted ---- */

static int make_row(struct reg *r, const char *server, struct err *e)
{
	int64_t n;
	int rc =
	    sql_number(r->db, "SELECT COUNT(*) FROM contacts WHERE server = ?",
		       SQL_ARGS(sql_text(server)), 0, &n, e);

	if (rc < 0 || n > 0)
		return rc;
	rc = sql_number(r->db, "SELECT COUNT(*) FROM servers WHERE name = ?",
			SQL_ARGS(sql_text(server)), 0, &n, e);
	if (rc == 0 && n == 0)
		rc = reg_missing(e, "server", server);
	if (rc == 0)
		rc = reg_run(
		    r, "INSERT INTO contacts (server, clock_s) VALUES (?, 0)",
		    SQL_ARGS(sql_text(server)), e);
	return rc;
}

int contact_want_here(struct reg *r, const char *server, struct err *e)
{
	int rc = make_row(r, server, e);

	if (rc == 0)
		rc = reg_run(
		    r, "UPDATE contacts SET wanted = ? WHERE server = ?",
		    SQL_ARGS(sql_int(time_now_ns()), sql_text(server)), e);
	return rc;
}

static int want(struct reg *r, void *ctx, struct err *e)
{
	const char *server = ctx;

	if (server != NULL)
		return contact_want_here(r, server, e);
	return reg_run(r, "UPDATE contacts SET wanted = ?",
		       SQL_ARGS(sql_int(time_now_ns())), e);
}

int contact_want(struct reg *r, const char *server, struct err *e)
{
	return reg_change(r, want, (void *)(uintptr_t)server, e);
}

struct leaving {
	const char *server;
	bool leave;
};

static int leave(struct reg *r, void *ctx, struct err *e)
{
	const struct leaving *l = ctx;
	int64_t now = l->leave ? time_now_ns() : 0;
	int rc = contact_want_here(r, l->server, e);

	if (rc == 0)
		rc = reg_run(r,
			     "UPDATE contacts SET leaving = ? WHERE server = ?",
			     SQL_ARGS(sql_time(now), sql_text(l->server)), e);
	if (rc == 0)
		rc = reg_audit(r, l->leave ? "server-leave" : "server-stay",
			       l->server, e, "-");
	return rc;
}

int contact_leave(struct reg *r, const char *server, bool yes, struct err *e)
{
	struct leaving l = {server, yes};

	return reg_change(r, leave, &l, e);
}

static int take_wish(void *ctx, const struct sql_row *row, struct err *e)
{
	struct contact_wish *w = ctx;

	(void)e;
	w->refresh = sql_get_int(row, 0) != 0;
	w->leave = sql_get_int(row, 1) != 0;
	return 0;
}

int contact_wish(struct reg *r, const char *server, struct contact_wish *ret,
		 struct err *e)
{
	*ret = (struct contact_wish){false, false};
	return sql_each(r->db,
			"SELECT wanted, leaving FROM contacts WHERE server = ?",
			SQL_ARGS(sql_text(server)), take_wish, ret, e);
}

struct names {
	contact_name_fn *fn;
	void *ctx;
};

static int give_name(void *ctx, const struct sql_row *row, struct err *e)
{
	const struct names *n = ctx;

	return n->fn(n->ctx, sql_get_text(row, 0), e);
}

int contact_each_wanted(struct reg *r, contact_name_fn *fn, void *ctx,
			struct err *e)
{
	struct names n = {fn, ctx};

	return sql_each(r->db,
			"SELECT server FROM contacts WHERE wanted IS NOT NULL "
			"UNION SELECT server FROM orders WHERE state = 'open'",
			SQL_NO_ARGS, give_name, &n, e);
}

/* ---- what they say ---- */

struct hearing {
	const char *server;
	const struct contact_word *w;
	struct contact_wish *wish;
};

static int hear(struct reg *r, void *ctx, struct err *e)
{
	const struct hearing *h = ctx;
	const struct contact_word *w = h->w;
	int rc = make_row(r, h->server, e);

	if (rc == 0)
		rc = contact_wish(r, h->server, h->wish, e);
	if (rc == 0)
		rc = reg_run(
		    r,
		    "UPDATE servers SET contact = ?, health = ?, "
		    "generation = COALESCE(?, generation) "
		    "WHERE name = ?",
		    SQL_ARGS(sql_int(time_now_ns()), sql_text(w->health),
			     sql_time(w->generation), sql_text(h->server)),
		    e);
	if (rc == 0)
		rc =
		    reg_run(r,
			    "UPDATE contacts SET wanted = NULL, clock_s = ?, "
			    "machines = ? WHERE server = ?",
			    SQL_ARGS(sql_int(w->clock_s), sql_text(w->machines),
				     sql_text(h->server)),
			    e);
	return rc;
}

int contact_heard(struct reg *r, const char *server,
		  const struct contact_word *w, struct contact_wish *ret,
		  struct err *e)
{
	struct hearing h = {server, w, ret};
	int rc = reg_text_check("the health", w->health, CONTACT_TEXT_SIZE, e);

	if (rc == 0)
		rc = reg_text_check("the machines", w->machines,
				    CONTACT_TEXT_SIZE, e);
	return rc < 0 ? rc : reg_change(r, hear, &h, e);
}

struct list {
	contact_fn *fn;
	void *ctx;
};

static int give(void *ctx, const struct sql_row *row, struct err *e)
{
	const struct list *l = ctx;
	struct contact_word w;
	struct reg_server s;

	server_take(&s, row);
	w = (struct contact_word){s.generation,
				  sql_get_text(row, SERVER_COLUMNS_N),
				  sql_get_text(row, SERVER_COLUMNS_N + 1),
				  sql_get_int(row, SERVER_COLUMNS_N + 2)};
	return l->fn(l->ctx, &s, &w, e);
}

int contact_each(struct reg *r, contact_fn *fn, void *ctx, struct err *e)
{
	struct list l = {fn, ctx};

	return sql_each(r->db,
			"SELECT " SERVER_COLUMNS ", health, contacts.machines, "
			"clock_s FROM servers LEFT JOIN contacts ON "
			"contacts.server = servers.name ORDER BY servers.name",
			SQL_NO_ARGS, give, &l, e);
}
