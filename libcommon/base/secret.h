/* Files that hold secrets, and a process that holds them. */
#ifndef PS_BASE_SECRET_H
#define PS_BASE_SECRET_H

#include <stddef.h>

#include "base/err.h"

/*
 * Reads a secret file whole into `buf` (a NUL is added; at most size - 1
 * bytes) and gives its length. Refused (-PS_NOPERM) when others than its
 * owner can read it, as ssh does. It is a text: the mark with which UTF-8 may
 * begin is left out, UTF-16 is refused (-PS_DATA).
 */
int secret_read(const char *path, char *buf, size_t size, size_t *ret_len,
		struct err *e);

/*
 * Takes a secret out of the environment: a copy for free(3), NULL when it is
 * not set or empty. It is overwritten where it stood, so that children and
 * /proc/PID/environ do not have it.
 */
char *secret_from_env(const char *name);

/* Takes the newline or spaces at the end off a line of text. */
void secret_trim(char *text);

/* Overwrites memory so that no optimiser leaves it out. */
void secret_wipe(void *p, size_t n);

/* No core dumps, no reading of this process by others of the same user. */
void secret_harden_process(void);

#endif
