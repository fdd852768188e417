/*
 * ps-agent check: everything that keeps an agent from its work and can be seen
 * before it runs, at once, not one thing after the other.
 */
#ifndef PS_AGENT_CHECK_H
#define PS_AGENT_CHECK_H

#include "agent/agent-conf.h"

/*
 * Tells each thing that is wrong with the configuration, the files it names,
 * the hooks, providers and sources. Nothing is changed. Returns 0, or the
 * gravest code: 78 before 77 before what else there was.
 */
int agent_check(const char *path, agent_told *told);

/*
 * A hook or provider: -PS_CONFIG when it is not there or no program,
 * -PS_NOPERM when anybody could put another one in its place.
 */
int agent_program_ok(const char *path, struct err *e);

#endif
