#include "config.h"

#include <ctype.h>
#include <string.h>

#include "base/name.h"

bool name_ok_n(const char *name, size_t len)
{
	size_t i;

	if (len < 1 || len > NAME_MAX_LEN)
		return false;
	for (i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c >= 128 || c == '\0')
			return false;
		if (!isalnum(c) && (i == 0 || strchr("-_.", c) == NULL))
			return false;
	}
	return true;
}

bool name_ok(const char *name)
{
	return name_ok_n(name, strlen(name));
}

int name_check(const char *what, const char *name, int code, struct err *e)
{
	if (name_ok(name))
		return 0;
	err_set(e, code, "%s name '%.80s': not a valid name", what, name);
	err_hint(e, "use 1 to 63 letters, digits, '-', '_', '.', beginning "
		    "with a letter or digit");
	return -code;
}
