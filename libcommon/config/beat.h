/*
 * The heartbeat of a process server: says how it is, hears what is wanted of
 * it, and does that: comes at once, renews its certificate, leaves.
 */
#ifndef PS_CONFIG_BEAT_H
#define PS_CONFIG_BEAT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define BEAT_RETRY_S 5	    /* the configuration server is not there: first, */
#define BEAT_RETRY_MAX_S 60 /* and at most */

struct beat {
	const char *dir;    /* of the identity (identity.h) */
	const char *health; /* of ps-health, once it is there; or NULL */
	const char *cache;  /* of the process server, or NULL */
	const char *version;
	const char *machine_id; /* NULL: that of machine and instance */
	const char *instance;	/* of several servers here, or NULL */
	json_t *(*vaults)(
	    void);	     /* the URLs of its vaults now; NULL: not told */
	uint64_t interval_s; /* 0: as the configuration server says */
	bool once;
};

/*
 * Sends heartbeats until SIGTERM or SIGINT (0), or one. -PS_NO: the
 * configuration server does not know this server any more; -PS_CONFIG: it is
 * a clone. What may pass is told and tried again, unless `once`.
 */
int beat_run(const struct beat *b, struct err *e);

#endif
