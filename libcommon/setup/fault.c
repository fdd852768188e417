#include "config.h"

#include <stdio.h>

#include <jansson.h>

#include "setup/fault.h"
#include "setup/flags.h"

int fault_note(struct fault *f, const char *id, const char *option,
	       const char *file)
{
	f->id = id;
	f->option = option;
	snprintf(f->file, sizeof(f->file), "%s", file != NULL ? file : "");
	return -f->err.code;
}

char *fault_json(const struct fault *f)
{
	json_t *o = json_pack(
	    "{s:s, s:s?, s:s?, s:o, s:s, s:s, s:i}", "error",
	    f->id != NULL ? f->id : "error", "flag",
	    f->option != NULL ? flag_original(f->option) : NULL, "file",
	    f->file[0] != '\0' ? f->file : NULL, "line",
	    f->line != 0 ? json_integer(f->line) : json_null(), "text",
	    f->err.msg, "hint", f->err.hint, "exit", f->err.code);
	char *text = json_dumps(o, JSON_COMPACT);

	json_decref(o);
	return text;
}
