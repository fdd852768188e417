/*
 * Names of machines, disks and bookmarks. They become file names, object
 * names and URL parts, so one strict rule serves everywhere: 1 to 63 of
 * letters, digits, '-', '_' and '.', beginning with a letter or digit.
 */
#ifndef PS_BASE_NAME_H
#define PS_BASE_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define NAME_MAX_LEN 63
#define NAME_SIZE (NAME_MAX_LEN + 1)

bool name_ok(const char *name);
bool name_ok_n(const char *name, size_t len);

/* The same with words: `what` is "machine", "disk", ... */
int name_check(const char *what, const char *name, int code, struct err *e);

#endif
