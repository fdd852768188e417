/* ps-config status: the fleet on one screen. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "config/status.h"
#include "ps-config.h"

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text != NULL ? text : "-";
}

static void span_of(const json_t *o, const char *key, const char *none,
		    char out[32])
{
	const json_t *v = json_object_get(o, key);

	if (json_is_integer(v))
		format_duration((double)json_integer_value(v), out, 32);
	else
		snprintf(out, 32, "%s", none);
}

static void print_server(const json_t *s)
{
	char silent[32];

	span_of(s, "silent_s", "never", silent);
	printf("%-8s  %-16s  %-4s  %-10s  %8lld  %s\n", text_of(s, "level"),
	       text_of(s, "name"), text_of(s, "role"), silent,
	       (long long)json_integer_value(json_object_get(s, "machines")),
	       text_of(s, "what"));
}

static void print_machine(const json_t *m)
{
	char behind[32];

	span_of(m, "behind_s", "-", behind);
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

/* Said when something is wrong with it only. */
static void print_authority(const json_t *a)
{
	const char *level = text_of(a, "level");

	if (a == NULL || json_is_null(a) || strcmp(level, STATUS_OK) == 0)
		return;
	printf("%-8s  the certificate of the site's authority: %s, ends %s; "
	       "ps-config serve or init renews it\n",
	       level, text_of(a, "state"), text_of(a, "ends"));
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
		print_authority(json_object_get(all, "authority"));
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
