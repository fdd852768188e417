#include "config.h"

#include <stdio.h>

#include "base/tool.h"
#include "print-json.h"

int print_json(json_t *j, struct err *e)
{
	int rc = 0;

	if (j == NULL)
		return err_set(e, PS_TEMPFAIL, "no memory for the answer");
	if (json_dumpf(j, stdout, JSON_INDENT(2)) < 0 || putchar('\n') == EOF)
		rc = tool_no_output(e);
	json_decref(j);
	return rc;
}
