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

int contact_leave_here(struct reg *r, const char *server, bool yes,
		       struct err *e)
{
	int64_t now = yes ? time_now_ns() : 0;
	int rc = contact_want_here(r, server, e);

	if (rc == 0)
		rc = reg_run(r,
			     "UPDATE contacts SET leaving = ? WHERE server = ?",
			     SQL_ARGS(sql_time(now), sql_text(server)), e);
	if (rc == 0)
		rc = reg_audit(r, yes ? "server-leave" : "server-stay", server,
			       e, "-");
	return rc;
}

struct leaving {
	const char *server;
	bool leave;
};

static int leave(struct reg *r, void *ctx, struct err *e)
{
	const struct leaving *l = ctx;

	return contact_leave_here(r, l->server, l->leave, e);
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

#define SILENT_WORD "server-silent"
/* As server_state() has it: for who was never heard, since it registered. */
#define LAST_WORD "COALESCE(contact, registered)"

/* After a silence that was told of, it is told that this is over. */
static int tell_back(struct reg *r, const char *server, int64_t now,
		     struct err *e)
{
	char since[32];
	int64_t last = 0, told = 0;
	int rc = sql_number(r->db,
			    "SELECT " LAST_WORD " FROM servers WHERE name = ?",
			    SQL_ARGS(sql_text(server)), 0, &last, e);

	if (rc < 0 || last == 0 || now - last < SERVER_SILENT_S * NS_PER_S)
		return rc;
	rc = sql_number(r->db,
			"SELECT COUNT(*) FROM audit WHERE object = ? AND what "
			"= '" SILENT_WORD "' AND time >= ?",
			SQL_ARGS(sql_text(server), sql_int(last)), 0, &told, e);
	if (rc < 0 || told == 0)
		return rc;
	format_duration((double)(now - last) / NS_PER_S, since, sizeof(since));
	return reg_audit(r, "server-back", server, e, "was silent for %s",
			 since);
}

static int hear(struct reg *r, void *ctx, struct err *e)
{
	const struct hearing *h = ctx;
	const struct contact_word *w = h->w;
	int64_t now = time_now_ns();
	int rc = make_row(r, h->server, e);

	if (rc == 0)
		rc = contact_wish(r, h->server, h->wish, e);
	if (rc == 0)
		rc = tell_back(r, h->server, now, e);
	if (rc == 0)
		rc =
		    reg_run(r,
			    "UPDATE servers SET contact = ?, health = ?, "
			    "generation = COALESCE(?, generation), "
			    "version = COALESCE(?, version) WHERE name = ?",
			    SQL_ARGS(sql_int(now), sql_text(w->health),
				     sql_time(w->generation),
				     sql_text(w->version), sql_text(h->server)),
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

	if (strlen(w->health) >= CONTACT_TEXT_SIZE ||
	    strlen(w->machines) >= CONTACT_TEXT_SIZE)
		return err_set(e, PS_USAGE, "%zu bytes of health are too many",
			       strlen(w->health) + strlen(w->machines));
	return reg_change(r, hear, &h, e);
}

/* ---- who says nothing ---- */

struct silence {
	char server[NAME_SIZE];
	int64_t contact;
	bool is_new;
};

#define SILENT_AT_ONCE 64 /* the others are found by the next look */

struct silences {
	struct silence list[SILENT_AT_ONCE];
	unsigned n;
};

static int take_silence(void *ctx, const struct sql_row *row, struct err *e)
{
	struct silences *all = ctx;
	struct silence *s = &all->list[all->n++];

	(void)e;
	sql_copy_text(row, 0, s->server, sizeof(s->server));
	s->contact = sql_get_int(row, 1);
	return 0;
}

/* Under the lock: it may have been heard, or told of by another, meanwhile. */
static int tell_silent(struct reg *r, void *ctx, struct err *e)
{
	struct silence *s = ctx;
	int64_t n = 0;
	int rc = sql_number(
	    r->db,
	    "SELECT COUNT(*) FROM servers WHERE name = ? AND " LAST_WORD
	    " = ? AND NOT EXISTS (SELECT 1 FROM audit WHERE object = "
	    "servers.name AND what = '" SILENT_WORD "' AND time >= " LAST_WORD
	    ")",
	    SQL_ARGS(sql_text(s->server), sql_int(s->contact)), 0, &n, e);

	s->is_new = rc == 0 && n > 0;
	return s->is_new ? reg_audit(r, SILENT_WORD, s->server, e,
				     "806: no heartbeat for %d minutes",
				     SERVER_SILENT_S / 60)
			 : rc;
}

int contact_each_silent(struct reg *r, contact_silent_fn *fn, void *ctx,
			struct err *e)
{
	int64_t before = time_now_ns() - SERVER_SILENT_S * NS_PER_S;
	struct silences all = {.n = 0};
	unsigned i;
	int rc = sql_each(
	    r->db,
	    "SELECT name, " LAST_WORD " FROM servers WHERE " LAST_WORD
	    " < ? AND (contact IS NOT NULL OR version IS NOT NULL) AND NOT "
	    "EXISTS (SELECT 1 FROM audit WHERE object = servers.name AND what "
	    "= '" SILENT_WORD "' AND time >= " LAST_WORD ") ORDER BY 2 LIMIT ?",
	    SQL_ARGS(sql_int(before), sql_int(SILENT_AT_ONCE)), take_silence,
	    &all, e);

	for (i = 0; i < all.n && rc == 0; i++) {
		rc = reg_change(r, tell_silent, &all.list[i], e);
		if (rc == 0 && all.list[i].is_new)
			rc =
			    fn(ctx, all.list[i].server, all.list[i].contact, e);
	}
	return rc;
}

/* ---- what they said last ---- */

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
	w = (struct contact_word){
	    s.generation, sql_get_text(row, SERVER_COLUMNS_N),
	    sql_get_text(row, SERVER_COLUMNS_N + 1),
	    sql_get_int(row, SERVER_COLUMNS_N + 2), s.version};
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
