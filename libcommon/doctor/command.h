/* Runs a program to read what it says: never a shell, always a deadline. */
#ifndef PS_DOCTOR_COMMAND_H
#define PS_DOCTOR_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct command {
	const char *const *argv; /* ends in NULL; looked for in PATH */
	unsigned seconds;	 /* then it is killed */
	size_t max;		 /* bytes of its output that are kept */
};

/*
 * *ret: standard output and error together, with a NUL, for free(3).
 * *ret_status: its exit status, or 128 + signal. -PS_NOINPUT: there is no such
 * program; -PS_UNAVAILABLE: it took too long.
 */
int command_run(const struct command *c, char **ret, int *ret_status,
		struct err *e);

/* Is there such a program, and does it end with 0, within 10 seconds? */
bool command_succeeds(const char *const *argv);

#endif
