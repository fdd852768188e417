#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "config/sql-driver.h"

#define COLUMNS_MAX 32

/* The exit code that fits a result of SQLite; sys: its errno or 0. */
static int code_of(int result, int sys)
{
	switch (result & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_FULL: /* room may come back */
	case SQLITE_NOMEM:
		return PS_TEMPFAIL;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_TOOBIG:
		return PS_DATA;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return PS_NOPERM;
	case SQLITE_IOERR:
		if (result == SQLITE_IOERR_FSYNC ||
		    result == SQLITE_IOERR_DIR_FSYNC)
			return PS_STORAGE;
		return sys != 0 ? err_code_of(sys) : PS_IOERR;
	case SQLITE_CANTOPEN:
		return sys != 0 ? err_code_of(sys) : PS_NOINPUT;
	default:
		return PS_SOFTWARE;
	}
}

static int failed(struct sql *s, int result, struct err *e)
{
	sqlite3 *db = s->handle;
	int sys = db != NULL ? sqlite3_system_errno(db) : 0;
	int code = code_of(result, sys), rc;
	bool tell_sys = (result & 0xff) == SQLITE_IOERR && sys != 0;

	rc = err_set(e, code, "%s: %s%s%s", s->where,
		     db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(result),
		     tell_sys ? ": " : "", tell_sys ? strerror(sys) : "");
	if ((result & 0xff) == SQLITE_BUSY)
		err_hint(e, "another process was writing for %u s", s->wait_s);
	else if (code == PS_TEMPFAIL)
		err_hint(e, "nothing was changed; make room, then try again");
	else if ((result & 0xff) == SQLITE_CORRUPT ||
		 (result & 0xff) == SQLITE_NOTADB)
		err_hint(e, "put it and what is named after it aside, then: "
			    "ps-config restore BACKUP");
	if (e != NULL)
		e->sys = (result & 0xff) == SQLITE_FULL ? ENOSPC : sys;
	return rc;
}

static void sqlite_disconnect(struct sql *s)
{
	sqlite3_close(s->handle);
	s->handle = NULL;
}

static int sqlite_plain(struct sql *s, const char *text, struct err *e)
{
	int result = sqlite3_exec(s->handle, text, NULL, NULL, NULL);

	return result == SQLITE_OK ? 0 : failed(s, result, e);
}

/* Made by us, so that nobody else can read it for a moment. */
static int make_file(const struct sql *s, struct err *e)
{
	int fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(e, 0, "%s", s->path);
	close(fd);
	return 0;
}

static int sqlite_connect(struct sql *s, struct err *e)
{
	sqlite3 *db = NULL;
	int result, rc = 0;

	if (s->create)
		rc = make_file(s, e);
	/* SQLite would say no more than that it cannot open it. */
	else if (faccessat(AT_FDCWD, s->path, R_OK | W_OK, AT_EACCESS) < 0)
		rc = err_sys(e, 0, "%s", s->path);
	if (rc < 0)
		return rc;
	result = sqlite3_open_v2(
	    s->path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	s->handle = db;
	if (result != SQLITE_OK)
		rc = failed(s, result, e);
	if (rc == 0) {
		sqlite3_extended_result_codes(db, 1);
		sqlite3_busy_timeout(db, (int)s->wait_s * 1000);
		/* FULL: a commit is on stable storage when it returns. */
		rc = sqlite_plain(s,
				  "PRAGMA journal_mode = WAL;"
				  "PRAGMA synchronous = FULL;"
				  "PRAGMA foreign_keys = ON;"
				  "PRAGMA trusted_schema = OFF;"
				  /* The desk has no other folder. */
				  "PRAGMA temp_store = MEMORY;"
				  "PRAGMA secure_delete = ON",
				  e);
	}
	if (rc < 0)
		sqlite_disconnect(s);
	return rc;
}

static int bind(sqlite3_stmt *st, int at, const struct sql_value *v)
{
	switch (v->type) {
	case SQL_INT:
		return sqlite3_bind_int64(st, at, v->i);
	case SQL_TEXT:
		return sqlite3_bind_text(st, at, v->p, (int)v->n,
					 SQLITE_STATIC);
	case SQL_BLOB:
		return sqlite3_bind_blob(st, at, v->n > 0 ? v->p : "",
					 (int)v->n, SQLITE_STATIC);
	default:
		return sqlite3_bind_null(st, at);
	}
}

static struct sql_value column(sqlite3_stmt *st, int i)
{
	struct sql_value v = {.type = SQL_NULL};

	switch (sqlite3_column_type(st, i)) {
	case SQLITE_INTEGER:
		return sql_int(sqlite3_column_int64(st, i));
	case SQLITE_TEXT:
		v.type = SQL_TEXT;
		v.p = sqlite3_column_text(st, i);
		break;
	case SQLITE_BLOB:
		v.type = SQL_BLOB;
		v.p = sqlite3_column_blob(st, i);
		break;
	default:
		return v;
	}
	v.n = (size_t)sqlite3_column_bytes(st, i);
	return v;
}

static int give_row(sqlite3_stmt *st, sql_row_fn *fn, void *ctx, struct err *e)
{
	struct sql_value values[COLUMNS_MAX];
	const char *names[COLUMNS_MAX];
	int i, n = sqlite3_column_count(st);
	struct sql_row row = {(unsigned)n, names, values};

	for (i = 0; i < n; i++) {
		names[i] = sqlite3_column_name(st, i);
		values[i] = column(st, i);
	}
	return fn(ctx, &row, e);
}

static int64_t sqlite_run(struct sql *s, const char *text,
			  const struct sql_value *args, unsigned nargs,
			  sql_row_fn *fn, void *ctx, struct err *e)
{
	sqlite3_stmt *st = NULL;
	int result = sqlite3_prepare_v2(s->handle, text, -1, &st, NULL);
	int64_t rc = 0;
	unsigned i;

	for (i = 0; i < nargs && result == SQLITE_OK; i++)
		result = bind(st, (int)i + 1, &args[i]);
	if (result == SQLITE_OK && sqlite3_column_count(st) > COLUMNS_MAX)
		result = SQLITE_TOOBIG;
	if (result == SQLITE_OK)
		result = sqlite3_step(st);
	while (rc == 0 && result == SQLITE_ROW) {
		if (fn != NULL)
			rc = give_row(st, fn, ctx, e);
		if (rc == 0)
			result = sqlite3_step(st);
	}
	if (rc == 0 && result != SQLITE_DONE)
		rc = failed(s, result, e);
	else if (rc == 0 && fn == NULL)
		rc = sqlite3_changes(s->handle);
	sqlite3_finalize(st);
	return rc;
}

static int64_t sqlite_last_id(const struct sql *s)
{
	return sqlite3_last_insert_rowid(s->handle);
}

static const char *sqlite_cipher(const struct sql *s)
{
	(void)s;
	return NULL;
}

static unsigned sqlite_port(const struct sql *s)
{
	(void)s;
	return 0;
}

const struct sql_driver sql_sqlite = {
    .words = {"INTEGER PRIMARY KEY AUTOINCREMENT", "INTEGER", "TEXT", "TEXT",
	      "TEXT", "BLOB"},
    .end = "STRICT",
    .connect = sqlite_connect,
    .disconnect = sqlite_disconnect,
    .run = sqlite_run,
    .plain = sqlite_plain,
    .last_id = sqlite_last_id,
    .cipher = sqlite_cipher,
    .port = sqlite_port,
    .begin = {"BEGIN", "BEGIN IMMEDIATE"},
};
