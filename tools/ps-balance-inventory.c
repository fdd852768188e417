/*
 * ps-balance inventory: the fleet as the registry has it, in the form that
 * `plan` reads. What servers can take and machines change is what the servers
 * told with their last heartbeat.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/conf.h"
#include "base/opt.h"
#include "base/tool.h"
#include "base/units.h"
#include "config/contacts.h"
#include "config/identity.h"
#include "config/machines.h"
#include "fleet/sizes.h"
#include "print-json.h"
#include "ps-balance.h"

struct inventory {
	json_t *servers, *machines;
	json_t *churn;	     /* by server: by machine, bytes a day */
	size_t unknown;	     /* machines of which none is known */
	char own[NAME_SIZE]; /* that of the configuration server itself */
};

/* ---- servers ---- */

const char *server_health(const struct reg_server *s, const json_t *health)
{
	const char *level = json_string_value(json_object_get(health, "level"));

	if (strcmp(server_state(s, time_now_ns()), "ok") != 0)
		return "silent";
	if (level != NULL && strcmp(level, "critical") == 0)
		return "critical";
	return level != NULL && strcmp(level, "warning") == 0 ? "warning"
							      : "healthy";
}

/* Limits follow from these three; who has not told them may take the most. */
static void add_size(json_t *server, const json_t *health)
{
	const json_t *host = json_object_get(health, "host");
	json_int_t cores = json_integer_value(json_object_get(host, "cores")),
		   memory = json_integer_value(
		       json_object_get(host, "memory_bytes")),
		   cache = json_integer_value(json_object_get(
		       json_object_get(health, "figures"), "cache_size_bytes"));

	if (cores <= 0 || memory <= 0 || cache <= 0) {
		const struct server_size *most = &sizes_process[SIZES - 1];

		json_object_set_new(server, "max-churn",
				    json_integer((json_int_t)most->churn));
		json_object_set_new(server, "max-machines",
				    json_integer(most->machines));
		return;
	}
	json_object_set_new(server, "cores", json_integer(cores));
	json_object_set_new(server, "memory", json_integer(memory));
	json_object_set_new(server, "cache", json_integer(cache));
}

/* Of a machine: the sum of its disks, unless nothing is known of one. */
static json_t *churn_of(const json_t *health)
{
	json_t *all = json_object();
	const json_t *d;
	size_t i;

	json_array_foreach(json_object_get(health, "disks"), i, d)
	{
		const char *m =
		    json_string_value(json_object_get(d, "machine"));
		const json_t *day = json_object_get(d, "churn_bytes_per_day");
		const json_t *was;

		if (m == NULL)
			continue;
		was = json_object_get(all, m);
		if (!json_is_integer(day) || json_is_null(was))
			json_object_set_new(all, m, json_null());
		else
			json_object_set_new(
			    all, m,
			    json_integer(json_integer_value(was) +
					 json_integer_value(day)));
	}
	return all;
}

static int add_server(void *ctx, const struct reg_server *s,
		      const struct contact_word *w, struct err *e)
{
	struct inventory *inv = ctx;
	json_t *health, *o;

	(void)e;
	if (strcmp(s->role, SERVER_PS) != 0)
		return 0;
	health = json_loads(w->health, 0, NULL);
	o = json_pack("{s:s, s:s}", "name", s->name, "state",
		      server_health(s, health));
	add_size(o, health);
	if (strcmp(s->name, inv->own) == 0)
		json_object_set_new(o, "config-server", json_true());
	json_array_append_new(inv->servers, o);
	json_object_set_new(inv->churn, s->name, churn_of(health));
	json_decref(health);
	return 0;
}

/* ---- machines ---- */

/* Those that are protected, or have a server to be protected by. */
static int add_machine(void *ctx, const struct reg_machine *m, struct err *e)
{
	struct inventory *inv = ctx;
	const json_t *day =
	    json_object_get(json_object_get(inv->churn, m->server), m->name);
	json_t *o;

	(void)e;
	if (strcmp(m->state, MACHINE_ENABLED) != 0 && m->server[0] == '\0')
		return 0;
	inv->unknown += !json_is_integer(day);
	o = json_pack("{s:s, s:I}", "name", m->name, "churn",
		      json_integer_value(day));
	if (m->server[0] != '\0')
		json_object_set_new(o, "server", json_string(m->server));
	json_array_append_new(inv->machines, o);
	return 0;
}

/* It is registered where its registry is. */
static void find_own(struct inventory *inv)
{
	const struct conf *c = opt_conf();
	const char *dir = c != NULL ? conf_get(c, "config.identity") : NULL;
	struct identity id;

	if (dir != NULL && conf_get(c, "config.listen") != NULL &&
	    identity_load(dir, &id, NULL) == 0)
		snprintf(inv->own, sizeof(inv->own), "%s", id.name);
}

int run_inventory(int n, char **words, struct err *e)
{
	struct inventory inv = {.servers = json_array(),
				.machines = json_array(),
				.churn = json_object()};
	struct reg *r = NULL;
	int rc;

	(void)words;
	if (n != 0)
		opt_misuse("inventory takes no operands");
	find_own(&inv);
	rc = reg_open(&r, &ask.where, "ps-balance", e);
	if (rc == 0)
		rc = contact_each(r, add_server, &inv, e);
	if (rc == 0)
		rc = machine_each(r, add_machine, &inv, e);
	reg_close(r);
	json_decref(inv.churn);
	if (rc < 0) {
		json_decref(inv.servers);
		json_decref(inv.machines);
		return rc;
	}
	if (inv.unknown > 0)
		tool_warn("of %zu machines it is not known how much changes: "
			  "they count as 0",
			  inv.unknown);
	return print_json(json_pack("{s:o, s:o}", "servers", inv.servers,
				    "machines", inv.machines),
			  e);
}
