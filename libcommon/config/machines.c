#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "config/jobs.h"
#include "config/machines.h"
#include "config/policies.h"
#include "config/servers.h"
#include "vault/store.h"

#define JOB_PURGE "purge"

/* ---- rules ---- */

static int check(const struct reg_machine *m, struct err *e)
{
	int rc = reg_name_check("machine", m->name, e);

	if (rc == 0 && m->recovered_name[0] != '\0')
		rc = reg_name_check("recovered machine", m->recovered_name, e);
	if (rc == 0)
		rc = reg_text_check("the machine id", m->machine_id,
				    sizeof(m->machine_id), e);
	if (rc == 0)
		rc = reg_text_check("the vault", m->vault, sizeof(m->vault), e);
	if (rc == 0 && m->vault[0] != '\0')
		rc = store_check(m->vault, e);
	if (rc == 0)
		rc = reg_text_check("the size", m->recovered_size,
				    sizeof(m->recovered_size), e);
	if (rc == 0)
		rc = reg_text_check("the network", m->recovered_network,
				    sizeof(m->recovered_network), e);
	return rc;
}

static int check_role(struct reg *r, const char *name, const char *role,
		      struct err *e)
{
	struct reg_server s;
	int rc = server_get(r, name, &s, e);

	if (rc == 0 && strcmp(s.role, role) != 0)
		rc = err_set(e, PS_NO, "server '%s': is no %s", name,
			     strcmp(role, SERVER_PS) == 0 ? "process server"
							  : "master target");
	return rc;
}

/* A copy of a machine has its id, too: its changes are another disk's. */
static int no_clone(struct reg *r, const struct reg_machine *m, struct err *e)
{
	int64_t n = 0;
	int rc;

	if (m->machine_id[0] == '\0')
		return 0;
	rc = sql_number(r->db,
			"SELECT COUNT(*) FROM machines WHERE machine_id = ? "
			"AND name <> ?",
			SQL_ARGS(sql_text(m->machine_id), sql_text(m->name)), 0,
			&n, e);
	if (rc < 0 || n == 0)
		return rc;
	rc = err_set(e, PS_NO,
		     "machine '%s': its machine id is that of another one",
		     m->name);
	err_hint(e, "a cloned machine needs an id of its own "
		    "(systemd-machine-id-setup)");
	return rc;
}

/* What it refers to has to be there. */
static int check_others(struct reg *r, const struct reg_machine *m,
			struct err *e)
{
	struct reg_policy p;
	int rc = no_clone(r, m, e);

	if (rc == 0 && m->policy[0] != '\0')
		rc = policy_get(r, m->policy, &p, e);
	if (rc == 0 && m->server[0] != '\0')
		rc = check_role(r, m->server, SERVER_PS, e);
	if (rc == 0 && m->target[0] != '\0')
		rc = check_role(r, m->target, SERVER_MT, e);
	return rc;
}

/* ---- reading ---- */

#define COLUMNS                                                                \
	"SELECT name, machine_id, state, policy, server, target, vault, "      \
	"recovered_name, recovered_size, recovered_network, added, changed, "  \
	"(SELECT COUNT(*) FROM disks WHERE machine = machines.name) "          \
	"FROM machines "

static void take(struct reg_machine *m, const struct sql_row *row)
{
	sql_copy_text(row, 0, m->name, sizeof(m->name));
	sql_copy_text(row, 1, m->machine_id, sizeof(m->machine_id));
	sql_copy_text(row, 2, m->state, sizeof(m->state));
	sql_copy_text(row, 3, m->policy, sizeof(m->policy));
	sql_copy_text(row, 4, m->server, sizeof(m->server));
	sql_copy_text(row, 5, m->target, sizeof(m->target));
	sql_copy_text(row, 6, m->vault, sizeof(m->vault));
	sql_copy_text(row, 7, m->recovered_name, sizeof(m->recovered_name));
	sql_copy_text(row, 8, m->recovered_size, sizeof(m->recovered_size));
	sql_copy_text(row, 9, m->recovered_network,
		      sizeof(m->recovered_network));
	m->added = sql_get_int(row, 10);
	m->changed = sql_get_int(row, 11);
	m->disks = sql_get_int(row, 12);
}

static int take_one(void *ctx, const struct sql_row *row, struct err *e)
{
	(void)e;
	take(ctx, row);
	return 0;
}

