/*
 * One small layer over the databases that can hold the registry: SQLite
 * (3.37 or newer, for STRICT tables) and MariaDB or MySQL. Parameters are
 * always bound, results are rows of typed values; who uses it does not know
 * which of the two it is.
 *
 * A transaction that was not committed is gone when the connection is. So a
 * caller repeats it from its beginning when sql_trouble() says that this may
 * help; registry.c is the one who does.
 */
#ifndef PS_CONFIG_SQL_H
#define PS_CONFIG_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum sql_type { SQL_NULL, SQL_INT, SQL_TEXT, SQL_BLOB };

/* Of a row: valid until the callback returns; text ends in a NUL. */
struct sql_value {
	enum sql_type type;
	int64_t i;
	const void *p;
	size_t n; /* bytes of p, without the NUL */
};

static inline struct sql_value sql_int(int64_t i)
{
	return (struct sql_value){.type = SQL_INT, .i = i};
}
static inline struct sql_value sql_blob(const void *p, size_t n)
{
	return (struct sql_value){.type = SQL_BLOB, .p = p, .n = n};
}
/* NULL and "" are both NULL in the database: nothing is known. */
struct sql_value sql_text(const char *text);
/* 0 becomes NULL: for times that have not come. */
struct sql_value sql_time(int64_t ns);

/* sql_run(s, "...", SQL_ARGS(sql_int(1), sql_text("a")), e) */
#define SQL_ARGS(...)                                                          \
	(const struct sql_value[]){__VA_ARGS__},                               \
	    sizeof((const struct sql_value[]){__VA_ARGS__}) /                  \
		sizeof(struct sql_value)
#define SQL_NO_ARGS NULL, 0

struct sql_row {
	unsigned n;
	const char *const *names;
	const struct sql_value *values;
};

/* The value as a number (0 when it is none), as text ("" when it is none). */
int64_t sql_get_int(const struct sql_row *row, unsigned i);
const char *sql_get_text(const struct sql_row *row, unsigned i);
/* Copies text; what does not fit is cut. */
void sql_copy_text(const struct sql_row *row, unsigned i, char *out,
		   size_t size);

/* A result other than 0 ends the list and is its result. */
typedef int sql_row_fn(void *ctx, const struct sql_row *row, struct err *e);

/* Where the database is. All text is copied. */
struct sql_target {
	const char *path; /* of the SQLite file; NULL: MariaDB */
	bool create;	  /* SQLite: make the file when it is missing */
	const char
	    *host; /* "HOST", "HOST:PORT", "/SOCKET"; NULL: the default */
	const char *user, *password; /* NULL: none */
	const char *name;	     /* of the database; NULL: none yet */
	const char *ca;	 /* who signs the server's certificate: then TLS is a
			    must; NULL: TLS when the server offers it */
	unsigned wait_s; /* how long to wait for the database or a lock */
};

struct sql;

/*
 * Opens or connects. -PS_TEMPFAIL: not reached, or locked, for wait_s;
 * -PS_NOPERM: refused; -PS_NOINPUT: no such file; -PS_DATA: not a database;
 * -PS_CONFIG: MariaDB is not built in, the database is not there.
 */
int sql_open(struct sql **ret, const struct sql_target *t, struct err *e);
void sql_close(struct sql *s); /* NULL is allowed; rolls back */
/* Another wait_s, from the next operation on. */
void sql_set_wait(struct sql *s, unsigned wait_s);

bool sql_is_mariadb(const struct sql *s);
/* Is the connection encrypted? NULL: no, else the cipher. */
const char *sql_cipher(const struct sql *s);
/* The TCP port that it is connected to; 0: a file, or a socket. */
unsigned sql_port(const struct sql *s);
/* "SQLite FILE", "MariaDB NAME at HOST" */
const char *sql_where(const struct sql *s);

/*
 * Runs one statement with its parameters ("?"). Returns how many rows it
 * changed. Outside a transaction a lost connection is made anew and a read
 * repeated; changes belong into a transaction. A full disk is -PS_TEMPFAIL,
 * an fsync that failed -PS_STORAGE, a damaged file -PS_DATA.
 */
int64_t sql_run(struct sql *s, const char *text, const struct sql_value *args,
		unsigned nargs, struct err *e);
/* The same for each row of the answer. */
int sql_each(struct sql *s, const char *text, const struct sql_value *args,
	     unsigned nargs, sql_row_fn *fn, void *ctx, struct err *e);
/* One number: the first column of the only row; `none` without a row. */
int sql_number(struct sql *s, const char *text, const struct sql_value *args,
	       unsigned nargs, int64_t none, int64_t *ret, struct err *e);
/* The id that the last INSERT was given. */
int64_t sql_last_id(const struct sql *s);

/*
 * Runs statements that make or change tables, separated by ';'. Words in
 * braces become what the database calls them:
 *
 *	{id}	a number that counts itself, the primary key
 *	{int}	64 bits	    {name} text of at most 63 characters
 *	{word}	text of at most 255	{text}, {blob}	at most 16 MiB
 *	{end}	what stands behind the last bracket of a table
 *
 * MariaDB commits each; one that was done already is passed over.
 */
int sql_make(struct sql *s, const char *text, struct err *e);
/* One such statement as it stands, with a secret in it. */
int sql_plain(struct sql *s, const char *text, struct err *e);
/* Holds the right to change tables, against other processes. */
int sql_make_begin(struct sql *s, struct err *e);
int sql_make_end(struct sql *s, bool commit, struct err *e);

enum sql_mode {
	SQL_READ,  /* one unchanging view */
	SQL_WRITE, /* SQLite: waits until it is the only writer */
};

int sql_begin(struct sql *s, enum sql_mode mode, struct err *e);
int sql_commit(struct sql *s, struct err *e);
void sql_rollback(struct sql *s);

/* Why the last call failed, for who may repeat a transaction. */
enum sql_trouble {
	SQL_FINAL, /* repeating does not help */
	SQL_LOST,  /* the connection broke: sql_reconnect() */
	SQL_AGAIN, /* two got in each other's way; this one was undone */
};
enum sql_trouble sql_trouble(const struct sql *s);

/* Connects again, trying until `deadline` (monotonic ns). */
int sql_reconnect(struct sql *s, int64_t deadline, struct err *e);
/* When an operation that begins now has to give up. */
int64_t sql_deadline(const struct sql *s);

/* A text in quotes, for the few statements that take no parameters. */
int sql_quote(struct sql *s, const char *text, char *out, size_t size,
	      struct err *e);

#endif
