/* What `ps-agent status` prints: from the state file, no agent is asked. */
#ifndef PS_AGENT_STATUS_H
#define PS_AGENT_STATUS_H

#include <stdio.h>

#include "agent/agent-conf.h"

/* -PS_NOINPUT: there is no state folder yet. */
int status_print(const struct agent_conf *c, bool json, FILE *f, struct err *e);

#endif
