#include "config.h"

#include <errno.h>
#ifdef HAVE_MARIADB

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <errmsg.h>
#include <mysql.h>
#include <mysqld_error.h>

#include "base/secret.h"
#include "base/units.h"
#include "config/sql-driver.h"

#define COLUMNS_MAX 32
#define VALUE_MAX (16UL * 1024 * 1024)
#define CONNECT_S 5
#define ANSWER_S 30 /* for one statement, beyond waiting for locks */
#define ANSWER_MIN_S 5

static enum sql_trouble trouble_of(unsigned number)
{
	switch (number) {
	case CR_SERVER_GONE_ERROR:
	case CR_SERVER_LOST:
	case CR_SERVER_LOST_EXTENDED:
	case CR_CONNECTION_ERROR:
	case CR_CONN_HOST_ERROR:
	case CR_SOCKET_CREATE_ERROR:
	case CR_IPSOCK_ERROR:
	case ER_CON_COUNT_ERROR:
	case ER_SERVER_SHUTDOWN:
	case ER_NORMAL_SHUTDOWN:
	case ER_CONNECTION_KILLED:
		return SQL_LOST;
	case ER_LOCK_DEADLOCK:
	case ER_LOCK_WAIT_TIMEOUT:
		return SQL_AGAIN;
	default:
		return SQL_FINAL;
	}
}

static int code_of(unsigned number)
{
	if (trouble_of(number) != SQL_FINAL)
		return PS_TEMPFAIL;
	switch (number) {
	case ER_ACCESS_DENIED_ERROR:
	case ER_ACCESS_DENIED_NO_PASSWORD_ERROR:
	case ER_DBACCESS_DENIED_ERROR:
	case ER_TABLEACCESS_DENIED_ERROR:
	case ER_SPECIFIC_ACCESS_DENIED_ERROR:
	case ER_HOST_NOT_PRIVILEGED:
		return PS_NOPERM;
	case ER_BAD_DB_ERROR:
	case ER_OPTION_PREVENTS_STATEMENT: /* --read-only */
	case CR_UNKNOWN_HOST:
		return PS_CONFIG;
	case ER_DISK_FULL:
	case ER_RECORD_FILE_FULL:
	case ER_OUT_OF_RESOURCES:
	case ER_OUTOFMEMORY:
	case CR_OUT_OF_MEMORY:
		return PS_TEMPFAIL;
	case CR_SSL_CONNECTION_ERROR:
		return PS_PROTOCOL;
	case ER_DUP_ENTRY:
	case ER_DATA_TOO_LONG:
	case ER_BAD_NULL_ERROR:
	case ER_ROW_IS_REFERENCED_2:
	case ER_NO_REFERENCED_ROW_2:
		return PS_DATA;
	default:
		return PS_SOFTWARE;
	}
}

/*
 * Who hangs or ends while TLS begins is told as an error of TLS, with the
 * connection's own in words alone; but that one is away, and does TLS well.
 */
static unsigned real_error(unsigned number, const char *words)
{
	static const int away[] = {ETIMEDOUT, ECONNRESET, EPIPE};
	size_t i;

	if (number != CR_SSL_CONNECTION_ERROR)
		return number;
	for (i = 0; i < sizeof(away) / sizeof(away[0]); i++)
		if (strstr(words, strerror(away[i])) != NULL)
			return CR_SERVER_LOST;
	return number;
}

static int failed(struct sql *s, unsigned told, const char *words,
		  struct err *e)
{
	unsigned number = real_error(told, words);
	int rc =
	    err_set(e, code_of(number), "%s: %s (%u)", s->where, words, number);

	s->trouble = trouble_of(number);
	if (e != NULL &&
	    (number == ER_DISK_FULL || number == ER_RECORD_FILE_FULL))
		e->sys = ENOSPC;
	return rc;
}

static int failed_here(struct sql *s, struct err *e)
{
	MYSQL *db = s->handle;

	return failed(s, mysql_errno(db), mysql_error(db), e);
}

static int failed_in(struct sql *s, MYSQL_STMT *st, struct err *e)
{
	return failed(s, mysql_stmt_errno(st), mysql_stmt_error(st), e);
}

/* ---- connection ---- */

static void my_disconnect(struct sql *s)
{
	if (s->handle != NULL)
		mysql_close(s->handle);
	s->handle = NULL;
}

/*
 * One that hangs is not there either: who would wait for a short time only,
 * gives a statement no more than twice that.
 */
