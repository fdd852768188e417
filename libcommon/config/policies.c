#include "config.h"

#include "base/units.h"
#include "config/policies.h"

static int check(const struct reg_policy *p, struct err *e)
{
	int rc = reg_name_check("policy", p->name, e);

	if (rc < 0)
		return rc;
	if (p->rpo_s < 60 || p->rpo_s > 86400)
		return err_set(e, PS_USAGE,
			       "policy '%s': the RPO threshold is from 1m to "
			       "24h",
			       p->name);
	if (p->retention_s < 0 || p->retention_s > POLICY_RETENTION_MAX_S)
		return err_set(e, PS_USAGE,
			       "policy '%s': the retention is at most 3650d",
			       p->name);
	if (p->app_s != 0 &&
	    (p->app_s < POLICY_APP_MIN_S || p->app_s > POLICY_APP_MAX_S))
		return err_set(e, PS_USAGE,
			       "policy '%s': application-consistent points "
			       "come each 1h to 12h, or 0: never",
			       p->name);
	if (p->app_s >= p->retention_s && p->app_s != 0)
		return err_set(e, PS_USAGE,
			       "policy '%s': application-consistent points "
			       "would be dropped before the next one comes",
			       p->name);
	return 0;
}

static int audit(struct reg *r, const char *what, const struct reg_policy *p,
		 struct err *e)
{
	return reg_audit(r, what, p->name, e,
			 "rpo %llds retention %llds app %llds multi-vm %s",
			 (long long)p->rpo_s, (long long)p->retention_s,
			 (long long)p->app_s, p->multi_vm ? "on" : "off");
}

static int add(struct reg *r, void *ctx, struct err *e)
{
	const struct reg_policy *p = ctx;
	struct reg_policy other;
	int rc = policy_get(r, p->name, &other, NULL);

	if (rc == 0)
		return reg_there(e, "policy", p->name);
	rc = reg_run(r,
		     "INSERT INTO policies (name, rpo_s, retention_s, app_s, "
		     "multi_vm) VALUES (?, ?, ?, ?, ?)",
		     SQL_ARGS(sql_text(p->name), sql_int(p->rpo_s),
			      sql_int(p->retention_s), sql_int(p->app_s),
			      sql_int(p->multi_vm)),
		     e);
	return rc < 0 ? rc : audit(r, "policy-add", p, e);
}

int policy_add(struct reg *r, const struct reg_policy *p, struct err *e)
{
	int rc = check(p, e);

	return rc < 0 ? rc : reg_change(r, add, (void *)p, e);
}

struct edit {
	const char *name;
	policy_fill_fn *fill;
	void *ctx;
};

static int change(struct reg *r, void *ctx, struct err *e)
{
	const struct edit *d = ctx;
	struct reg_policy p;
	int rc = policy_get(r, d->name, &p, e);

	if (rc < 0)
		return rc;
	d->fill(d->ctx, &p);
	rc = check(&p, e);
	if (rc == 0)
		rc = reg_run(r,
			     "UPDATE policies SET rpo_s = ?, retention_s = ?, "
			     "app_s = ?, multi_vm = ? WHERE name = ?",
			     SQL_ARGS(sql_int(p.rpo_s), sql_int(p.retention_s),
				      sql_int(p.app_s), sql_int(p.multi_vm),
				      sql_text(p.name)),
			     e);
	return rc < 0 ? rc : audit(r, "policy-edit", &p, e);
}

int policy_change(struct reg *r, const char *name, policy_fill_fn *fill,
		  void *ctx, struct err *e)
{
	struct edit d = {name, fill, ctx};

	return reg_change(r, change, &d, e);
}

static int drop(struct reg *r, void *ctx, struct err *e)
{
	const char *name = ctx;
	struct reg_policy p;
	int rc = policy_get(r, name, &p, e);

	if (rc < 0)
		return rc;
	if (p.machines > 0)
		return err_set(e, PS_NO, "policy '%s': %lld machines have it",
			       name, (long long)p.machines);
	rc = reg_run(r, "DELETE FROM policies WHERE name = ?",
		     SQL_ARGS(sql_text(name)), e);
	return rc < 0 ? rc : audit(r, "policy-delete", &p, e);
}

int policy_delete(struct reg *r, const char *name, struct err *e)
{
	return reg_change(r, drop, (void *)name, e);
}

/* ---- reading ---- */

#define COLUMNS                                                                \
	"SELECT name, rpo_s, retention_s, app_s, multi_vm, (SELECT COUNT(*) "  \
	"FROM machines WHERE policy = policies.name) FROM policies "

static void take(struct reg_policy *p, const struct sql_row *row)
{
	sql_copy_text(row, 0, p->name, sizeof(p->name));
	p->rpo_s = sql_get_int(row, 1);
	p->retention_s = sql_get_int(row, 2);
	p->app_s = sql_get_int(row, 3);
	p->multi_vm = sql_get_int(row, 4) != 0;
	p->machines = sql_get_int(row, 5);
}

static int take_one(void *ctx, const struct sql_row *row, struct err *e)
{
	(void)e;
	take(ctx, row);
	return 0;
}

int policy_get(struct reg *r, const char *name, struct reg_policy *ret,
	       struct err *e)
{
	int rc;

	*ret = (struct reg_policy){.name = ""};
	rc = sql_each(r->db, COLUMNS "WHERE name = ?", SQL_ARGS(sql_text(name)),
		      take_one, ret, e);
	return rc == 0 && ret->name[0] == '\0' ? reg_missing(e, "policy", name)
					       : rc;
}

struct list {
	policy_fn *fn;
	void *ctx;
};

static int give(void *ctx, const struct sql_row *row, struct err *e)
{
	const struct list *list = ctx;
	struct reg_policy p;

	take(&p, row);
	return list->fn(list->ctx, &p, e);
}

int policy_each(struct reg *r, policy_fn *fn, void *ctx, struct err *e)
{
	struct list list = {fn, ctx};

	return sql_each(r->db, COLUMNS "ORDER BY name", SQL_NO_ARGS, give,
			&list, e);
}
