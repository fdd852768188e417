/* Where the parts of an installation lie. */
#ifndef PS_SETUP_PLACE_H
#define PS_SETUP_PLACE_H

#include "setup/choices.h"

#define PLACE_SIZE (2 * PATH_MAX)

/* The folder of the configuration: that of the system, below the root. */
void place_etc(const struct choices *c, char out[PLACE_SIZE]);
/* A path in the folder of the data; `name` empty: that folder. */
void place_data(const struct choices *c, const char *name,
		char out[PLACE_SIZE]);

/* There is a ps.yaml already. */
bool place_installed(const struct choices *c);

#endif
