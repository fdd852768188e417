/* The interfaces of this machine, and which one a packet takes. */
#ifndef PS_DOCTOR_INTERFACE_H
#define PS_DOCTOR_INTERFACE_H

#include <net/if.h>
#include <stdbool.h>

/* Is it an address (not a name) of this machine? */
bool interface_has(const char *host);

/*
 * The interface that has the address `host`, or by which it is reached. Of a
 * name, or of an address that stands for all, it is the one of the default
 * route; without such the only one that is up. Empty: not known.
 */
void interface_of(const char *host, char out[IFNAMSIZ]);

/*
 * The address of ours, as text, that packets to `host` (of IPv4, or an
 * address of IPv6) bear; empty: there is no way.
 */
void interface_source(const char *host, char *out, unsigned size);

#endif
