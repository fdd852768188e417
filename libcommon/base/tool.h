/* What every program of the toolkit begins and ends with. */
#ifndef PS_BASE_TOOL_H
#define PS_BASE_TOOL_H

#include "base/err.h"

extern const char *tool_name;

/* First call of main(): name for messages, SIGPIPE off. */
void tool_init(const char *name);

/* "prog: words" on standard error; warnings are silent under -q. */
void tool_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same, only under -v. */
void tool_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Prints an error and its hint, and gives its exit code. */
int tool_fail(const struct err *e);
/* The same, then ends the program (standard output is flushed). */
_Noreturn void tool_die(const struct err *e);
/* "prog: words: strerror(errno)". Code 0: derived from errno. */
_Noreturn void tool_die_errno(int code, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Records that an answer could not be written to standard output (errno):
 * -PS_IOERR, or -PS_TEMPFAIL when the reader went away.
 */
int tool_no_output(struct err *e);

/*
 * Last call of main(): flushes and closes standard output; when that fails
 * (/dev/full) the result is not `code` but an error, which is said unless
 * tool_fail() has given the same reason before. Returns the exit code.
 */
int tool_finish(int code);

/* Prints name, version and the optional parts that are built in. */
void tool_version(void);

/*
 * Refuses (exit 64) to write binary data to a terminal.
 */
void tool_no_terminal(int fd, const char *what);

#endif
