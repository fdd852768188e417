/*
 * One value of a ps.yaml that people may have edited: the line that has it is
 * exchanged, all others stay as they are, remarks too.
 */
#ifndef PS_SETUP_YAML_EDIT_H
#define PS_SETUP_YAML_EDIT_H

#include "base/err.h"

/*
 * The text with `BLOCK.KEY` set, for free(3). A key that is not there is added
 * to the block, a block to the end. -PS_CONFIG: it stands there in a way that
 * this cannot change ("config: {server: ...}").
 */
int yaml_edit(const char *text, const char *block, const char *key,
	      const char *value, char **ret, struct err *e);
/* The same, in the place of *text, which is for free(3). */
int yaml_set(char **text, const char *block, const char *key, const char *value,
	     struct err *e);

#endif
