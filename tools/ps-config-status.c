/* ps-config status, refresh, unregister: the fleet, on its server. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/tool.h"
#include "base/units.h"
#include "config/contacts.h"
#include "config/status.h"
#include "net/client.h"
#include "ps-config.h"

#define PAUSE_NS 200000000L
#define HEARD_S 70 /* a server with older manners comes each 60 s */
#define REACH_NS (10 * NS_PER_S)

/* ---- status ---- */

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text != NULL ? text : "-";
}

static void span_of(const json_t *o, const char *key, char out[32])
{
	const json_t *v = json_object_get(o, key);

	if (json_is_integer(v))
		format_duration((double)json_integer_value(v), out, 32);
	else
		snprintf(out, 32, "-");
}

static void print_server(const json_t *s)
{
	char silent[32];

	span_of(s, "silent_s", silent);
	printf("%-8s  %-16s  %-4s  %-10s  %8lld  %s\n", text_of(s, "level"),
	       text_of(s, "name"), text_of(s, "role"), silent,
	       (long long)json_integer_value(json_object_get(s, "machines")),
	       text_of(s, "what"));
}

static void print_machine(const json_t *m)
{
	char behind[32];

	span_of(m, "behind_s", behind);
	printf("%-8s  %-16s  %-16s  %-20s  %-10s  %s\n", text_of(m, "level"),
	       text_of(m, "machine"), text_of(m, "server"),
	       text_of(m, "stored"), behind, text_of(m, "what"));
}

/* The worst first. */
static void print_list(const json_t *list, const char *heading,
		       void (*print)(const json_t *))
{
	static const char *const order[] = {STATUS_CRITICAL, STATUS_WARNING,
					    STATUS_OK};
	const json_t *one;
	size_t i, k;

	puts(heading);
	for (k = 0; k < 3; k++)
		json_array_foreach(list, i, one)
		{
			if (strcmp(text_of(one, "level"), order[k]) == 0)
				print(one);
		}
}

static unsigned count(const json_t *list, const char *level)
{
	const json_t *one;
	unsigned n = 0;
	size_t i;

	json_array_foreach(list, i, one) n +=
	    strcmp(text_of(one, "level"), level) == 0;
	return n;
}

static void print_sum(const char *what, const json_t *list)
{
	printf("%zu %s: %u critical, %u warning\n", json_array_size(list), what,
	       count(list, STATUS_CRITICAL), count(list, STATUS_WARNING));
}

static int cmd_status(struct reg *r, char **operands, struct err *e)
{
	const json_t *servers, *machines;
	json_t *all;
	bool good;
	int rc = status_make(r, time_now_ns(), &all, e);

	(void)operands;
	if (rc < 0)
		return rc;
	good = strcmp(text_of(all, "level"), STATUS_OK) == 0;
	if (ask.json) {
		rc = print_json(all, e);
	} else {
		servers = json_object_get(all, "servers");
		machines = json_object_get(all, "machines");
		print_sum("servers", servers);
		print_list(servers,
			   "LEVEL     SERVER            ROLE  HEARD AGO   "
			   "MACHINES  WHAT",
			   print_server);
		print_sum("machines", machines);
		print_list(machines,
			   "LEVEL     MACHINE           SERVER            "
			   "RECOVERABLE TO        BEHIND      WHAT",
			   print_machine);
		json_decref(all);
	}
	return rc < 0 ? rc : good ? 0 : -PS_NO;
}

const struct action status_actions[] = {{NULL, 0, "", cmd_status}, {0}};

/* ---- refresh ---- */

struct waiting {
	int64_t since; /* ns */
	const char *name;
	unsigned silent; /* that were not heard since */
	bool print;
};

static int see(void *ctx, const struct reg_server *s, struct err *e)
{
	struct waiting *w = ctx;
	bool heard = s->contact >= w->since;

	(void)e;
	if (w->name != NULL && strcmp(w->name, s->name) != 0)
		return 0;
	w->silent += !heard;
	if (w->print)
		printf("%s\t%s\n", s->name, heard ? "heard" : "silent");
	return 0;
}

static void pause_a_bit(void)
{
	struct timespec t = {0, PAUSE_NS};

	nanosleep(&t, NULL);
}

