#include "config.h"

#include <stdio.h>
#include <unistd.h>

#include "setup/place.h"

static const char *root_of(const struct choices *c)
{
	return c->root != NULL ? c->root : "";
}

void place_etc(const struct choices *c, char out[PLACE_SIZE])
{
	snprintf(out, PLACE_SIZE, "%s%s/ps-toolkit", root_of(c), SYSCONFDIR);
}

void place_data(const struct choices *c, const char *name, char out[PLACE_SIZE])
{
	snprintf(out, PLACE_SIZE, "%s%s%s%s", root_of(c), c->dir,
		 *name != '\0' ? "/" : "", name);
}

void place_state(const struct choices *c, const char *name,
		 char out[PLACE_SIZE])
{
	snprintf(out, PLACE_SIZE, "%s" LOCALSTATEDIR "/lib/ps-toolkit/%s",
		 root_of(c), name);
}

void place_keep(const struct choices *c, const char *name, char out[PLACE_SIZE])
{
	snprintf(out, PLACE_SIZE,
		 "%s" LOCALSTATEDIR "/lib/ps-toolkit-setup%s%s", root_of(c),
		 *name != '\0' ? "/" : "", name);
}

bool place_installed(const struct choices *c)
{
	char etc[PLACE_SIZE], path[PLACE_SIZE + 16];

	place_etc(c, etc);
	snprintf(path, sizeof(path), "%s/ps.yaml", etc);
	return access(path, F_OK) == 0;
}
