/*
 * Databases for tests of the registry: a folder of its own for SQLite, and a
 * real MariaDB server on a socket and a loopback port, in its own folder.
 */
#ifndef PS_TESTS_DATABASE_H
#define PS_TESTS_DATABASE_H

#include <stdbool.h>
#include <sys/types.h>

#include "config/registry.h"

/* One server for all tests of a program; begun when first asked for. */
struct server {
	char dir[128], socket[160];
	int port;
	pid_t pid; /* 0: does not run */
};
extern struct server server;

/* False: MariaDB is not installed here, or not built in. */
bool server_installed(void);
void server_start(void); /* and waits until it answers */
void server_begin(void); /* without waiting */
void server_stop(void);
void server_remove(void); /* with its folder */

/* A registry of its own for each test; `mariadb`: as MariaDB has it. */
struct place {
	bool mariadb;
	char dir[128], credentials[160], name[32];
	struct reg_where where;
	struct reg *reg; /* opened */
};
void place_make(struct place *p, bool mariadb);
void place_remove(struct place *p);
/* A second connection to it. */
struct reg *place_open(struct place *p);

/* The password that place_make() writes: with all that needs quoting. */
#define PLACE_PASSWORD "it's; a \\ \"password\" -- ü"

#endif
