/*
 * What is installed: a file beside ps.yaml that gets its name together with
 * it. And what was begun and not finished: a file that is there meanwhile, in
 * a folder of root's own that also has copies for the way back:
 *
 *	installed.yaml		version, former, role, services
 *	ps-toolkit-setup/doing.yaml	what, from, to
 *	ps-toolkit-setup/0.1.0/		what version 0.1.0 had
 */
#ifndef PS_SETUP_RECORD_H
#define PS_SETUP_RECORD_H

#include "setup/place.h"

#define RECORD_FILE "installed.yaml"
/* What was installed before there was such a file. */
#define RECORD_FIRST "0.1.0"

struct record {
	char version[32];
	char former[32];    /* the version before; "": none, or no way back */
	char role[8];	    /* "cs", "ps" */
	char services[100]; /* that this version has started */
};

/* -PS_NOINPUT: nothing is installed; -PS_DATA: damaged. */
int record_read(const struct choices *c, struct record *ret, struct err *e);
/* The file, for free(3); NULL: no memory. */
char *record_text(const struct record *r);

struct doing {
	char what[16]; /* "upgrade", "rollback", "reregister"; "": nothing */
	char from[32], to[32];
};

/* Nothing was begun: empty. */
int doing_read(const struct choices *c, struct doing *ret, struct err *e);
int doing_write(const struct choices *c, const struct doing *d, struct err *e);
int doing_end(const struct choices *c, struct err *e);

#endif
