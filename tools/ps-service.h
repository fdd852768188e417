/* Private to ps-service. */
#ifndef PS_TOOLS_PS_SERVICE_H
#define PS_TOOLS_PS_SERVICE_H

#include "service/place.h"
#include "service/unit.h"

struct chosen {
	const struct unit
	    *list[UNIT_MAX]; /* in the order in which they start */
	unsigned n;
};

/* Prints how they are. PS_NO: not all of them run. */
int service_status(const struct place *p, const struct chosen *c, bool json,
		   struct err *e);

/* Is systemd in charge of this machine? */
bool systemd_is_here(void);
/* start, stop, restart by systemctl(1); its exit status. */
int systemd_do(const char *what, const struct chosen *c, struct err *e);
int systemd_status(const struct chosen *c, bool json, struct err *e);

#endif
