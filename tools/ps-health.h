/* Private to ps-health: commands in files of their own. */
#ifndef PS_TOOLS_PS_HEALTH_H
#define PS_TOOLS_PS_HEALTH_H

#include "health/gather.h"
#include "health/rules.h"

/* What the options say to those who look. */
struct looking {
	int dirfd; /* folder of samples and alerts; -1: there is none */
	struct gather gather;
	struct rules rules;
	bool json;
};

/*
 * Names what holds replication back, of all, of a machine or of one disk.
 * 0: not behind; 1: behind; -CODE.
 */
int cmd_why(const struct looking *l, const char *machine, const char *disk,
	    struct err *e);

#endif
