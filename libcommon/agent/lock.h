/*
 * The lock of a state folder (LOCK_FILE): one agent works with it, and whoever
 * looks from outside learns so without asking that agent, and that it cannot
 * save its state: places of locks (F_OFD_SETLK) need no room on a full disk.
 */
#ifndef PS_AGENT_LOCK_H
#define PS_AGENT_LOCK_H

#include <stdbool.h>

#include "base/err.h"

/* The descriptor; -PS_TEMPFAIL: another agent holds it. `path`: for words. */
int lock_take(int dirfd, const char *path, struct err *e);

/* The state cannot be saved, with this errno; 0: it can. */
void lock_tell(int lockfd, int trouble);

/* Does an agent work? *ret_trouble is what it tells. */
bool lock_look(int dirfd, int *ret_trouble);

#endif
