/*
 * What has to run on which kind of server: one table, for ps-health and
 * ps-doctor. It is that of step 2 of "Troubleshoot the process server" in the
 * Azure Site Recovery documentation; doc/old-names.md has the old names.
 */
#ifndef PS_HEALTH_ROLES_H
#define PS_HEALTH_ROLES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/conf.h"

/* Sets of them are kept as bits. */
enum service {
	SERVICE_RECEIVE,
	SERVICE_PIPELINE,
	SERVICE_CONFIG,	   /* the configuration server */
	SERVICE_HEARTBEAT, /* tells the configuration server how we are */
	SERVICE_AGENT,
	SERVICES
};

/* "receive": in --services, in ps.yaml. */
const char *service_word(enum service s);
/* "ps-config serve": as one starts it. */
const char *service_name(enum service s);
/* "ps-config": its unit of systemd. */
const char *service_unit(enum service s);

struct role {
	const char *name;
	unsigned services; /* bits */
};

/* For OPT_CHOICE. */
#define ROLE_NAMES "standalone|configuration|failback|master-target|source"
#define ROLE_DEFAULT "standalone"

/* NULL: there is none of that name. */
const struct role *role_find(const char *name);

/* Nothing is received there: a source, a master target. */
bool role_has_agent(const char *name);

/*
 * "receive,pipeline" as bits; false: *ret_bad is the word that is none (it is
 * not ended: up to the next ',').
 */
bool services_parse(const char *list, unsigned *ret, const char **ret_bad);

/* The configuration server of ps.yaml; NULL: there is none. */
const char *role_config_server(const struct conf *c);

/*
 * The role that ps.yaml tells; without, who has config.listen is a
 * configuration server, and others have ROLE_DEFAULT.
 */
const char *role_of(const struct conf *c);

/*
 * What must run: `list` when it is not NULL (all of it must be words), else
 * what the table has for the role (NULL: role_of()). Where no configuration
 * server is named the table's heartbeat is left out.
 */
unsigned role_services(const struct conf *c, const char *role,
		       const char *list);

/* "ps-receive, ps-pipeline". */
void services_names(unsigned services, char *out, size_t size);

#endif
