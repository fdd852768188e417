#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "base/units.h"
#include "config/accounts.h"

struct change {
	const char *name, *login, *secret;
	char *out; /* of account_secret() */
};

static void seal_name(const char *name, char out[NAME_SIZE + 16])
{
	snprintf(out, NAME_SIZE + 16, "account %s", name);
}

static int check(const struct change *c, struct err *e)
{
	int rc = reg_name_check("account", c->name, e);

	if (rc == 0 && c->login != NULL)
		rc = reg_text_check("the login", c->login, REG_TEXT_SIZE, e);
	if (rc == 0 && c->login != NULL && c->login[0] == '\0')
		rc = err_set(e, PS_USAGE, "account '%s': the login is empty",
			     c->name);
	if (rc == 0 && c->secret != NULL &&
	    (c->secret[0] == '\0' || strlen(c->secret) >= ACCOUNT_SECRET_SIZE))
		rc = err_set(e, PS_USAGE,
			     "account '%s': a secret has 1 to %d bytes",
			     c->name, ACCOUNT_SECRET_SIZE - 1);
	return rc;
}

static int store_secret(struct reg *r, const struct change *c, struct err *e)
{
	uint8_t sealed[ACCOUNT_SECRET_SIZE + SEAL_OVERHEAD];
	size_t n = strlen(c->secret);
	char of[NAME_SIZE + 16];
	int rc;

	seal_name(c->name, of);
	rc = seal_close(&r->seal, of, c->secret, n, sealed, e);
	return rc < 0
		   ? rc
		   : reg_run(r, "UPDATE accounts SET sealed = ? WHERE name = ?",
			     SQL_ARGS(sql_blob(sealed, n + SEAL_OVERHEAD),
				      sql_text(c->name)),
			     e);
}

static int exists(struct reg *r, const char *name, struct err *e)
{
	int64_t n = 0;
	int rc =
	    sql_number(r->db, "SELECT COUNT(*) FROM accounts WHERE name = ?",
		       SQL_ARGS(sql_text(name)), 0, &n, e);

	return rc < 0 ? rc : n > 0;
}

static int add(struct reg *r, void *ctx, struct err *e)
{
	const struct change *c = ctx;
	int64_t now = time_now_ns();
	int rc = exists(r, c->name, e);

	if (rc != 0)
		return rc < 0 ? rc : reg_there(e, "account", c->name);
	rc = reg_run(r,
		     "INSERT INTO accounts (name, login, sealed, added, "
		     "changed) VALUES (?, ?, ?, ?, ?)",
		     SQL_ARGS(sql_text(c->name), sql_text(c->login),
			      sql_blob("", 0), sql_int(now), sql_int(now)),
		     e);
	if (rc == 0)
		rc = store_secret(r, c, e);
	return rc < 0 ? rc
		      : reg_audit(r, "account-add", c->name, e, "login %s",
				  c->login);
}

int account_add(struct reg *r, const char *name, const char *login,
		const char *secret, struct err *e)
{
	struct change c = {name, login, secret, NULL};
	int rc = check(&c, e);

	return rc < 0 ? rc : reg_change(r, add, &c, e);
}

static int edit(struct reg *r, void *ctx, struct err *e)
{
	const struct change *c = ctx;
	int rc = exists(r, c->name, e);

	if (rc <= 0)
		return rc < 0 ? rc : reg_missing(e, "account", c->name);
	rc = reg_run(r,
		     "UPDATE accounts SET login = COALESCE(?, login), "
		     "changed = ? WHERE name = ?",
		     SQL_ARGS(sql_text(c->login), sql_int(time_now_ns()),
			      sql_text(c->name)),
		     e);
	if (rc == 0 && c->secret != NULL)
		rc = store_secret(r, c, e);
	return rc < 0 ? rc
		      : reg_audit(r, "account-edit", c->name, e, "%s%s%s",
				  c->login != NULL ? "login " : "",
				  c->login != NULL ? c->login : "",
				  c->secret != NULL ? " new secret" : "");
}

int account_change(struct reg *r, const char *name, const char *login,
		   const char *secret, struct err *e)
{
	struct change c = {name, login, secret, NULL};
	int rc = check(&c, e);

	return rc < 0 ? rc : reg_change(r, edit, &c, e);
}

static int drop(struct reg *r, void *ctx, struct err *e)
{
	const char *name = ctx;
	int64_t rc = sql_run(r->db, "DELETE FROM accounts WHERE name = ?",
			     SQL_ARGS(sql_text(name)), e);

	if (rc == 0)
		return reg_missing(e, "account", name);
	return rc < 0 ? (int)rc : reg_audit(r, "account-delete", name, e, "-");
}

int account_delete(struct reg *r, const char *name, struct err *e)
{
	return reg_change(r, drop, (void *)name, e);
}

/* ---- reading ---- */

struct opening {
	struct reg *reg;
	const char *name;
	char *out;
	bool found;
};

static int open_secret(void *ctx, const struct sql_row *row, struct err *e)
{
	struct opening *o = ctx;
	const struct sql_value *v = &row->values[0];
	char of[NAME_SIZE + 16];
	size_t n = 0;
	int rc;

	o->found = true;
	seal_name(o->name, of);
	if (v->type != SQL_BLOB || v->n >= ACCOUNT_SECRET_SIZE + SEAL_OVERHEAD)
		return err_set(e, PS_DATA, "account '%s': damaged", o->name);
	rc = seal_open(&o->reg->seal, of, v->p, v->n, (uint8_t *)o->out, &n, e);
	if (rc == 0)
		o->out[n] = '\0';
	return rc;
}

static int take_secret(struct reg *r, void *ctx, struct err *e)
{
	const struct change *c = ctx;
	struct opening o = {r, c->name, c->out, false};
	int rc = sql_each(r->db, "SELECT sealed FROM accounts WHERE name = ?",
			  SQL_ARGS(sql_text(c->name)), open_secret, &o, e);

	if (rc == 0 && !o.found)
		rc = reg_missing(e, "account", c->name);
	return rc < 0 ? rc : reg_audit(r, "account-secret", c->name, e, "read");
}

int account_secret(struct reg *r, const char *name,
		   char out[ACCOUNT_SECRET_SIZE], struct err *e)
{
	struct change c = {name, NULL, NULL, out};
	int rc = reg_change(r, take_secret, &c, e);

	if (rc < 0)
		secret_wipe(out, ACCOUNT_SECRET_SIZE);
	return rc;
}

struct list {
	account_fn *fn;
	void *ctx;
};

static int give(void *ctx, const struct sql_row *row, struct err *e)
{
	const struct list *list = ctx;
	struct reg_account a = {.added = sql_get_int(row, 2),
				.changed = sql_get_int(row, 3)};

	sql_copy_text(row, 0, a.name, sizeof(a.name));
	sql_copy_text(row, 1, a.login, sizeof(a.login));
	return list->fn(list->ctx, &a, e);
}

int account_each(struct reg *r, account_fn *fn, void *ctx, struct err *e)
{
	struct list list = {fn, ctx};

	return sql_each(
	    r->db,
	    "SELECT name, login, added, changed FROM accounts ORDER BY name",
	    SQL_NO_ARGS, give, &list, e);
}
