/* Private to unifiedsetup. */
#ifndef PS_TOOLS_UNIFIEDSETUP_H
#define PS_TOOLS_UNIFIEDSETUP_H

#include <jansson.h>

#include "setup/steps.h"

/* What is done to an installation that is there. */
enum later { LATER_NONE, UPGRADE, ROLLBACK, REREGISTER, UNINSTALL };

struct later_ask {
	const struct choices *c;
	bool json, dry_run;
	struct remove_how how;
	struct reregister again;
};

/* Plans, does or tells it: the exit code. */
int later_run(enum later what, const struct later_ask *a);

/* One step, as a line or into a list of JSON. */
void tell_action(void *ctx, const struct action *a, const struct err *e);

#endif