int machine_get(struct reg *r, const char *name, struct reg_machine *ret,
		struct err *e)
{
	int rc;

	*ret = (struct reg_machine){.name = ""};
	rc = sql_each(r->db, COLUMNS "WHERE name = ?", SQL_ARGS(sql_text(name)),
		      take_one, ret, e);
	return rc == 0 && ret->name[0] == '\0' ? reg_missing(e, "machine", name)
					       : rc;
}

struct list {
	machine_fn *machine;
	disk_fn *disk;
	void *ctx;
};

static int give(void *ctx, const struct sql_row *row, struct err *e)
{
	const struct list *list = ctx;
	struct reg_machine m;

	take(&m, row);
	return list->machine(list->ctx, &m, e);
}

int machine_each(struct reg *r, machine_fn *fn, void *ctx, struct err *e)
{
	struct list list = {fn, NULL, ctx};

	return sql_each(r->db, COLUMNS "ORDER BY name", SQL_NO_ARGS, give,
			&list, e);
}

static int give_disk(void *ctx, const struct sql_row *row, struct err *e)
{
	const struct list *list = ctx;
	struct reg_disk d = {.size = sql_get_int(row, 1)};

	sql_copy_text(row, 0, d.name, sizeof(d.name));
	return list->disk(list->ctx, &d, e);
}

int machine_each_disk(struct reg *r, const char *machine, disk_fn *fn,
		      void *ctx, struct err *e)
{
	struct list list = {NULL, fn, ctx};

	return sql_each(
	    r->db,
	    "SELECT name, size FROM disks WHERE machine = ? ORDER BY name",
	    SQL_ARGS(sql_text(machine)), give_disk, &list, e);
}

/* ---- settings ---- */

static int store(struct reg *r, const struct reg_machine *m, const char *what,
		 struct err *e)
{
	int rc = check_others(r, m, e);

	if (rc == 0)
		rc = reg_run(
		    r,
		    "UPDATE machines SET machine_id = ?, policy = ?, server = "
		    "?, target = ?, vault = ?, recovered_name = ?, "
		    "recovered_size = ?, recovered_network = ?, changed = ? "
		    "WHERE name = ?",
		    SQL_ARGS(sql_text(m->machine_id), sql_text(m->policy),
			     sql_text(m->server), sql_text(m->target),
			     sql_text(m->vault), sql_text(m->recovered_name),
			     sql_text(m->recovered_size),
			     sql_text(m->recovered_network),
			     sql_int(time_now_ns()), sql_text(m->name)),
		    e);
	return rc < 0 ? rc
		      : reg_audit(r, what, m->name, e,
				  "policy %s server %s target %s vault %s "
				  "recovered %s %s %s",
				  m->policy, m->server, m->target, m->vault,
				  m->recovered_name, m->recovered_size,
				  m->recovered_network);
}

/* A login has a name: it is that of a machine or that of a server. */
static int no_server(struct reg *r, const char *name, struct err *e)
{
	struct reg_server s;
	int rc = server_get(r, name, &s, e);

	if (rc == 0)
		return err_set(e, PS_NO, "machine '%s': a server has this name",
			       name);
	return rc == -PS_NO ? 0 : rc;
}

static int add(struct reg *r, void *ctx, struct err *e)
{
	const struct reg_machine *m = ctx;
	struct reg_machine other;
	int64_t now = time_now_ns();
	int rc = machine_get(r, m->name, &other, e);

	if (rc == 0)
		return reg_there(e, "machine", m->name);
	if (rc == -PS_NO)
		rc = no_server(r, m->name, e);
	if (rc < 0)
		return rc;
	rc = reg_run(r,
		     "INSERT INTO machines (name, state, added, changed) "
		     "VALUES (?, ?, ?, ?)",
		     SQL_ARGS(sql_text(m->name), sql_text(MACHINE_NEW),
			      sql_int(now), sql_int(now)),
		     e);
	return rc < 0 ? rc : store(r, m, "machine-add", e);
}

int machine_add(struct reg *r, const struct reg_machine *m, struct err *e)
{
	int rc = check(m, e);

	return rc < 0 ? rc : reg_change(r, add, (void *)m, e);
}

/* What a protected machine cannot be without; NULL: it has all of it. */
static const char *lack_of(const struct reg_machine *m)
{
	return m->policy[0] == '\0'   ? "policy"
	       : m->server[0] == '\0' ? "process server"
	       : m->vault[0] == '\0'  ? "vault"
	       : m->disks == 0	      ? "disk"
				      : NULL;
}

