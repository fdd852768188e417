/* What is no longer trusted after a failure. */
#include "config.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/agent.h"

/*
 * A pass whose end we did not see may have come to its end all the same: the
 * acknowledgement of its last part is found when the disk settles, and then
 * the dirty list forgets what that pass had read. A list of changes since the
 * snapshot before it would leave out a block that the pass had sent and that
 * has changed back since. So there is no base any more: all is read.
 */
void disk_distrust_base(struct disk *d)
{
	if (d->st->base[0] == '\0')
		return;
	if (d->keeps)
		disk_doom(d, d->st->base);
	d->st->base[0] = '\0';
	d->agent->changed = true;
}

/*
 * ps-scan says that data are damaged. A change list may be: without a base
 * there is none the next time. Else it is the map, in a place that settling
 * does not read; without it the disk is compared with the server's.
 */
void disk_distrust_map(struct disk *d, const struct task_result *r)
{
	bool scans = d->phase == DISK_SHRINK || d->phase == DISK_WINDOW ||
		     d->phase == DISK_LAST;
	char aside[PATH_MAX];

	if (r->code != PS_DATA || r->interrupted || d->listed ||
	    !(d->phase == DISK_LOOK ||
	      (scans && (r->stage == 0 || r->stage + 1 == d->task.plan.n))))
		return;
	snprintf(aside, sizeof(aside), "%s.damaged", d->map);
	/* It was made again, and that did not help: a disk that has shrunk. */
	if (access(aside, F_OK) == 0)
		return;
	if (rename(d->map, aside) == 0)
		agent_say(d->agent, d->conf->name,
			  "the map is damaged: it is now %s, and made again",
			  aside);
}

/* A pass went through with the map that is there now. */
void disk_trust_map(const struct disk *d)
{
	char aside[PATH_MAX];

	snprintf(aside, sizeof(aside), "%s.damaged", d->map);
	(void)unlink(aside);
}
