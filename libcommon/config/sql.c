#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/secret.h"
#include "base/units.h"
#include "config/sql-driver.h"

#define TRY_FIRST_NS (50 * 1000000LL)
#define TRY_LAST_NS (1000 * 1000000LL)

/* ---- values ---- */

struct sql_value sql_text(const char *text)
{
	if (text == NULL || *text == '\0')
		return (struct sql_value){.type = SQL_NULL};
	return (struct sql_value){
	    .type = SQL_TEXT, .p = text, .n = strlen(text)};
}

struct sql_value sql_time(int64_t ns)
{
	return ns == 0 ? (struct sql_value){.type = SQL_NULL} : sql_int(ns);
}

int64_t sql_get_int(const struct sql_row *row, unsigned i)
{
	return row->values[i].type == SQL_INT ? row->values[i].i : 0;
}

const char *sql_get_text(const struct sql_row *row, unsigned i)
{
	return row->values[i].type == SQL_TEXT ? row->values[i].p : "";
}

void sql_copy_text(const struct sql_row *row, unsigned i, char *out,
		   size_t size)
{
	snprintf(out, size, "%s", sql_get_text(row, i));
}

/* ---- connection ---- */

static char *copy(const char *text)
{
	return text != NULL ? strdup(text) : NULL;
}

static void name_it(struct sql *s)
{
	if (s->path != NULL)
		snprintf(s->where, sizeof(s->where), "SQLite %s", s->path);
	else
		snprintf(s->where, sizeof(s->where), "MariaDB %s%sat %s",
			 s->name != NULL ? s->name : "",
			 s->name != NULL ? " " : "",
			 s->host != NULL ? s->host : "this machine");
}

static const struct sql_driver *driver_for(const struct sql_target *t)
{
	if (t->path != NULL)
		return &sql_sqlite;
#ifdef HAVE_MARIADB
	return &sql_mariadb;
#else
	return NULL;
#endif
}

int sql_open(struct sql **ret, const struct sql_target *t, struct err *e)
{
	struct sql *s;
	int rc;

	if (driver_for(t) == NULL)
		return err_set(e, PS_CONFIG,
			       "MariaDB is not built into this program");
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_sys(e, PS_TEMPFAIL, "database");
	s->driver = driver_for(t);
	s->wait_s = t->wait_s;
	s->create = t->create;
	s->path = copy(t->path);
	s->host = copy(t->host);
	s->user = copy(t->user);
	s->password = copy(t->password);
	s->name = copy(t->name);
	s->ca = copy(t->ca);
	name_it(s);
	rc = sql_reconnect(s, sql_deadline(s), e);
	if (rc < 0)
		sql_close(s);
	else
		*ret = s;
	return rc;
}

void sql_close(struct sql *s)
{
	if (s == NULL)
		return;
	s->driver->disconnect(s);
	if (s->password != NULL)
		secret_wipe(s->password, strlen(s->password));
	free(s->path);
	free(s->host);
	free(s->user);
	free(s->password);
	free(s->name);
	free(s->ca);
	free(s);
}

void sql_set_wait(struct sql *s, unsigned wait_s)
{
	s->wait_s = wait_s;
	s->driver->disconnect(s); /* which has the old one in its settings */
}

int64_t sql_deadline(const struct sql *s)
{
	return mono_now_ns() + s->wait_s * NS_PER_S;
}

static void pause_ns(int64_t ns)
{
	struct timespec t = {ns / NS_PER_S, ns % NS_PER_S};

	nanosleep(&t, NULL);
}

int sql_reconnect(struct sql *s, int64_t deadline, struct err *e)
{
	int64_t pause = TRY_FIRST_NS, left;
	int rc;

	for (;;) {
		s->driver->disconnect(s);
		s->in_tx = false;
		s->trouble = SQL_FINAL;
		rc = s->driver->connect(s, e);
		if (rc == 0 || s->trouble != SQL_LOST)
			return rc;
		left = deadline - mono_now_ns();
		if (left <= 0)
			break;
		pause_ns(pause < left ? pause : left);
		pause = pause * 2 < TRY_LAST_NS ? pause * 2 : TRY_LAST_NS;
	}
	err_hint(e,
		 "tried for %u s; nothing was changed: try again when the "
		 "database is back",
		 s->wait_s);
	return rc;
}

bool sql_is_mariadb(const struct sql *s)
{
	return s->path == NULL;
}

const char *sql_cipher(const struct sql *s)
{
	return s->driver->cipher(s);
}

unsigned sql_port(const struct sql *s)
{
	return s->driver->port(s);
}

const char *sql_where(const struct sql *s)
{
	return s->where;
}

enum sql_trouble sql_trouble(const struct sql *s)
{
	return s->trouble;
}

/* ---- statements ---- */

static int64_t run(struct sql *s, const char *text,
		   const struct sql_value *args, unsigned nargs, sql_row_fn *fn,
		   void *ctx, struct err *e)
{
	int64_t deadline = sql_deadline(s), rc;

	for (;;) {
		if (s->handle == NULL) {
			rc = sql_reconnect(s, deadline, e);
			if (rc < 0)
				return rc;
		}
		s->trouble = SQL_FINAL;
		rc = s->driver->run(s, text, args, nargs, fn, ctx, e);
		if (rc >= 0 || s->trouble != SQL_LOST || s->in_tx)
			return rc;
		rc = sql_reconnect(s, deadline, e);
		if (rc < 0)
			return rc;
	}
}