static int change(struct reg *r, void *ctx, struct err *e)
{
	const struct reg_machine *m = ctx;
	struct reg_machine old;
	int rc = machine_get(r, m->name, &old, e);

	if (rc < 0)
		return rc;
	/* Its server may have been moved under the caller's hands. */
	if (m->changed != 0 && old.changed != m->changed)
		return err_set(e, PS_TEMPFAIL,
			       "machine '%s': was changed by somebody else "
			       "just now",
			       m->name);
	/* Without a server it is when that was given up: ps-config status. */
	if (strcmp(old.state, MACHINE_ENABLED) == 0 &&
	    (m->policy[0] == '\0' || m->vault[0] == '\0')) {
		rc =
		    err_set(e, PS_CONFIG,
			    "machine '%s': is protected, and needs a %s "
			    "(78253)",
			    m->name, m->policy[0] == '\0' ? "policy" : "vault");
		err_hint(e, "ps-config machine disable first");
		return rc;
	}
	return store(r, m, "machine-edit", e);
}

int machine_change(struct reg *r, const struct reg_machine *m, struct err *e)
{
	int rc = check(m, e);

	return rc < 0 ? rc : reg_change(r, change, (void *)m, e);
}

/* ---- protection ---- */

static int set_state(struct reg *r, const char *name, const char *state,
		     struct err *e)
{
	return reg_run(
	    r,
	    "UPDATE machines SET state = ?, changed = ? "
	    "WHERE name = ?",
	    SQL_ARGS(sql_text(state), sql_int(time_now_ns()), sql_text(name)),
	    e);
}

/* Are its points being deleted? */
static int check_purge(struct reg *r, const char *name, struct err *e)
{
	int64_t job = 0;
	int rc = job_open(r, JOB_PURGE, name, &job, e);

	if (rc < 0 || job == 0)
		return rc;
	rc = err_set(e, PS_NO,
		     "machine '%s': its points are being deleted by job %lld",
		     name, (long long)job);
	err_hint(e, "ps-config jobs show %lld", (long long)job);
	return rc;
}

static int enable(struct reg *r, void *ctx, struct err *e)
{
	const char *name = ctx, *lacks;
	struct reg_machine m;
	int rc = machine_get(r, name, &m, e);

	if (rc == 0)
		rc = check_purge(r, name, e);
	if (rc < 0)
		return rc;
	if (strcmp(m.state, MACHINE_ENABLED) == 0)
		return err_set(e, PS_NO, "machine '%s': is enabled already",
			       name);
	lacks = lack_of(&m);
	if (lacks != NULL)
		return err_set(e, PS_CONFIG,
			       "machine '%s': cannot be protected: it has no "
			       "%s (78253)",
			       name, lacks);
	rc = set_state(r, name, MACHINE_ENABLED, e);
	return rc < 0 ? rc
		      : reg_audit(r, "machine-enable", name, e,
				  "policy %s server %s vault %s", m.policy,
				  m.server, m.vault);
}

int machine_enable(struct reg *r, const char *name, struct err *e)
{
	return reg_change(r, enable, (void *)name, e);
}

struct disabling {
	const char *name;
	bool purge;
	int64_t job;
};

static int make_purge(struct reg *r, const struct reg_machine *m,
		      int64_t *ret_job, struct err *e)
{
	char stop[NAME_SIZE + 64], purge[1100];
	const char *const steps[] = {stop, purge, NULL};

	snprintf(stop, sizeof(stop), "end replication at server %s",
		 m->server[0] != '\0' ? m->server : "-");
	/* {word} takes 255; the whole name stands in the registry. */
	snprintf(purge, sizeof(purge), "delete the points in %.200s", m->vault);
	reg_text_cut(purge);
	return job_add_here(r, JOB_PURGE, m->name, steps, ret_job, e);
}

static int disable(struct reg *r, void *ctx, struct err *e)
{
	struct disabling *d = ctx;
	struct reg_machine m;
	int rc = machine_get(r, d->name, &m, e);

	if (rc < 0)
		return rc;
	if (strcmp(m.state, MACHINE_ENABLED) != 0)
		return err_set(e, PS_NO, "machine '%s': is not enabled",
			       d->name);
	rc = set_state(r, d->name, MACHINE_DISABLED, e);
	if (rc == 0 && d->purge)
		rc = make_purge(r, &m, &d->job, e);
	return rc < 0 ? rc
		      : reg_audit(r, "machine-disable", d->name, e,
				  d->purge ? "points are deleted"
					   : "points are kept");
}

