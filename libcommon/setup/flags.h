/*
 * The flags of the original installer, "/ServerMode PS" in any letter case,
 * as words for an option table: "--server-mode=PS". The name of a flag is that
 * of the option without its dashes. Options of our own form are checked on the
 * way: a word that stands behind nothing, and what is given twice.
 */
#ifndef PS_SETUP_FLAGS_H
#define PS_SETUP_FLAGS_H

#include <stdbool.h>

#include "base/opt.h"
#include "setup/fault.h"

/* How the original writes an option's name; "--NAME" without its dashes for
 * ours. */
const char *flag_original(const char *option);

/* Does a flag or an option of this name stand anywhere? */
bool flags_have(int argc, char **argv, const char *option);

/*
 * The words for opt_parse(), allocated; *ret ends with NULL. `opts` ends with a
 * zero entry. -PS_USAGE: unknown, twice, without its value, or with one too
 * many.
 */
int flags_translate(const struct opt *opts, int argc, char **argv, int *ret_n,
		    char ***ret, struct fault *f);

#endif
