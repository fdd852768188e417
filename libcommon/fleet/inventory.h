/*
 * A fleet: process servers and the machines that they protect. Read from YAML
 * or JSON (which is YAML), written as JSON of the same form, so that a plan
 * can be planned on. The form stands in ps-balance(1).
 */
#ifndef PS_FLEET_INVENTORY_H
#define PS_FLEET_INVENTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/name.h"

#define NO_SERVER (-1)

enum server_state {
	SERVER_HEALTHY,
	SERVER_WARNING,
	SERVER_CRITICAL, /* keeps its machines, takes no new ones */
	SERVER_SILENT,	 /* no heartbeat: its machines have to go */
};

struct server {
	char name[NAME_SIZE];
	enum server_state state;
	bool config;	   /* also the configuration server */
	unsigned cores;	   /* 0: not said */
	uint64_t memory;   /* bytes */
	uint64_t cache;	   /* bytes of the cache's disk */
	uint64_t churn;	   /* it may take in a day: given, or by its size */
	unsigned machines; /* it may take: given, or by its size */
};

struct machine {
	char name[NAME_SIZE];
	uint64_t churn; /* bytes in a day */
	int server;	/* index, or NO_SERVER */
	bool pinned;	/* stays where it is */
};

struct fleet {
	struct server *servers;
	size_t nservers;
	struct machine *machines;
	size_t nmachines;
};

/*
 * Reads all of a stream; `name` is for messages, which have line numbers.
 * -PS_DATA when it is not YAML, has unknown keys, a name twice, a machine on a
 * server that is not there. At most a million machines on 10,000 servers.
 */
int fleet_read(struct fleet *ret, FILE *in, const char *name, struct err *e);
void fleet_free(struct fleet *f);

const char *server_state_name(enum server_state s);

#endif
