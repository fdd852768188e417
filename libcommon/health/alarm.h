/*
 * Tells somebody: runs a command for each event of the book. The command is
 * the administrator's own (mail, syslog, a webhook).
 */
#ifndef PS_HEALTH_ALARM_H
#define PS_HEALTH_ALARM_H

#include "health/events.h"

#define ALARM_SECONDS 30 /* then the command is killed */

/*
 * Runs `sh -c command` with PS_EVENT (raised, changed, acknowledged,
 * cleared), PS_LEVEL, PS_ALERT (its key), PS_WHAT and PS_TIME in its
 * environment. 0, or -PS_UNAVAILABLE when it could not be run, failed, or
 * took too long.
 */
int alarm_run(const char *command, const struct event *ev, struct err *e);

#endif
