/*
 * The registry when it is in MariaDB: saved and put back by the programs that
 * come with that database (mariadb-dump, mariadb), with the tables themselves,
 * whatever version of ours made them.
 */
#ifndef PS_SETUP_FORMER_MARIADB_H
#define PS_SETUP_FORMER_MARIADB_H

#include "setup/steps.h"

/* Is it there, and are those programs here? */
bool mariadb_is_ours(const struct steps *s);
bool mariadb_can(void);

/* All tables as one file of a folder of root's own; wholly or not. */
int mariadb_save(const struct steps *s, const char *dir, const char *name,
		 struct err *e);
/* The database becomes what that file has; all else that is in it goes. To be
 * called again when it was killed. */
int mariadb_load(const struct steps *s, const char *dir, const char *name,
		 struct err *e);

#endif
