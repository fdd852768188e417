/*
 * What has to pass firewalls for a server: for the people of the network, and
 * for the firewall of this machine (nftables, firewalld).
 */
#ifndef PS_SETUP_OPENINGS_H
#define PS_SETUP_OPENINGS_H

#include <stdio.h>

#include "setup/choices.h"

#define OPENINGS_MAX 12

struct opening {
	bool inbound;
	bool store;	/* outbound: of the vault; by the proxy, if any */
	unsigned port;	/* TCP */
	char url[1100]; /* outbound: where to; empty: see `who` */
	char who[100];	/* inbound: from whom */
	char what[100]; /* what it is for */
};

struct openings {
	struct opening items[OPENINGS_MAX];
	unsigned n;
	char address[INET_ADDRSTRLEN]; /* that sources come to; may be empty */
	char proxy[300]; /* outbound URLs go by it; empty: directly */
};

/* After choices_read() and preflight_address(). */
void openings_of(const struct choices *c, struct openings *ret);
/* A text that can be mailed as it is. */
void openings_print(const struct openings *o, const struct choices *c, FILE *f);
/* The same as one object, for free(3); NULL: no memory. */
char *openings_json(const struct openings *o, const struct choices *c);

/*
 * Lets the inbound ports in: by firewalld where it runs, else by a rule at the
 * head of each chain of nftables that drops them. Each command is told when it
 * was done. `dry`: told only. Returns how many were needed, or -CODE:
 * -PS_NOPERM, -PS_NOINPUT (no such program), -PS_UNAVAILABLE (it failed),
 * -PS_CONFIG (what drops them is of another kind).
 */
int openings_apply(const struct openings *o, bool dry,
		   void (*tell)(void *ctx, const char *command), void *ctx,
		   struct err *e);

#endif
