#include "config.h"

#include <string.h>

#include "base/units.h"
#include "base/version.h"
#include "config/servers.h"

/* Host name or address: signs that cannot end a line, a URL or a shell word. */
static bool address_ok(const char *a)
{
	static const char signs[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP"
				    "QRSTUVWXYZ0123456789.-:_";

	return *a != '\0' && *a != '-' && strlen(a) <= 253 &&
	       a[strspn(a, signs)] == '\0';
}

int server_check(const struct reg_server *s, struct err *e)
{
	int rc = reg_name_check("server", s->name, e);

	if (rc < 0)
		return rc;
	if (strcmp(s->role, SERVER_PS) != 0 && strcmp(s->role, SERVER_MT) != 0)
		return err_set(e, PS_USAGE, "server '%s': its role is ps or mt",
			       s->name);
	if (!address_ok(s->address))
		return err_set(e, PS_USAGE,
			       "server '%s': '%.80s' is no address of a host",
			       s->name, s->address);
	if (s->port < 1 || s->port > 65535)
		return err_set(e, PS_USAGE, "server '%s': a port is 1 to 65535",
			       s->name);
	rc = reg_text_check("the machine id", s->machine_id,
			    sizeof(s->machine_id), e);
	if (rc == 0)
		rc = reg_text_check("the version", s->version,
				    sizeof(s->version), e);
	return rc;
}

/* ---- reading ---- */

#define COLUMNS "SELECT " SERVER_COLUMNS " FROM servers "

void server_take(struct reg_server *s, const struct sql_row *row)
{
	sql_copy_text(row, 0, s->name, sizeof(s->name));
	sql_copy_text(row, 1, s->role, sizeof(s->role));
	sql_copy_text(row, 2, s->machine_id, sizeof(s->machine_id));
	sql_copy_text(row, 3, s->address, sizeof(s->address));
	s->port = sql_get_int(row, 4);
	sql_copy_text(row, 5, s->version, sizeof(s->version));
	s->generation = sql_get_int(row, 6);
	s->registered = sql_get_int(row, 7);
	s->contact = sql_get_int(row, 8);
	s->machines = sql_get_int(row, 9);
}

static int take_one(void *ctx, const struct sql_row *row, struct err *e)
{
	(void)e;
	server_take(ctx, row);
	return 0;
}

/* The server of which `column` is `value`; name "" when there is none. */
static int find(struct reg *r, const char *text, const char *value,
		struct reg_server *ret, struct err *e)
{
	*ret = (struct reg_server){.name = ""};
	return sql_each(r->db, text, SQL_ARGS(sql_text(value)), take_one, ret,
			e);
}

#define BY_NAME COLUMNS "WHERE name = ?"
#define BY_MACHINE COLUMNS "WHERE machine_id = ?"

int server_get(struct reg *r, const char *name, struct reg_server *ret,
	       struct err *e)
{
	int rc = find(r, BY_NAME, name, ret, e);

	return rc == 0 && ret->name[0] == '\0' ? reg_missing(e, "server", name)
					       : rc;
}

struct list {
	server_fn *fn;
	void *ctx;
};

static int give(void *ctx, const struct sql_row *row, struct err *e)
{
	const struct list *list = ctx;
	struct reg_server s;

	server_take(&s, row);
	return list->fn(list->ctx, &s, e);
}

int server_each(struct reg *r, server_fn *fn, void *ctx, struct err *e)
{
	struct list list = {fn, ctx};

	return sql_each(r->db, COLUMNS "ORDER BY name", SQL_NO_ARGS, give,
			&list, e);
}

const char *server_state(const struct reg_server *s, int64_t now_ns)
{
	int64_t since = s->contact != 0 ? s->contact : s->registered;

	/* One that was entered by hand may have no heartbeat at all. */
	if ((s->contact != 0 || s->version[0] != '\0') &&
	    now_ns - since >= SERVER_SILENT_S * NS_PER_S)
		return "silent";
	return s->contact != 0 ? "ok" : "never";
}

/* ---- registering ---- */

/* Is it another machine that comes under this name or with this id? */
static int same_machine(struct reg *r, const struct reg_server *s,
			const struct reg_server *known, struct err *e)
{
	struct reg_server other;
	int rc = 0;

	if (known->machine_id[0] != '\0' && s->machine_id[0] != '\0' &&
	    strcmp(known->machine_id, s->machine_id) != 0) {
		rc = err_set(e, PS_NO,
			     "server '%s': another machine has this name",
			     s->name);
		err_hint(e, "choose another name, or delete the old server");
		return rc;
	}
	if (s->machine_id[0] == '\0')
		return 0;
	rc = find(r, BY_MACHINE, s->machine_id, &other, e);
	if (rc < 0 || other.name[0] == '\0' || strcmp(other.name, s->name) == 0)
		return rc;
	rc = err_set(e, PS_NO,
		     "server '%s': its machine id is that of server '%s'",
		     s->name, other.name);
	err_hint(e, "a cloned machine needs an id of its own "
		    "(systemd-machine-id-setup); a second server on the same "
		    "host: --instance ANYTHING, at register and heartbeat");
	return rc;
}

/*
 * A machine's login has the machine's name: it must not make a server of
 * itself.
 */
static int no_machine(struct reg *r, const char *name, struct err *e)
{
	int64_t n = 0;
	int rc =
	    sql_number(r->db, "SELECT COUNT(*) FROM machines WHERE name = ?",
		       SQL_ARGS(sql_text(name)), 0, &n, e);

	if (rc < 0 || n == 0)
		return rc;
	rc = err_set(e, PS_NO, "server '%s': a protected machine has this name",
		     name);
	err_hint(e, "choose another name: --name NAME");
	return rc;
}

/* Machines that use it would find something else behind its name. */
static int same_role(const struct reg_server *s, const struct reg_server *known,
		     struct err *e)
{
	bool mt = strcmp(known->role, SERVER_MT) == 0;
	int rc;

	if (strcmp(known->role, s->role) == 0 || known->machines == 0)
		return 0;
	rc = err_set(e, PS_NO, "server '%s': %lld machines use it as %s",
		     s->name, (long long)known->machines,
		     mt ? "master target" : "process server");
	err_hint(e, mt ? "give them another one first: ps-config machine edit"
		       : "give them another one first: ps-balance switch");
	return rc;
}

/* What is not told stays as it was. */
static bool says_the_same(const struct reg_server *s,
			  const struct reg_server *known)
{
	return strcmp(s->role, known->role) == 0 &&
	       strcmp(s->address, known->address) == 0 &&
	       s->port == known->port &&
	       (s->machine_id[0] == '\0' ||
		strcmp(s->machine_id, known->machine_id) == 0) &&
	       (s->version[0] == '\0' ||
		strcmp(s->version, known->version) == 0) &&
	       (s->generation == 0 || s->generation == known->generation);
}

static int put(struct reg *r, void *ctx, struct err *e)
{
	const struct reg_server *s = ctx;
	struct reg_server known;
	int rc = find(r, BY_NAME, s->name, &known, e);
	bool is_new = known.name[0] == '\0';

	if (rc == 0)
		rc = same_machine(r, s, &known, e);
	if (rc == 0 && !is_new)
		rc = same_role(s, &known, e);
	if (rc == 0 && is_new)
		rc = no_machine(r, s->name, e);
	if (rc == 0 && !is_new && says_the_same(s, &known))
		return 0; /* nothing that the audit log could tell */
	if (rc == 0 && is_new)
		rc = reg_run(r,
			     "INSERT INTO servers (name, role, address, port, "
			     "generation, registered) VALUES (?, ?, ?, ?, 0, "
			     "?)",
			     SQL_ARGS(sql_text(s->name), sql_text(s->role),
				      sql_text(s->address), sql_int(s->port),
				      sql_int(time_now_ns())),
			     e);
	if (rc == 0)
		rc = reg_run(
		    r,
		    "UPDATE servers SET role = ?, address = ?, "
		    "port = ?, machine_id = COALESCE(?, machine_id), "
		    "version = COALESCE(?, version), "
		    "generation = ? WHERE name = ?",
		    SQL_ARGS(sql_text(s->role), sql_text(s->address),
			     sql_int(s->port), sql_text(s->machine_id),
			     sql_text(s->version),
			     sql_int(s->generation != 0 ? s->generation
							: known.generation),
			     sql_text(s->name)),
		    e);
	if (rc < 0)
		return rc;
	return reg_audit(r, is_new ? "server-add" : "server-edit", s->name, e,
			 "%s %s port %lld", s->role, s->address,
			 (long long)s->port);
}

int server_register(struct reg *r, const struct reg_server *s, struct err *e)
{
	int rc = server_check(s, e);

	return rc < 0 ? rc : reg_change(r, put, (void *)s, e);
}

static int not_behind(void *ctx, const struct reg_server *s, struct err *e)
{
	const struct reg_server *target = ctx;
	struct version theirs, ours;

	if (strcmp(s->role, SERVER_PS) != 0 ||
	    !version_parse(s->version, &theirs) ||
	    !version_parse(target->version, &ours) ||
	    version_compare(&ours, &theirs) <= 0)
		return 0;
	err_set(e, PS_CONFIG,
		"version %s is newer than that of process server %s (%s)",
		target->version, s->name, s->version);
	err_hint(e, "upgrade %s first, then master targets, then agents",
		 s->name);
	return -PS_CONFIG;
}

int server_check_order(struct reg *r, const struct reg_server *s, struct err *e)
{
	return strcmp(s->role, SERVER_MT) != 0
		   ? 0
		   : server_each(r, not_behind, (void *)s, e);
}

int server_delete_here(struct reg *r, const char *name, int64_t *ret_machines,
		       struct err *e)
{
	struct reg_server s;
	int rc = server_get(r, name, &s, e);

	if (rc < 0)
		return rc;
	*ret_machines = s.machines;
	rc = reg_run(r, "UPDATE machines SET server = NULL WHERE server = ?",
		     SQL_ARGS(sql_text(name)), e);
	if (rc == 0)
		rc = reg_run(
		    r, "UPDATE machines SET target = NULL WHERE target = ?",
		    SQL_ARGS(sql_text(name)), e);
	if (rc == 0)
		rc = reg_run(r, "DELETE FROM servers WHERE name = ?",
			     SQL_ARGS(sql_text(name)), e);
	return rc < 0
		   ? rc
		   : reg_audit(r, "server-delete", name, e,
			       "%lld machines lost it", (long long)s.machines);
}

struct removal {
	const char *name;
	bool force;
	int64_t machines;
};

static int drop(struct reg *r, void *ctx, struct err *e)
{
	struct removal *d = ctx;
	struct reg_server s;
	int rc = server_get(r, d->name, &s, e);

	if (rc == 0 && s.machines > 0 && !d->force) {
		rc = err_set(e, PS_NO, "server '%s': %lld machines use it",
			     d->name, (long long)s.machines);
		err_hint(e, "give them another one, or use --force");
	}
	return rc < 0 ? rc : server_delete_here(r, d->name, &d->machines, e);
}

int server_delete(struct reg *r, const char *name, bool force,
		  int64_t *ret_machines, struct err *e)
{
	struct removal d = {name, force, 0};
	int rc = reg_change(r, drop, &d, e);

	if (rc == 0)
		*ret_machines = d.machines;
	return rc;
}