int machine_disable(struct reg *r, const char *name, bool purge,
		    int64_t *ret_job, struct err *e)
{
	struct disabling d = {name, purge, 0};
	int rc = reg_change(r, disable, &d, e);

	if (rc == 0)
		*ret_job = d.job;
	return rc;
}

static int drop(struct reg *r, void *ctx, struct err *e)
{
	const char *name = ctx;
	struct reg_machine m;
	int rc = machine_get(r, name, &m, e);

	if (rc == 0)
		rc = check_purge(r, name, e);
	if (rc == 0 && strcmp(m.state, MACHINE_ENABLED) == 0) {
		rc = err_set(e, PS_NO, "machine '%s': is protected", name);
		err_hint(e,
			 "first: ps-config machine disable %s "
			 "--keep-points|--purge",
			 name);
	}
	if (rc == 0)
		rc = reg_run(r, "DELETE FROM machines WHERE name = ?",
			     SQL_ARGS(sql_text(name)), e);
	return rc < 0 ? rc
		      : reg_audit(r, "machine-delete", name, e, "%lld disks",
				  (long long)m.disks);
}

int machine_delete(struct reg *r, const char *name, struct err *e)
{
	return reg_change(r, drop, (void *)name, e);
}

/* ---- disks ---- */

struct disk_change {
	const char *machine, *name;
	int64_t size;
};

static int disk_put(struct reg *r, void *ctx, struct err *e)
{
	const struct disk_change *d = ctx;
	struct reg_machine m;
	int64_t rc = machine_get(r, d->machine, &m, e);

	if (rc < 0)
		return (int)rc;
	rc = sql_run(r->db,
		     "UPDATE disks SET size = ? WHERE machine = ? AND name = ?",
		     SQL_ARGS(sql_time(d->size), sql_text(d->machine),
			      sql_text(d->name)),
		     e);
	if (rc == 0 && m.disks >= MACHINE_DISKS_MAX)
		return err_set(e, PS_NO, "machine '%s': has %d disks already",
			       d->machine, MACHINE_DISKS_MAX);
	if (rc == 0)
		rc = reg_run(r,
			     "INSERT INTO disks (machine, name, size) "
			     "VALUES (?, ?, ?)",
			     SQL_ARGS(sql_text(d->machine), sql_text(d->name),
				      sql_time(d->size)),
			     e);
	return rc < 0
		   ? (int)rc
		   : reg_audit(r, "disk-put", d->machine, e, "%s, %lld bytes",
			       d->name, (long long)d->size);
}

int machine_disk_put(struct reg *r, const char *machine,
		     const struct reg_disk *d, struct err *e)
{
	struct disk_change c = {machine, d->name, d->size};
	/* Its folder in the cache and the vault: the rule of those. */
	int rc = name_check("disk", d->name, PS_USAGE, e);

	return rc < 0 ? rc : reg_change(r, disk_put, &c, e);
}

static int disk_drop(struct reg *r, void *ctx, struct err *e)
{
	const struct disk_change *d = ctx;
	struct reg_machine m;
	int64_t rc = machine_get(r, d->machine, &m, e);

	if (rc < 0)
		return (int)rc;
	rc = sql_run(r->db, "DELETE FROM disks WHERE machine = ? AND name = ?",
		     SQL_ARGS(sql_text(d->machine), sql_text(d->name)), e);

	if (rc == 0)
		return err_set(e, PS_NO, "machine '%s': has no disk '%s'",
			       d->machine, d->name);
	if (rc > 0 && m.disks == 1 && strcmp(m.state, MACHINE_ENABLED) == 0) {
		rc = err_set(e, PS_CONFIG,
			     "machine '%s': is protected, and '%s' is its last "
			     "disk (78253)",
			     d->machine, d->name);
		err_hint(e, "ps-config machine disable first");
	}
	return rc < 0
		   ? (int)rc
		   : reg_audit(r, "disk-delete", d->machine, e, "%s", d->name);
}

int machine_disk_delete(struct reg *r, const char *machine, const char *disk,
			struct err *e)
{
	struct disk_change c = {machine, disk, 0};

	return reg_change(r, disk_drop, &c, e);
}
