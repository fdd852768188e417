/* What a heartbeat says of a server's health and of its machines. */
#ifndef PS_CONFIG_HEALTH_WORD_H
#define PS_CONFIG_HEALTH_WORD_H

#include <jansson.h>

#include "base/err.h"

/*
 * As ps-health check --format json says of the folder `state` (NULL: nothing
 * is known); `machines`: for each of its machines {"machine", "state",
 * "lag_s", "stored", "point"}, where `stored` is the time of the newest point
 * that all its disks have. Both are the caller's. What is not known is null:
 * a heartbeat without health is better than none. -PS_TEMPFAIL: no memory.
 */
int health_word(const char *state, json_t **health, json_t **machines,
		struct err *e);

#endif
