/* What tools that answer in JSON share. */
#ifndef PS_TOOLS_PRINT_JSON_H
#define PS_TOOLS_PRINT_JSON_H

#include <jansson.h>

#include "base/err.h"

/* Prints and frees a value; -PS_TEMPFAIL when it could not be made (NULL). */
int print_json(json_t *j, struct err *e);

#endif
