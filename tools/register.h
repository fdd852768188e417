/* What ps-config register and cdpcli --registermt share. */
#ifndef PS_TOOLS_REGISTER_H
#define PS_TOOLS_REGISTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define REGISTER_DIR LOCALSTATEDIR "/lib/ps-toolkit/identity"

struct register_ask {
	const char *dir; /* of the identity */
	const char *cs, *cs_port, *passphrase, *name, *role, *address, *alt,
	    *machine_id, *instance, *pin;
	uint64_t port; /* UINT64_MAX: not given */
	bool json;
};

/*
 * Registers this server; what is missing is asked for on a terminal. Prints a
 * line for each step. Does not return on misuse.
 */
int register_here(const struct register_ask *ask, struct err *e);

/* Of the configuration server. Does not return when it is none. */
void register_check_port(const char *port);

#endif
