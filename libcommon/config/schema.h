/*
 * The tables of the registry and how they came about: one text for each
 * version, applied in order. A version that was published is never edited;
 * a change is a new one at the end. It adds tables, and columns that may be
 * missing: a backup of an older version is entered as it is.
 */
#ifndef PS_CONFIG_SCHEMA_H
#define PS_CONFIG_SCHEMA_H

#include "config/sql.h"

/* The statements of each version (see sql_make()), from version 1 on. */
extern const char *const schema_texts[];
extern const unsigned schema_newest;

/* All tables that hold what people entered; who refers comes later. */
extern const char *const schema_tables[]; /* NULL behind the last */

/* The version of a database; 0: it has no tables. */
int schema_version(struct sql *s, unsigned *ret, struct err *e);

/*
 * -PS_CONFIG: the database has tables, but of somebody else: ours would mix
 * with them.
 */
int schema_check_foreign(struct sql *s, struct err *e);

/*
 * Brings the database to version `n` of `texts`. Several processes may do so
 * at once. With SQLite all versions come or none; with MariaDB what was cut
 * off is finished the next time. -PS_CONFIG: the database is newer than that.
 */
int schema_migrate(struct sql *s, const char *const *texts, unsigned n,
		   struct err *e);

#endif
