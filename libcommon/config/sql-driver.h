/* Private to config/sql*.c: what a database has to be able to do. */
#ifndef PS_CONFIG_SQL_DRIVER_H
#define PS_CONFIG_SQL_DRIVER_H

#include "config/sql.h"

struct sql_driver {
	const char *words[6]; /* for {id} {int} {name} {word} {text} {blob} */
	const char *end;
	int (*connect)(struct sql *s, struct err *e);
	void (*disconnect)(struct sql *s);
	/* fn NULL: no rows are wanted. Returns rows changed, or fn's result. */
	int64_t (*run)(struct sql *s, const char *text,
		       const struct sql_value *args, unsigned nargs,
		       sql_row_fn *fn, void *ctx, struct err *e);
	/* One statement without parameters. */
	int (*plain)(struct sql *s, const char *text, struct err *e);
	int64_t (*last_id)(const struct sql *s);
	const char *(*cipher)(const struct sql *s);
	unsigned (*port)(const struct sql *s); /* sql_port() */
	/* `out` has room for twice as much; NULL: not needed there. */
	size_t (*escape)(struct sql *s, const char *text, char *out);
	const char *begin[2]; /* by enum sql_mode */
};

struct sql {
	const struct sql_driver *driver;
	void *handle; /* sqlite3 * or MYSQL *; NULL: not connected */
	bool in_tx;
	enum sql_trouble trouble;
	unsigned wait_s;
	bool create;
	char *path, *host, *user, *password, *name, *ca;
	char where[300];
};

extern const struct sql_driver sql_sqlite;
#ifdef HAVE_MARIADB
extern const struct sql_driver sql_mariadb;
#endif

#endif
