/* Where the parts of an installation lie. */
#ifndef PS_SETUP_PLACE_H
#define PS_SETUP_PLACE_H

#include "setup/choices.h"

#define PLACE_SIZE (2 * PATH_MAX)

/* The folder of the configuration: that of the system, below the root. */
void place_etc(const struct choices *c, char out[PLACE_SIZE]);
/*
 * What is small and has its usual place: health, config, identity. That is
 * where units and ps-service look for it.
 */
void place_state(const struct choices *c, const char *name,
		 char out[PLACE_SIZE]);
/* A path in the folder that was chosen; `name` empty: that folder. */
void place_data(const struct choices *c, const char *name,
		char out[PLACE_SIZE]);

/*
 * What setup keeps for itself: root's own, so that nobody whom a service could
 * become has a hand in it. `name` empty: the folder.
 */
void place_keep(const struct choices *c, const char *name,
		char out[PLACE_SIZE]);

/* There is a ps.yaml already. */
bool place_installed(const struct choices *c);

#endif
