/*
 * The supervisor of one service: a process of its own that starts it, starts
 * it again when it fails (after 1, 2, 4 ... 60 times the unit's RestartSec,
 * a minute at most, unless the exit code is final), writes its log, hears its
 * readiness (sd_notify(3)) and watchdog, and ends it in order on SIGTERM.
 * When the supervisor itself is killed, the kernel tells the service to end;
 * the next start waits for that, see service_end_leftovers().
 */
#ifndef PS_SERVICE_SUPERVISE_H
#define PS_SERVICE_SUPERVISE_H

#include "service/place.h"
#include "service/unit.h"

enum supervise_started {
	STARTED_READY,	 /* it runs */
	STARTED_ALREADY, /* it ran before */
	STARTED_LATER,	 /* it failed, and is tried again */
};

/*
 * Starts a supervisor that outlives this process and waits until the service
 * is ready. Else -CODE, the exit code of the service when it failed for good;
 * the words are then the last of its log.
 */
int supervise_start(const struct place *p, const struct unit *u,
		    enum supervise_started *ret, struct err *e);

/*
 * Ends service and supervisor, and waits for it. -PS_NO: it did not run.
 */
int supervise_stop(const struct place *p, const struct unit *u, struct err *e);

#endif
