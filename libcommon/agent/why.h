/*
 * Why a source is behind: ps-health(1) why, asked at the machine that is
 * protected. The answer has the form of that of a process server.
 */
#ifndef PS_AGENT_WHY_H
#define PS_AGENT_WHY_H

#include "agent/agent-conf.h"
#include "health/why.h"

/*
 * -PS_NOINPUT: no agent has run here, or it has no such disk (NULL: all). The
 * result is freed by why_free().
 */
int agent_why(const struct agent_conf *c, const char *machine, const char *disk,
	      struct why *ret, struct err *e);

#endif
