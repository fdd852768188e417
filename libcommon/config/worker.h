/*
 * The worker of the configuration server: takes requests apart, and passes
 * them on to the desk. It has no file and no database, and the desk knows who
 * it works for.
 *
 *	POST /v1/register, /v1/heartbeat, /v1/leave
 *	GET  /v1/news, /v1/machines/NAME, /v1/servers, /v1/status, /v1/jobs
 *	GET  /v1/time
 *
 * Bodies and answers are JSON: ps-config-api(5).
 */
#ifndef PS_CONFIG_WORKER_H
#define PS_CONFIG_WORKER_H

#include "net/server.h"

/* run() of struct server_work. */
int worker_run(struct server *s, int fd, int lent,
	       const struct keeper_notice *who, const char *peer);

#endif
