/* When bookmarks begin, and which disks are in them. */
#ifndef PS_AGENT_SCHEDULE_H
#define PS_AGENT_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

struct agent;

void schedule_begin(struct agent *a);
/* Begins what is due; returns when to look again (mono_now_ns). */
int64_t schedule_step(struct agent *a);
/* `once`: nothing runs any more; is there something left to ask for? */
bool schedule_once_over(struct agent *a);

#endif
