/* How a packet is let pass that a firewall drops: the command to give. */
#ifndef PS_DOCTOR_OPENING_H
#define PS_DOCTOR_OPENING_H

#include "doctor/rules.h"

/* Beginning of the chains by which firewalld drops everything. */
#define FIREWALLD_PANIC "nft inet firewalld_policy_drop/"

/* What is dropped, and where. */
struct closed {
	char what[64];		/* "inbound TCP 9443" */
	char chain[CHAIN_NAME]; /* TABLE/CHAIN of the rule */
	struct packet packet;
	bool ufw; /* ufw(8) has made the rules */
};

void opening_say(const struct closed *c, char *out, unsigned size);

/* Is firewalld(1) there, and does it run? */
bool firewalld_runs(void);

#endif
