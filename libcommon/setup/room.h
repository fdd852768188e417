/*
 * A full disk. To take steps back files have to be written, so some room is
 * held while steps are done, without a name: a kill gives it back, too.
 */
#ifndef PS_SETUP_ROOM_H
#define PS_SETUP_ROOM_H

#include "setup/steps.h"

#define ROOMS 2 /* where the configuration is, and where the state */

struct room {
	int fd[ROOMS]; /* -1: none */
};

/*
 * Takes as much as the way back may need. -PS_TEMPFAIL: there is not so much
 * left. A file system that holds no room is no failure.
 */
int room_take(struct room *r, const struct steps *s, struct err *e);
/* Gives it back; harmless when it is done again. */
void room_give(struct room *r);

/*
 * When that failed for want of room: what to do, and what the same command does
 * then ("goes on here").
 */
void room_hint(struct err *e, const char *then);

#endif
