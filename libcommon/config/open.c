/* reg_init() and reg_open(): the folder, the credentials, the database. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/ini.h"
#include "base/secret.h"
#include "config/registry.h"
#include "config/schema.h"

#define CREDENTIALS "MySQLCredentials"
#define PASSWORD_SIZE 256
#define PATH_SIZE 4096

/* What the credentials file holds; empty: not there. */
struct passwords {
	char root[PASSWORD_SIZE], user[PASSWORD_SIZE];
	bool has_root;
};

static int read_passwords(struct passwords *p, const char *path, struct err *e)
{
	char text[8192];
	size_t n;
	int rc = secret_read(path, text, sizeof(text), &n, e), has;

	if (rc < 0)
		return rc;
	has = ini_get(text, CREDENTIALS, "MySQLRootPassword", p->root,
		      sizeof(p->root), e);
	rc = has < 0 ? has
		     : ini_get(text, CREDENTIALS, "MySQLUserPassword", p->user,
			       sizeof(p->user), e);
	secret_wipe(text, sizeof(text));
	p->has_root = has == 1;
	if (rc < 0)
		return err_prefix(e, "%s", path);
	if (rc == 0 || p->user[0] == '\0')
		return err_set(e, PS_CONFIG, "%s: no MySQLUserPassword in [%s]",
			       path, CREDENTIALS);
	return 0;
}

static const char *database_name(const struct reg_where *w)
{
	return w->name != NULL ? w->name : REG_DATABASE;
}

/* It stands in statements that take no parameters. */
static int check_database_name(const struct reg_where *w, struct err *e)
{
	const char *name = database_name(w);

	if (strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") ==
		strlen(name) &&
	    strlen(name) >= 1 && strlen(name) <= 32)
		return 0;
	return err_set(e, PS_CONFIG,
		       "'%s': a database's name has 1 to 32 of a-z, 0-9, _",
		       name);
}

static bool is_remote(const struct reg_where *w)
{
	return w->host != NULL && w->host[0] != '/' &&
	       strcmp(w->host, "localhost") != 0;
}

static int grant(struct sql *s, const struct reg_where *w, const char *password,
		 struct err *e)
{
	const char *name = database_name(w),
		   *from = is_remote(w) ? "%" : "localhost";
	char quoted[2 * PASSWORD_SIZE + 3], text[2048];
	int rc = sql_quote(s, password, quoted, sizeof(quoted), e);

	if (rc < 0)
		return rc;
	snprintf(text, sizeof(text),
		 "CREATE DATABASE IF NOT EXISTS %s CHARACTER SET utf8mb4;"
		 "CREATE USER IF NOT EXISTS '%s'@'%s';",
		 name, name, from);
	rc = sql_make(s, text, e);
	/* A password may have a ';' in it: a statement of its own. */
	snprintf(text, sizeof(text), "ALTER USER '%s'@'%s' IDENTIFIED BY %s",
		 name, from, quoted);
	if (rc == 0)
		rc = sql_plain(s, text, e);
	secret_wipe(quoted, sizeof(quoted));
	secret_wipe(text, sizeof(text));
	snprintf(text, sizeof(text),
		 "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, "
		 "INDEX, REFERENCES ON %s.* TO '%s'@'%s'",
		 name, name, from);
	return rc < 0 ? rc : sql_make(s, text, e);
}

/* As the database's root: makes the database and its user. */
static int make_database(const struct reg_where *w, const struct passwords *p,
			 struct err *e)
{
	struct sql_target t = {.host = w->host,
			       .user = "root",
			       .password = p->root,
			       .ca = w->ca,
			       .wait_s = w->wait_s};
	struct sql *s = NULL;
	int rc;

	if (!p->has_root)
		return 0; /* somebody made them by hand, or before */
	rc = sql_open(&s, &t, e);
	if (rc == 0)
		rc = grant(s, w, p->user, e);
	if (rc < 0)
		err_prefix(e, "making the database");
	sql_close(s);
	return rc;
}

static int open_database(struct reg *r, const struct reg_where *w, bool make,
			 struct err *e)
{
	struct passwords p = {.has_root = false};
	char path[PATH_SIZE];
	struct sql_target t = {.wait_s = w->wait_s, .create = make};
	int rc = 0;

