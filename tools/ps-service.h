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

/* Since when it runs; 0: it does not. */
int64_t service_since(const struct place *p, const struct unit *u);

struct conf;
/*
 * The services that run since before the files that they read at their start
 * (certificate, key, passphrase) were written. `p` NULL: under systemd.
 */
void service_renewed(const struct place *p, const struct conf *conf,
		     const struct units *all, struct chosen *ret);

/* Is systemd in charge of this machine? */
bool systemd_is_here(void);
/* start, stop, restart, enable, disable by systemctl(1); its exit status. */
int systemd_do(const char *what, const struct chosen *c, struct err *e);
/* Jobs that run end, and nothing is in the state "failed" any more. */
void systemd_forget(const struct chosen *c);
int64_t systemd_since(const struct unit *u);
int systemd_status(const struct chosen *c, bool json, struct err *e);

#endif
