/*
 * Copies of what an upgrade exchanges, for the way back: ps.yaml, the record,
 * and the registry (SQLite's file, or MariaDB's tables as its own programs
 * write them), in a folder that has the version's name. Keys and secrets are
 * not among them: an upgrade leaves them alone, and they may have been changed
 * since, on both sides.
 */
#ifndef PS_SETUP_FORMER_H
#define PS_SETUP_FORMER_H

#include "setup/steps.h"

/* The folder of a version's copies. */
void former_dir(const struct choices *c, const char *version,
		char out[PLACE_SIZE]);
/* Are they all there? */
bool former_complete(const struct choices *c, const char *version);

/* Steps: s->keep is the folder. Copies that are complete stay as they are. */
step_fn former_keep, former_keep_registry, former_forget;
/* The registry as it was then; no service may run. */
step_fn former_registry;
/*
 * The registry of a version that is left, for who wants to look into it later;
 * and back again, if it was set aside.
 */
int former_set_aside(struct steps *s, const char *version, struct err *e);
int former_take_again(struct steps *s, const char *version, struct err *e);
/*
 * A mark in s->keep while tables of MariaDB are changed or put back, which is
 * no transaction: who finds it puts the copy back first, whatever is there.
 */
bool former_is_half(const struct steps *s);
int former_begin_half(const struct steps *s, struct err *e);
int former_end_half(const struct steps *s, struct err *e);
/* Was a copy of the registry kept? */
bool former_has_registry(const struct choices *c, const char *version);
/* A file of then, for free(3); NULL with errno. */
char *former_file(const struct choices *c, const char *version,
		  const char *name);

/* Where SQLite's file is; "": the registry is in MariaDB, or elsewhere. */
void former_database(const struct steps *s, char out[PLACE_SIZE]);

#endif
