/*
 * The registry of the configuration server: what is known of process
 * servers, master targets, machines, policies and accounts, and who changed
 * it. Never any replication data.
 *
 * Every change is one transaction that is made wholly or not, exactly once,
 * also when the database went away before it could answer: each carries an id
 * by which a lost answer is found out.
 */
#ifndef PS_CONFIG_REGISTRY_H
#define PS_CONFIG_REGISTRY_H

#include <stdbool.h>

#include "base/err.h"
#include "base/name.h"
#include "config/seal.h"
#include "config/sql.h"

#define REG_TEXT_SIZE 256
#define REG_WAIT_S 90 /* a database that was started anew is back by then */
#define REG_DATABASE "ps_config"

/* Where it lies. Text is borrowed during the call. */
struct reg_where {
	const char *dir; /* of the key file, and of SQLite's file */
	/* File with [MySQLCredentials]: then it is MariaDB. */
	const char *credentials;
	const char *host; /* as in struct sql_target */
	const char *name; /* of the database, and of its user */
	const char *ca;
	unsigned wait_s;
	/* reg_init(): the key file has to be there, as for a backup. */
	bool need_key;
};

struct reg {
	struct sql *db;
	struct seal seal;
	char who[REG_TEXT_SIZE]; /* in the audit log */
	bool changing;		 /* within reg_change() */
};

/*
 * Makes what is not there yet: folder, key file, database and its user,
 * tables. To do it again changes nothing. With MariaDB it needs
 * MySQLRootPassword, which may be taken out of the file afterwards; the user
 * is given MySQLUserPassword. -PS_CONFIG: the database is sealed with another
 * key file (copy that of the other server).
 */
int reg_init(struct reg **ret, const struct reg_where *w, const char *who,
	     struct err *e);

/* -PS_NOINPUT: there is none (ps-config init); -PS_CONFIG as above. */
int reg_open(struct reg **ret, const struct reg_where *w, const char *who,
	     struct err *e);
void reg_close(struct reg *r); /* NULL is allowed */

/*
 * Runs `fn` in a transaction with no other writer beside it. It is run again
 * from the beginning when the database was lost, so it must do nothing but
 * change the registry, and set its outputs anew each time. Repeats until
 * wait_s are over: -PS_TEMPFAIL then. Within another change it is a part of
 * that one: both come or neither.
 */
typedef int reg_fn(struct reg *r, void *ctx, struct err *e);
int reg_change(struct reg *r, reg_fn *fn, void *ctx, struct err *e);

/* Goes up with each change. */
int reg_revision(struct reg *r, int64_t *ret, struct err *e);

/* ---- for the functions that make the changes ---- */

/* Writes the audit log; within reg_change(). detail: "rpo 15m -> 30m". */
int reg_audit(struct reg *r, const char *what, const char *object,
	      struct err *e, const char *detail, ...)
    __attribute__((format(printf, 5, 6)));

/* sql_run() of which nothing is wanted but that it worked. */
int reg_run(struct reg *r, const char *text, const struct sql_value *args,
	    unsigned nargs, struct err *e);

/* "policy 'gold': there is none" (-PS_NO), "... is there already" (-PS_NO) */
int reg_missing(struct err *e, const char *what, const char *name);
int reg_there(struct err *e, const char *what, const char *name);

/*
 * 1 to 63 letters, digits and hyphens, of which the first and the last are
 * none: the rule for names of servers, machines and policies. -PS_USAGE.
 */
int reg_name_check(const char *what, const char *name, struct err *e);

/* Takes a character off the end that was cut in the middle. */
void reg_text_cut(char *text);
/*
 * Somebody else's words (UTF-8), cut to `size`, for a terminal or a log: what
 * could steer it becomes "?".
 */
void reg_text_clean(char *out, size_t size, const char *words);
/* One line of UTF-8 of less than `size` bytes. -PS_USAGE. */
int reg_text_check(const char *what, const char *text, size_t size,
		   struct err *e);

/* ---- the audit log ---- */

struct reg_audit_line {
	int64_t id, time; /* ns */
	const char *who, *what, *object, *detail;
};
typedef int reg_audit_fn(void *ctx, const struct reg_audit_line *l,
			 struct err *e);

/* The newest `limit` lines (0: all) of one object or (NULL) all, oldest first.
 */
int reg_audit_each(struct reg *r, const char *object, uint64_t limit,
		   reg_audit_fn *fn, void *ctx, struct err *e);

#endif