static int cmd_refresh(struct reg *r, char **operands, struct err *e)
{
	struct waiting w = {.since = time_now_ns(), .name = operands[0]};
	int64_t end = mono_now_ns() + HEARD_S * NS_PER_S;
	int rc = contact_want(r, w.name, e);

	do {
		w.silent = 0;
		if (rc == 0)
			rc = server_each(r, see, &w, e);
		if (rc == 0 && w.silent > 0)
			pause_a_bit();
	} while (rc == 0 && w.silent > 0 && mono_now_ns() < end);
	w.print = !ask.json;
	if (rc == 0)
		rc = server_each(r, see, &w, e);
	if (rc == 0 && w.silent > 0)
		rc = err_set(e, PS_NO, "not all were heard within %d s",
			     HEARD_S);
	return rc;
}

const struct action refresh_actions[] = {
    {NULL, OPERAND_OPTIONAL, " [SERVER]", cmd_refresh}, {0}};

/* ---- unregister ---- */

static int name_machine(void *ctx, const struct reg_machine *m, struct err *e)
{
	struct waiting *w = ctx;

	(void)e;
	if (strcmp(m->server, w->name) != 0 && strcmp(m->target, w->name) != 0)
		return 0;
	w->silent++;
	if (w->print)
		tool_warn("machine %s loses its %s", m->name,
			  strcmp(m->server, w->name) == 0 ? "process server"
							  : "master target");
	return 0;
}

static int by_force(struct reg *r, const struct reg_server *s, struct err *e)
{
	struct waiting w = {.name = s->name, .print = true};
	int64_t machines;
	int rc;

	if (!ask.yes)
		opt_misuse("unregister --force forgets '%s' without asking it, "
			   "and %lld machines lose it: say --yes, too",
			   s->name, (long long)s->machines);
	rc = machine_each(r, name_machine, &w, e);
	return rc < 0 ? rc : server_delete(r, s->name, true, &machines, e);
}

/* From here to there; that it reaches us, its heartbeats show. */
static int check_reach(const struct reg_server *s, struct err *e)
{
	char port[8];
	const struct client_to to = {
	    .host = s->address, .port = port, .wait_ns = REACH_NS};
	struct client c;
	int rc;

	snprintf(port, sizeof(port), "%lld", (long long)s->port);
	if (strcmp(server_state(s, time_now_ns()), "ok") != 0) {
		rc = err_set(e, PS_UNAVAILABLE,
			     "server '%s': was not heard for 15 minutes (806)",
			     s->name);
	} else {
		rc = client_open(&c, &to, e);
		client_close(&c);
	}
	if (rc < 0)
		err_hint(e, "let it run and reach us, or give it up: "
			    "--force --yes");
	return rc;
}

static int wait_gone(struct reg *r, const char *name, struct err *e)
{
	int64_t end = mono_now_ns() + HEARD_S * NS_PER_S;
	struct reg_server s;
	int rc;

	while ((rc = server_get(r, name, &s, e)) == 0 && mono_now_ns() < end)
		pause_a_bit();
	if (rc == -PS_NO) {
		*e = (struct err){.code = 0};
		return 0;
	}
	if (rc < 0)
		return rc;
	(void)contact_leave(r, name, false, NULL);
	rc = err_set(e, PS_UNAVAILABLE, "server '%s': did not take its leave",
		     name);
	err_hint(e, "is ps-config heartbeat running there? It is registered "
		    "still; to give it up: --force --yes");
	return rc;
}

static int cmd_unregister(struct reg *r, char **operands, struct err *e)
{
	struct waiting w = {.name = operands[0], .print = true};
	struct reg_server s;
	int rc = server_get(r, operands[0], &s, e);

	if (rc < 0)
		return rc;
	if (ask.force)
		return by_force(r, &s, e);
	if (s.machines > 0) {
		(void)machine_each(r, name_machine, &w, e);
		rc = err_set(e, PS_NO, "server '%s': %lld machines use it",
			     s.name, (long long)s.machines);
		err_hint(e, "give them another one first: ps-balance switch");
		return rc;
	}
	rc = check_reach(&s, e);
	if (rc == 0)
		rc = contact_leave(r, s.name, true, e);
	return rc < 0 ? rc : wait_gone(r, s.name, e);
}

const struct action unregister_actions[] = {
    {NULL, 1, " SERVER [--force --yes]", cmd_unregister}, {0}};
