/*
 * The fleet on one screen: who can be recovered to when, what is slipping,
 * when each server was heard.
 */
#ifndef PS_CONFIG_STATUS_H
#define PS_CONFIG_STATUS_H

#include <jansson.h>

#include "config/registry.h"

#define STATUS_OK "ok"
#define STATUS_WARNING "warning"
#define STATUS_CRITICAL "critical"

/*
 * {"time", "level", "servers": [{"name", "role", "level", "what", "state",
 * "contact", "silent_s", "version", "machines", "health", "clock_s",
 * "certificate"}], "machines": [{"machine", "level", "what", "state",
 * "server", "policy", "stored", "behind_s", "lag_s", "rpo_s"}]}: the caller's.
 * A server that was silent for 15 minutes is critical, code 806.
 */
int status_make(struct reg *r, int64_t now_ns, json_t **ret, struct err *e);

#endif