int64_t sql_run(struct sql *s, const char *text, const struct sql_value *args,
		unsigned nargs, struct err *e)
{
	return run(s, text, args, nargs, NULL, NULL, e);
}

int sql_each(struct sql *s, const char *text, const struct sql_value *args,
	     unsigned nargs, sql_row_fn *fn, void *ctx, struct err *e)
{
	return (int)run(s, text, args, nargs, fn, ctx, e);
}

static int take_number(void *ctx, const struct sql_row *row, struct err *e)
{
	int64_t *ret = ctx;

	(void)e;
	*ret = sql_get_int(row, 0);
	return 0;
}

int sql_number(struct sql *s, const char *text, const struct sql_value *args,
	       unsigned nargs, int64_t none, int64_t *ret, struct err *e)
{
	*ret = none;
	return sql_each(s, text, args, nargs, take_number, ret, e);
}

int64_t sql_last_id(const struct sql *s)
{
	return s->driver->last_id(s);
}

int sql_quote(struct sql *s, const char *text, char *out, size_t size,
	      struct err *e)
{
	size_t n = strlen(text);

	if (s->driver->escape == NULL || size < 2 * n + 3)
		return err_set(e, PS_SOFTWARE, "%s: quoting", s->where);
	out[0] = '\'';
	n = s->driver->escape(s, text, out + 1);
	out[n + 1] = '\'';
	out[n + 2] = '\0';
	return 0;
}

/* ---- transactions ---- */

int sql_begin(struct sql *s, enum sql_mode mode, struct err *e)
{
	int rc = 0;

	if (s->handle == NULL)
		rc = sql_reconnect(s, sql_deadline(s), e);
	s->trouble = SQL_FINAL;
	if (rc == 0)
		rc = s->driver->plain(s, s->driver->begin[mode], e);
	s->in_tx = rc == 0;
	return rc;
}

int sql_commit(struct sql *s, struct err *e)
{
	int rc;

	s->trouble = SQL_FINAL;
	rc = s->driver->plain(s, "COMMIT", e);
	if (rc < 0)
		return rc; /* the caller rolls back */
	s->in_tx = false;
	return 0;
}

void sql_rollback(struct sql *s)
{
	enum sql_trouble trouble = s->trouble;

	if (s->in_tx && trouble != SQL_LOST && s->handle != NULL &&
	    s->driver->plain(s, "ROLLBACK", NULL) < 0)
		s->driver->disconnect(s); /* that undoes it as well */
	s->in_tx = false;
	s->trouble = trouble;
}

/* ---- tables ---- */

static const char *word_for(const struct sql *s, const char *p, size_t n)
{
	static const char *const names[] = {"id",   "int",  "name",
					    "word", "text", "blob"};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i]) == n && memcmp(p, names[i], n) == 0)
			return s->driver->words[i];
	return n == 3 && memcmp(p, "end", 3) == 0 ? s->driver->end : NULL;
}

/* One statement, its words replaced, for free(3); *at moves behind it. */
static int next_statement(const struct sql *s, const char **at, char **ret,
			  struct err *e)
{
	size_t size = 0;
	FILE *f = open_memstream(ret, &size);
	const char *p = *at;

	if (f == NULL)
		return err_sys(e, PS_TEMPFAIL, "database");
	for (; *p != '\0' && *p != ';'; p++) {
		const char *close = *p == '{' ? strchr(p, '}') : NULL;
		const char *word =
		    close != NULL ? word_for(s, p + 1, (size_t)(close - p) - 1)
				  : NULL;

		if (word == NULL) {
			fputc(*p, f);
		} else {
			fputs(word, f);
			p = close;
		}
	}
	*at = *p == ';' ? p + 1 : p;
	if (fclose(f) != 0)
		return err_sys(e, PS_TEMPFAIL, "database");
	return 0;
}

int sql_make(struct sql *s, const char *text, struct err *e)
{
	int rc = 0;

	s->trouble = SQL_FINAL;
	while (rc == 0 && text[strspn(text, " \t\n")] != '\0') {
		char *one = NULL;

		rc = next_statement(s, &text, &one, e);
		if (rc == 0)
			rc = s->driver->plain(s, one, e);
		free(one);
	}
	return rc;
}

int sql_plain(struct sql *s, const char *text, struct err *e)
{
	s->trouble = SQL_FINAL;
	return s->driver->plain(s, text, e);
}

/* MariaDB ends a transaction with each change of a table. */
#define MAKE_LOCK "ps_config_schema"

int sql_make_begin(struct sql *s, struct err *e)
{
	int64_t got;
	int rc;

	if (!sql_is_mariadb(s))
		return sql_begin(s, SQL_WRITE, e);
	rc = sql_number(s, "SELECT GET_LOCK(?, ?)",
			SQL_ARGS(sql_text(MAKE_LOCK), sql_int(s->wait_s)), 0,
			&got, e);
	if (rc == 0 && got != 1)
		rc =
		    err_set(e, PS_TEMPFAIL,
			    "%s: another process changes its tables", s->where);
	return rc;
}

int sql_make_end(struct sql *s, bool commit, struct err *e)
{
	int64_t got;

	if (sql_is_mariadb(s))
		return sql_number(s, "SELECT RELEASE_LOCK(?)",
				  SQL_ARGS(sql_text(MAKE_LOCK)), 0, &got, e);
	if (commit) {
		int rc = sql_commit(s, e);

		if (rc == 0)
			return 0;
		sql_rollback(s);
		return rc;
	}
	sql_rollback(s);
	return 0;
}
