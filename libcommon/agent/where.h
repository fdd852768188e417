/*
 * Where the process server of this machine is. The configuration server says
 * so (agent.yaml: config-server), when the agent begins, now and then, and at
 * once when the process server says that the machine has moved, or is not
 * reached. What was learned is kept in the state, so that nobody is needed
 * for the agent to begin again. Without a configuration server it is what
 * agent.yaml says. A machine that is disabled there rests: no pass begins
 * until it is enabled again. Its policy says how often bookmarks are
 * application-consistent, unless agent.yaml does.
 */
#ifndef PS_AGENT_WHERE_H
#define PS_AGENT_WHERE_H

#include "agent/backoff.h"
#include "agent/state.h"
#include "agent/task.h"

#define WHERE_DISABLED                                                         \
	"the machine is disabled at the configuration server: nothing is "     \
	"sent until it is enabled again"

struct agent;

struct where {
	struct task task;
	struct backoff wait;	   /* after a failure */
	struct agent_place answer; /* of the task under way */
	bool answered, nobody;	   /* nobody: it belongs to no server yet */
	bool off;		   /* it is not to be protected any more */
	uint64_t app_s;		   /* of its policy; 0: none */
	bool tried;		   /* an answer came, or none */
	int64_t asked;		   /* when the last one began */
	int64_t next;		   /* mono_now_ns */
	char port[8];		   /* of the configuration server */
};

void where_begin(struct agent *a);
/* Asks when that is due; returns when to look again. */
int64_t where_step(struct agent *a, int64_t now);
/* Seconds between application-consistent bookmarks; 0: there are none. */
uint64_t where_app_s(const struct agent *a);
/* May anything be asked of the process server? */
bool where_ready(const struct agent *a);
/* The process server is not what it was: asks soon. */
void where_doubt(struct agent *a);

#endif
