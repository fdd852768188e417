/*
 * What programs of an agent may take from the machine: niceness, priority of
 * disk access, a share of the processor (cgroup version 2).
 */
#ifndef PS_AGENT_LIMITS_H
#define PS_AGENT_LIMITS_H

#include <stddef.h>

#include "agent/agent-conf.h"

struct limits {
	int nice, ionice;
	int procs; /* cgroup.procs of the limited group; -1: none */
};

/*
 * Makes a control group for the programs when a share is asked for. Words in
 * `why` when that is not possible here; nothing else can fail.
 */
void limits_open(struct limits *l, const struct agent_conf *c, char *why,
		 size_t size);
void limits_close(struct limits *l);

/* In a child, before its program begins: ctx is a struct limits. */
void limits_apply(void *ctx);
/* The same for a provider that makes a change list: no file of its own gets
 * larger than LIMITS_LIST_FILE bytes. */
#define LIMITS_LIST_FILE (256ull * 1024 * 1024)
void limits_apply_list(void *ctx);

#endif
