/*
 * Commands to an agent are files in the folder `control` of its state: they
 * work whether or not an agent runs, and outlive both.
 *
 *	paused, paused.DISK	no pass begins, one under way is ended
 *	rescan.DISK		the next pass reads the whole disk
 *	accept.DISK		another disk, or machine, than before is meant
 */
#ifndef PS_AGENT_CONTROL_H
#define PS_AGENT_CONTROL_H

#include <stdbool.h>

#include <sys/types.h>
#include <time.h>

#include "base/err.h"

struct control {
	int dirfd;
	int watch; /* inotify: readable when something changed; -1: none */
};

/* Makes the folder when it is missing. */
int control_open(struct control *c, int statefd, struct err *e);
void control_close(struct control *c);
/* Takes note of changes: the descriptor is not readable any more. */
void control_seen(struct control *c);

/* One that was asked for, to be told from a later one. */
struct control_ask {
	ino_t ino;
	struct timespec when;
};

/* `disk` NULL: all of the machine. */
int control_pause(struct control *c, const char *disk, struct err *e);
int control_resume(struct control *c, const char *disk, struct err *e);
int control_rescan(struct control *c, const char *disk, struct err *e);
/* Only that one: who asks for another while it lasts gets another. */
int control_rescan_done(struct control *c, const char *disk,
			const struct control_ask *which, struct err *e);

/* Also asks for the rescan that it needs. */
int control_accept(struct control *c, const char *disk, struct err *e);
int control_accept_done(struct control *c, const char *disk, struct err *e);

bool control_paused(const struct control *c, const char *disk);
bool control_wants_rescan(const struct control *c, const char *disk,
			  struct control_ask *which);
bool control_accepts(const struct control *c, const char *disk);

#endif
