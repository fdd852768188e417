/*
 * Registration of a process server or master target: one step after another,
 * so that what fails has a name (net/selftest.h has those that are alike):
 *
 *	resolve, tcp, tls, pin, login, clock, register, files
 */
#ifndef PS_CONFIG_JOIN_H
#define PS_CONFIG_JOIN_H

#include "config/identity.h"
#include "net/selftest.h"

struct join {
	const char *dir;	/* of the identity; made when missing */
	struct identity id;	/* name "": the host's; address "": ours */
	const char *passphrase; /* file; NULL: the key that it has */
	const char *pin;	/* of the configuration server, or NULL */
	const char *version;
	const char *instance; /* of several servers here, or NULL */
	int64_t wait_ns;      /* for each step */
};

/*
 * Fills in what a former registration in that folder has and the caller does
 * not; a cloned folder (another /etc/machine-id) is -PS_CONFIG.
 */
int join_prepare(struct join *j, struct err *e);

/*
 * Registers and stores the identity, durably. To do it again changes nothing
 * but what is new. `report` hears each step. -CODE of the one that failed:
 * resolve, tcp: 69; tls: 76; pin, login: 77; clock, version: 78; duplicate,
 * clone: 1; name: 64; database: 75.
 */
int join_run(struct join *j, selftest_fn *report, void *ctx, struct err *e);

#endif
