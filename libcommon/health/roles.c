#include "config.h"

#include <stdio.h>
#include <string.h>

#include "health/roles.h"

#define BIT(s) (1u << SERVICE_##s)

static const struct {
	const char *word, *name, *unit;
} services[SERVICES] = {
    [SERVICE_RECEIVE] = {"receive", "ps-receive", "ps-receive"},
    [SERVICE_PIPELINE] = {"pipeline", "ps-pipeline", "ps-pipeline"},
    [SERVICE_CONFIG] = {"config", "ps-config serve", "ps-config"},
    [SERVICE_HEARTBEAT] = {"heartbeat", "ps-config heartbeat", "ps-heartbeat"},
    [SERVICE_AGENT] = {"agent", "ps-agent", "ps-agent"},
};

/*
 * The published rows: process server on the configuration server, standalone,
 * in Azure for failback (without what talks to the configuration server). A
 * master target and a source have the agent alone.
 */
static const struct role roles[] = {
    {ROLE_DEFAULT, BIT(RECEIVE) | BIT(PIPELINE) | BIT(HEARTBEAT)},
    {"configuration",
     BIT(RECEIVE) | BIT(PIPELINE) | BIT(HEARTBEAT) | BIT(CONFIG)},
    {"failback", BIT(RECEIVE) | BIT(PIPELINE)},
    {"master-target", BIT(AGENT) | BIT(HEARTBEAT)},
    {"source", BIT(AGENT)},
};

const char *service_word(enum service s)
{
	return services[s].word;
}

const char *service_name(enum service s)
{
	return services[s].name;
}

const char *service_unit(enum service s)
{
	return services[s].unit;
}

const struct role *role_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (strcmp(roles[i].name, name) == 0)
			return &roles[i];
	return NULL;
}

bool role_has_agent(const char *name)
{
	const struct role *r = role_find(name);

	return r != NULL && (r->services & BIT(AGENT)) != 0;
}

/* The service that a word of that length names; SERVICES: none. */
static unsigned service_of(const char *word, size_t n)
{
	unsigned s = 0;

	while (s < SERVICES && (strlen(services[s].word) != n ||
				strncmp(services[s].word, word, n) != 0))
		s++;
	return s;
}

bool services_parse(const char *list, unsigned *ret, const char **ret_bad)
{
	unsigned s;
	size_t n;

	*ret = 0;
	for (; *list != '\0'; list += n + (list[n] == ',')) {
		n = strcspn(list, ",");
		if (n == 0)
			continue;
		s = service_of(list, n);
		if (s == SERVICES) {
			*ret_bad = list;
			return false;
		}
		*ret |= 1u << s;
	}
	return true;
}

const char *role_config_server(const struct conf *c)
{
	const char *host = c != NULL ? conf_get(c, "config.server") : NULL;

	return host != NULL && *host != '\0' ? host : NULL;
}

const char *role_of(const struct conf *c)
{
	const char *role = c != NULL ? conf_get(c, "health.role") : NULL;

	if (role != NULL)
		return role;
	return c != NULL && conf_get(c, "config.listen") != NULL
		   ? "configuration"
		   : ROLE_DEFAULT;
}

unsigned role_services(const struct conf *c, const char *role, const char *list)
{
	const struct role *r;
	const char *bad;
	unsigned set;

	if (list != NULL && services_parse(list, &set, &bad))
		return set;
	r = role_find(role != NULL ? role : role_of(c));
	set = (r != NULL ? r : &roles[0])->services;
	if (role_config_server(c) == NULL)
		set &= ~BIT(HEARTBEAT);
	return set;
}

void services_names(unsigned set, char *out, size_t size)
{
	size_t n = 0;
	unsigned s;

	out[0] = '\0';
	for (s = 0; s < SERVICES; s++)
		if ((set & (1u << s)) != 0 && n < size)
			n += (size_t)snprintf(out + n, size - n, "%s%s",
					      n > 0 ? ", " : "",
					      services[s].name);
}