	snprintf(path, sizeof(path), "%s/registry.db", w->dir);
	if (w->credentials == NULL) {
		t.path = path;
		return sql_open(&r->db, &t, e);
	}
	rc = check_database_name(w, e);
	if (rc == 0)
		rc = read_passwords(&p, w->credentials, e);
	if (rc == 0 && make)
		rc = make_database(w, &p, e);
	if (rc == 0) {
		t.host = w->host;
		t.user = t.name = database_name(w);
		t.password = p.user;
		t.ca = w->ca;
		rc = sql_open(&r->db, &t, e);
	}
	secret_wipe(&p, sizeof(p));
	return rc;
}

static int take_text(void *ctx, const struct sql_row *row, struct err *e)
{
	(void)e;
	sql_copy_text(row, 0, ctx, SEAL_ID_SIZE);
	return 0;
}

/* Makes the key file, unless this registry has had one. */
static int make_key(struct reg *r, const char *path, struct err *e)
{
	char id[SEAL_ID_SIZE] = "";
	int rc = sql_each(r->db, "SELECT key_id FROM state", SQL_NO_ARGS,
			  take_text, id, e);

	if (rc < 0 || id[0] == '\0')
		return rc < 0 ? rc : seal_load(&r->seal, path, true, e);
	rc = err_set(e, PS_CONFIG,
		     "%s: is sealed with a key file that is not here: %s",
		     sql_where(r->db), path);
	err_hint(e, "put a copy of that file there, from where you keep it or "
		    "from the server that made it");
	return rc;
}

/* The first server names its key file; the others must have the same. */
static int check_key(struct reg *r, bool make, struct err *e)
{
	char id[SEAL_ID_SIZE] = "";
	int rc = 0;

	if (make)
		rc = reg_run(r,
			     "UPDATE state SET key_id = ? WHERE key_id IS NULL",
			     SQL_ARGS(sql_text(r->seal.id)), e);
	if (rc == 0)
		rc = sql_each(r->db, "SELECT key_id FROM state", SQL_NO_ARGS,
			      take_text, id, e);
	if (rc < 0 || strcmp(id, r->seal.id) == 0)
		return rc;
	rc = err_set(e, PS_CONFIG, "%s: is sealed with another key file",
		     sql_where(r->db));
	err_hint(e, "take config.key of the server that made it");
	return rc;
}

static int check_schema(struct reg *r, bool make, struct err *e)
{
	unsigned version = 0;
	int rc = make ? schema_check_foreign(r->db, e)
		      : schema_version(r->db, &version, e);

	if (rc == 0 && make)
		rc = schema_migrate(r->db, schema_texts, schema_newest, e);
	if (rc < 0 || make || version == schema_newest)
		return rc;
	if (version > schema_newest)
		return schema_migrate(r->db, schema_texts, schema_newest, e);
	if (version == 0)
		return err_set(e, PS_NOINPUT, "%s: there is no registry in it",
			       sql_where(r->db));
	rc = err_set(e, PS_CONFIG, "%s: has tables of version %u, not %u",
		     sql_where(r->db), version, schema_newest);
	err_hint(e, "make a backup with the old program, then: ps-config init");
	return rc;
}

static int open_it(struct reg **ret, const struct reg_where *w, bool make,
		   const char *who, struct err *e)
{
	struct reg *r = calloc(1, sizeof(*r));
	char path[PATH_SIZE];
	bool new_key;
	int rc;

	if (r == NULL)
		return err_sys(e, PS_TEMPFAIL, "registry");
	snprintf(r->who, sizeof(r->who), "%s", who);
	snprintf(path, sizeof(path), "%s/config.key", w->dir);
	rc = seal_load(&r->seal, path, false, e);
	new_key = rc == -PS_NOINPUT && make && !w->need_key;
	if (rc == 0 || new_key)
		rc = open_database(r, w, make, e);
	if (rc == 0)
		rc = check_schema(r, make, e);
	if (rc == 0 && new_key)
		rc = make_key(r, path, e);
	if (rc == 0)
		rc = check_key(r, make, e);
	if (rc < 0)
		reg_close(r);
	else
		*ret = r;
	return rc;
}

int reg_init(struct reg **ret, const struct reg_where *w, const char *who,
	     struct err *e)
{
	int rc;

	if (mkdir(w->dir, 0700) < 0 && errno != EEXIST)
		return err_sys(e, 0, "%s", w->dir);
	rc = open_it(ret, w, true, who, e);
	if (rc == -PS_NOINPUT && w->need_key)
		err_hint(e, "put the config.key that belongs to the backup "
			    "there first");
	return rc;
}

int reg_open(struct reg **ret, const struct reg_where *w, const char *who,
	     struct err *e)
{
	int rc = open_it(ret, w, false, who, e);

	if (rc == -PS_NOINPUT)
		err_hint(e, "to begin: ps-config init");
	return rc;
}
