/*
 * The small INI files of scripted installs: [sections], "Key = value" with or
 * without quotes, lines that begin with ';' or '#' are remarks. As printed
 * documentation has them, a line may begin with "* ". Names are compared
 * without regard to case and spaces ("Proxy IP" is "ProxyIP").
 */
#ifndef PS_BASE_INI_H
#define PS_BASE_INI_H

#include <stddef.h>

#include "base/err.h"

/*
 * Finds a value in a text. Returns 1 and copies it; 0 when it is not there;
 * -PS_DATA when a line before it is no INI or the value does not fit.
 */
int ini_get(const char *text, const char *section, const char *key, char *out,
	    size_t size, struct err *e);

/*
 * Holds a text against what it may have: one section, these keys (the last is
 * NULL), each once. -PS_DATA with the line in *ret_line when there is another
 * section or key, one twice, or a line that is no INI; *ret_line is 0 when the
 * section is not there at all.
 */
int ini_check(const char *text, const char *section, const char *const *keys,
	      unsigned *ret_line, struct err *e);

#endif
