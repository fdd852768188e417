/*
 * ps.yaml as flat keys: nested mappings are joined with dots, sequences are
 * numbered ("vaults.0.url"), every value is text. Read by libyaml.
 */
#ifndef PS_BASE_CONF_H
#define PS_BASE_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct conf;

/*
 * Reads a file. -PS_CONFIG with a line number when it is not YAML, has a key
 * twice, uses an anchor or is over 1 MiB; -PS_NOINPUT when it does not exist.
 */
int conf_read(struct conf **ret, const char *path, struct err *e);
void conf_free(struct conf *c);

/* The value of a key; NULL when it is not there. */
const char *conf_get(const struct conf *c, const char *key);
/* Line of a key in the file, for messages; 0 when it is not there. */
unsigned conf_line(const struct conf *c, const char *key);
/* NULL when there is none. */
const char *conf_path(const struct conf *c);

/* Keys in the order of the file; NULL after the last. */
const char *conf_key(const struct conf *c, size_t i);

#endif
