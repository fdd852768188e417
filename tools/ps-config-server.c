/* ps-config server: add, show, list, delete. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/tool.h"
#include "base/units.h"
#include "config/servers.h"
#include "ps-config.h"

static void take(char *to, size_t size, const char *from)
{
	if (from != NULL)
		snprintf(to, size, "%s", from);
}

static int cmd_add(struct reg *r, char **operands, struct err *e)
{
	struct reg_server s = {.role = SERVER_PS, .port = 9443};
	int rc = reg_name_check("server", operands[0], e);

	if (rc < 0)
		return rc;
	if (ask.address == NULL)
		opt_misuse("server add needs --address");
	if (ask.machine_id != NULL)
		rc = reg_text_check("--machine-id", ask.machine_id,
				    sizeof(s.machine_id), e);
	if (rc < 0)
		return rc;
	take(s.name, sizeof(s.name), operands[0]);
	take(s.role, sizeof(s.role), ask.role);
	take(s.address, sizeof(s.address), ask.address);
	take(s.machine_id, sizeof(s.machine_id), ask.machine_id);
	if (ask.port != NOT_GIVEN)
		s.port = (int64_t)ask.port;
	return server_register(r, &s, e);
}

static int give(void *ctx, const struct reg_server *s, struct err *e)
{
	struct listing *l = ctx;
	const char *state = server_state(s, time_now_ns());
	char when[40] = "never";

	if (!listing_line(l, "SERVER            ROLE  ADDRESS"
			     "                          STATE       LAST HEARD"
			     "            MACHINES"))
		return listing_add(l, form_server(s), e);
	if (s->contact != 0)
		when_text(s->contact, when);
	printf("%-16s  %-4s  %-25s %5lld  %-10s  %-20s  %lld\n", s->name,
	       s->role, s->address, (long long)s->port,
	       strcmp(state, "silent") == 0 ? "silent 806" : state, when,
	       (long long)s->machines);
	return 0;
}

static int cmd_list(struct reg *r, char **operands, struct err *e)
{
	struct listing l;

	(void)operands;
	listing_begin(&l);
	return listing_end(&l, server_each(r, give, &l, e), e);
}

static int cmd_show(struct reg *r, char **operands, struct err *e)
{
	struct reg_server s;
	struct listing l = {0};
	int rc = server_get(r, operands[0], &s, e);

	if (rc < 0)
		return rc;
	return ask.json ? print_json(form_server(&s), e) : give(&l, &s, e);
}

static int cmd_delete(struct reg *r, char **operands, struct err *e)
{
	int64_t machines = 0;
	int rc = server_delete(r, operands[0], ask.force, &machines, e);

	if (rc == 0 && machines > 0)
		tool_warn("%lld machines have no server now: see ps-config "
			  "machine list",
			  (long long)machines);
	return rc;
}

const struct action server_actions[] = {
    {"add", 1, " NAME --address ADDRESS [--port N] [--role ps|mt]", cmd_add},
    {"show", 1, " NAME", cmd_show},
    {"list", 0, "", cmd_list},
    {"delete", 1, " NAME [--force]", cmd_delete},
    {0},
};

/* The same by shorter names. */
const struct action list_actions[] = {{NULL, 0, "", cmd_list}, {0}};
const struct action show_actions[] = {{NULL, 1, " NAME", cmd_show}, {0}};