static unsigned answer_time(unsigned wait_s)
{
	if (wait_s >= ANSWER_S)
		return ANSWER_S + wait_s;
	return 2 * wait_s > ANSWER_MIN_S ? 2 * wait_s : ANSWER_MIN_S;
}

static void set_options(const struct sql *s, MYSQL *db, bool tls)
{
	unsigned connect_s = CONNECT_S, answer_s = answer_time(s->wait_s);
	unsigned none = 0;
	my_bool yes = 1;

	mysql_optionsv(db, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
	mysql_optionsv(db, MYSQL_OPT_READ_TIMEOUT, &answer_s);
	mysql_optionsv(db, MYSQL_OPT_WRITE_TIMEOUT, &answer_s);
	mysql_optionsv(db, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	/* A server that is not ours must not ask for files of this machine. */
	mysql_optionsv(db, MYSQL_OPT_LOCAL_INFILE, &none);
	if (!tls)
		return;
	mysql_optionsv(db, MYSQL_OPT_SSL_ENFORCE, &yes);
	if (s->ca != NULL) {
		mysql_optionsv(db, MYSQL_OPT_SSL_CA, s->ca);
		mysql_optionsv(db, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes);
	}
}

/* "HOST", "HOST:PORT", "[V6]:PORT", "/SOCKET" */
static void split_host(const char *text, char host[256], unsigned *port)
{
	const char *colon = strrchr(text, ':');
	uint64_t n = 0;

	*port = 0;
	if (colon != NULL && (text[0] == '[' || strchr(text, ':') == colon) &&
	    parse_u64(colon + 1, 65535, &n))
		*port = (unsigned)n;
	else
		colon = NULL;
	snprintf(host, 256, "%.*s", colon != NULL ? (int)(colon - text) : 255,
		 text);
	if (host[0] == '[' && host[strlen(host) - 1] == ']') {
		host[strlen(host) - 1] = '\0';
		memmove(host, host + 1, strlen(host));
	}
}

static int connect_once(struct sql *s, bool tls, struct err *e)
{
	MYSQL *db = mysql_init(NULL);
	char host[256] = "";
	unsigned port = 0;
	bool socket = s->host != NULL && s->host[0] == '/';
	unsigned tcp = MYSQL_PROTOCOL_TCP;

	if (db == NULL)
		return err_set(e, PS_TEMPFAIL, "%s: no memory", s->where);
	s->handle = db;
	set_options(s, db, tls);
	if (s->host != NULL && !socket)
		split_host(s->host, host, &port);
	if (port != 0) /* else "localhost" is a socket */
		mysql_optionsv(db, MYSQL_OPT_PROTOCOL, &tcp);
	if (mysql_real_connect(db, host[0] != '\0' ? host : NULL, s->user,
			       s->password, s->name, port,
			       socket ? s->host : NULL,
			       CLIENT_FOUND_ROWS) != NULL)
		return 0;
	return failed_here(s, e);
}

/* Over a socket of this machine nobody listens. */
static bool is_local(const struct sql *s)
{
	return s->host == NULL || s->host[0] == '/' ||
	       strcmp(s->host, "localhost") == 0;
}

static int greet(struct sql *s, struct err *e)
{
	char text[200];

	/* Nothing is cut to fit; a wait for a lock has an end. */
	snprintf(text, sizeof(text),
		 "SET SESSION sql_mode = 'STRICT_ALL_TABLES,"
		 "NO_ENGINE_SUBSTITUTION', innodb_lock_wait_timeout = %u, "
		 "time_zone = '+00:00'",
		 s->wait_s > 0 ? s->wait_s : 1);
	return mysql_real_query(s->handle, text, strlen(text)) == 0
		   ? 0
		   : failed_here(s, e);
}

static int my_connect(struct sql *s, struct err *e)
{
	bool tls = s->ca != NULL || !is_local(s);
	int rc = connect_once(s, tls, e);

	/* A server without TLS is taken as it is, unless a CA was given. */
	if (rc == -PS_PROTOCOL && s->ca == NULL) {
		my_disconnect(s);
		rc = connect_once(s, false, e);
	}
	if (rc == 0)
		rc = greet(s, e);
	if (rc < 0)
		my_disconnect(s);
	if (rc == -PS_NOPERM)
		err_hint(e, "see the user's password in the credentials file");
	return rc;
}

static const char *my_cipher(const struct sql *s)
{
	return s->handle != NULL ? mysql_get_ssl_cipher(s->handle) : NULL;
}

static unsigned my_port(const struct sql *s)
{
	struct sockaddr_storage a;
	socklen_t n = sizeof(a);

	if (s->handle == NULL || getpeername((int)mysql_get_socket(s->handle),
					     (struct sockaddr *)&a, &n) < 0)
		return 0;
	if (a.ss_family == AF_INET)
		return ntohs(((struct sockaddr_in *)&a)->sin_port);
	return a.ss_family == AF_INET6
		   ? ntohs(((struct sockaddr_in6 *)&a)->sin6_port)
		   : 0;
}

/* ---- statements ---- */

static bool done_before(unsigned number)
{
	return number == ER_TABLE_EXISTS_ERROR || number == ER_DUP_FIELDNAME ||
	       number == ER_DUP_KEYNAME || number == ER_DUP_ENTRY ||
	       number == ER_CANT_DROP_FIELD_OR_KEY;
}

static int my_plain(struct sql *s, const char *text, struct err *e)
{
	if (mysql_real_query(s->handle, text, strlen(text)) == 0 ||
	    done_before(mysql_errno(s->handle)))
		return 0;
	return failed_here(s, e);
}

static void bind_args(MYSQL_BIND *b, const struct sql_value *args, unsigned n)
{
	unsigned i;

	memset(b, 0, sizeof(*b) * COLUMNS_MAX);
	for (i = 0; i < n; i++) {
		const struct sql_value *v = &args[i];

		b[i].buffer_length = v->n;
		switch (v->type) {
		case SQL_INT:
			b[i].buffer_type = MYSQL_TYPE_LONGLONG;
			b[i].buffer = (void *)&v->i;
			break;
		case SQL_TEXT:
			b[i].buffer_type = MYSQL_TYPE_STRING;
			b[i].buffer = (void *)v->p;
			break;
		case SQL_BLOB:
			b[i].buffer_type = MYSQL_TYPE_BLOB;
			b[i].buffer = (void *)v->p;
			break;
		default:
			b[i].buffer_type = MYSQL_TYPE_NULL;
		}
	}
}

/* An answer: where its columns are put. */
struct answer {
	unsigned n;
	const char *names[COLUMNS_MAX];
	bool is_int[COLUMNS_MAX], is_blob[COLUMNS_MAX];
	MYSQL_BIND bind[COLUMNS_MAX];
	int64_t numbers[COLUMNS_MAX];
	unsigned long length[COLUMNS_MAX];
	my_bool null[COLUMNS_MAX];
	struct sql_value values[COLUMNS_MAX];
};

static bool is_number(enum enum_field_types t)
{
	return t == MYSQL_TYPE_TINY || t == MYSQL_TYPE_SHORT ||
	       t == MYSQL_TYPE_LONG || t == MYSQL_TYPE_LONGLONG ||
	       t == MYSQL_TYPE_INT24 || t == MYSQL_TYPE_NEWDECIMAL;
}

#define CHARSET_BINARY 63

/* max_length is known, because the whole answer was fetched. */
static bool bind_answer(struct answer *a, MYSQL_RES *meta)
{
	unsigned i;

	a->n = mysql_num_fields(meta);
	for (i = 0; i < a->n; i++) {
		const MYSQL_FIELD *f = mysql_fetch_field_direct(meta, i);
		MYSQL_BIND *b = &a->bind[i];

		a->names[i] = f->name;
		a->is_int[i] = is_number(f->type);
		a->is_blob[i] = f->charsetnr == CHARSET_BINARY;
		b->is_null = &a->null[i];
		b->length = &a->length[i];
		if (a->is_int[i]) {
			b->buffer_type = MYSQL_TYPE_LONGLONG;
			b->buffer = &a->numbers[i];
			continue;
		}
		b->buffer_type = MYSQL_TYPE_STRING;
		if (f->max_length > VALUE_MAX)
			return false;
		b->buffer_length = f->max_length + 1;
		b->buffer = calloc(1, b->buffer_length);
		if (b->buffer == NULL)
			return false;
	}
	return true;
}

static void free_answer(struct answer *a)
{
	unsigned i;

	for (i = 0; i < a->n; i++)
		if (!a->is_int[i] && a->bind[i].buffer != NULL) {
			/* It may have been a secret. */
			secret_wipe(a->bind[i].buffer,
				    a->bind[i].buffer_length);
			free(a->bind[i].buffer);
		}
}

static void take_values(struct answer *a)
{
	unsigned i;

	for (i = 0; i < a->n; i++) {
		struct sql_value *v = &a->values[i];

		*v = (struct sql_value){.type = SQL_NULL};
		if (a->null[i])
			continue;
		if (a->is_int[i]) {
			*v = sql_int(a->numbers[i]);
			continue;
		}
		v->type = a->is_blob[i] ? SQL_BLOB : SQL_TEXT;
		v->p = a->bind[i].buffer;
		v->n = a->length[i];
		((char *)a->bind[i].buffer)[v->n] = '\0';
	}
}

static int give_rows(struct sql *s, MYSQL_STMT *st, struct answer *a,
		     sql_row_fn *fn, void *ctx, struct err *e)
{
	struct sql_row row = {a->n, a->names, a->values};
	int rc = 0, got;

	while (rc == 0) {
		got = mysql_stmt_fetch(st);
		if (got == MYSQL_NO_DATA)
			break;
		if (got != 0)
			return got == MYSQL_DATA_TRUNCATED
				   ? err_set(e, PS_SOFTWARE,
					     "%s: a value was cut", s->where)
				   : failed_in(s, st, e);
		take_values(a);
		rc = fn(ctx, &row, e);
	}
	return rc;
}

static int read_answer(struct sql *s, MYSQL_STMT *st, sql_row_fn *fn, void *ctx,
		       struct err *e)
{
	struct answer *a = calloc(1, sizeof(*a));
	MYSQL_RES *meta = NULL;
	my_bool yes = 1;
	int rc = 0;

	mysql_stmt_attr_set(st, STMT_ATTR_UPDATE_MAX_LENGTH, &yes);
	if (mysql_stmt_store_result(st) != 0)
		rc = failed_in(s, st, e);
	else if (a == NULL || (meta = mysql_stmt_result_metadata(st)) == NULL ||
		 mysql_num_fields(meta) > COLUMNS_MAX || !bind_answer(a, meta))
		rc = err_set(e, PS_SOFTWARE, "%s: no room for the answer",
			     s->where);
	else if (mysql_stmt_bind_result(st, a->bind) != 0)
		rc = failed_in(s, st, e);
	else if (fn != NULL)
		rc = give_rows(s, st, a, fn, ctx, e);
	if (a != NULL)
		free_answer(a);
	if (meta != NULL)
		mysql_free_result(meta);
	free(a);
	return rc;
}

static int64_t my_run(struct sql *s, const char *text,
		      const struct sql_value *args, unsigned nargs,
		      sql_row_fn *fn, void *ctx, struct err *e)
{
	MYSQL_BIND bind[COLUMNS_MAX];
	MYSQL_STMT *st = mysql_stmt_init(s->handle);
	int64_t rc = 0;

	if (st == NULL || nargs > COLUMNS_MAX)
		rc = err_set(e, PS_SOFTWARE, "%s: statement", s->where);
	else {
		bind_args(bind, args, nargs);
		if (mysql_stmt_prepare(st, text, strlen(text)) != 0 ||
		    (nargs > 0 && mysql_stmt_bind_param(st, bind) != 0) ||
		    mysql_stmt_execute(st) != 0)
			rc = failed_in(s, st, e);
	}
	if (rc == 0 && mysql_stmt_field_count(st) > 0)
		rc = read_answer(s, st, fn, ctx, e);
	else if (rc == 0 && fn == NULL)
		rc = (int64_t)mysql_stmt_affected_rows(st);
	if (st != NULL)
		mysql_stmt_close(st);
	return rc;
}

static int64_t my_last_id(const struct sql *s)
{
	return (int64_t)mysql_insert_id(s->handle);
}

static size_t my_escape(struct sql *s, const char *text, char *out)
{
	return mysql_real_escape_string(s->handle, out, text, strlen(text));
}

const struct sql_driver sql_mariadb = {
    .words = {"BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY", "BIGINT",
	      "VARCHAR(63)", "VARCHAR(255)", "MEDIUMTEXT", "MEDIUMBLOB"},
    .end = "ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 "
	   "COLLATE = utf8mb4_bin",
    .connect = my_connect,
    .disconnect = my_disconnect,
    .run = my_run,
    .plain = my_plain,
    .last_id = my_last_id,
    .cipher = my_cipher,
    .port = my_port,
    .escape = my_escape,
    .begin = {"START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
	      "START TRANSACTION"},
};

#endif
