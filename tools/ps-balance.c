/*
 * ps-balance(1): which machine belongs to which process server. Here are
 * options and planning; ps-balance-move.c moves machines.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/opt.h"
#include "base/tool.h"
#include "base/units.h"
#include "fleet/balance.h"
#include "fleet/sizes.h"
#include "ps-balance.h"

#define DIR LOCALSTATEDIR "/lib/ps-toolkit/config"

struct ask ask = {.where = {.dir = DIR}, .wait_s = 3600};
static uint64_t headroom = 30, slack = 5, database_wait_s = REG_WAIT_S;

static const struct opt opts[] = {
    {0, "headroom", OPT_NUMBER, "PERCENT", &headroom,
     "part of a server's churn limit to leave free (default: 30)", 0,
     "balance.headroom", 0, 0, 90},
    {0, "slack", OPT_NUMBER, "PERCENT", &slack,
     "how far from the evenest plan is good enough (default: 5)", 0,
     "balance.slack", 0, 1, 100},
    {0, "dead", OPT_FLAG, 0, &ask.dead,
     "give FROM up: what only its cache holds is lost", 0, 0, 0, 0, 0},
    {0, "dry-run", OPT_FLAG, 0, &ask.dry_run,
     "check and show what would be moved, change nothing", 0, 0, 0, 0, 0},
    {0, "wait", OPT_DURATION, "TIME", &ask.wait_s,
     "how long to wait until all have moved (default: 1h)", 0, 0, 0, 0,
     365 * 86400},
    {0, "dir", OPT_DIR, "DIR", &ask.where.dir,
     "folder of the registry's key file and of SQLite's database",
     "PS_CONFIG_DIR", "config.dir", 0, 0, 0},
    {0, "credentials", OPT_FILE, "FILE", &ask.where.credentials,
     "MariaDB: file with [MySQLCredentials]", 0, "config.credentials", 0, 0, 0},
    {0, "database-host", OPT_TEXT, "HOST", &ask.where.host,
     "MariaDB: HOST, HOST:PORT or /SOCKET", 0, "config.database-host", 0, 0, 0},
    {0, "database-name", OPT_TEXT, "NAME", &ask.where.name,
     "MariaDB: database and user (default: ps_config)", 0,
     "config.database-name", 0, 0, 0},
    {0, "database-ca", OPT_FILE, "FILE", &ask.where.ca,
     "MariaDB: who signs its certificate; TLS is then a must", 0,
     "config.database-ca", 0, 0, 0},
    {0, "database-wait", OPT_DURATION, "TIME", &database_wait_s,
     "how long to wait for the database (default: 90s)", 0,
     "config.database-wait", 0, 1, 3600},
    {0, "json", OPT_FLAG, 0, &ask.json,
     "print JSON; plan: the inventory as planned", 0, 0, 0, 0, 0},
    {0}};

static const struct opt_cmd cmds[] = {
    {"inventory", "print the fleet of the registry, for plan"},
    {"plan", "say which machines should move, and why"},
    {"apply", "move the machines of a plan"},
    {"move", "move machines from one server to another"},
    {"switch", "move all machines of a server to another"},
    {"resume", "watch what was begun"},
    {0}};

static const struct opt_tool tool = {
    .name = "ps-balance",
    .about = "Spreads machines over process servers.",
    .synopsis = "inventory\n"
		"plan [--headroom PERCENT] [--slack PERCENT] [--json] "
		"[INVENTORY]\n"
		"apply [--dry-run] [--dead] [--json] [PLAN]\n"
		"move [--dry-run] [--dead] [--json] FROM TO MACHINE...\n"
		"switch [--dry-run] [--dead] [--json] FROM TO\n"
		"resume [--json]\n",
    .opts = opts,
    .cmds = cmds,
    .operands = "file"};

static double percent(double part)
{
	return 100 * part;
}

/* ---- why ---- */

struct totals {
	uint64_t churn;
	size_t machines;
};

/* What each server carries, by a plan or (NULL) as it is. */
static struct totals *totals_of(const struct fleet *f, const int *server)
{
	struct totals *t = calloc(f->nservers + 1, sizeof(*t));

	for (size_t i = 0; t != NULL && i < f->nmachines; i++) {
		int s = server != NULL ? server[i] : f->machines[i].server;

		if (s == NO_SERVER)
			continue;
		t[s].churn += f->machines[i].churn;
		t[s].machines++;
	}
	return t;
}

static double load_of(const struct server *s, const struct totals *t)
{
	return (double)t->churn / (double)s->churn;
}

static void say_why(const struct fleet *f, const struct move *m,
		    const struct totals *before, char *out, size_t size)
{
	const struct server *s;
	double load;

	if (m->from == NO_SERVER) {
		snprintf(out, size, "it has no server");
		return;
	}
	s = &f->servers[m->from];
	load = load_of(s, &before[m->from]);
	switch (m->reason) {
	case MOVE_NEW:
	case MOVE_SILENT:
		snprintf(out, size, "%s is silent", s->name);
		break;
	case MOVE_MACHINES:
		snprintf(out, size, "%s has %zu machines, %u are its limit",
			 s->name, before[m->from].machines, s->machines);
		break;
	case MOVE_CHURN:
		snprintf(out, size,
			 "%s is at %.0f %% of its churn limit, %u %% is wanted",
			 s->name, percent(load), (unsigned)(100 - headroom));
		break;
	case MOVE_EVEN:
		snprintf(out, size, "%s carries more than its share", s->name);
		break;
	case MOVE_MAKE_ROOM:
		snprintf(out, size, "makes room on %s", s->name);
		break;
	}
}

/* ---- JSON: the inventory as it will be ---- */

static json_t *json_servers(const struct fleet *f)
{
	json_t *list = json_array();

	for (size_t i = 0; i < f->nservers; i++) {
		const struct server *s = &f->servers[i];

		json_array_append_new(
		    list,
		    json_pack("{s:s, s:s, s:b, s:I, s:I}", "name", s->name,
			      "state", server_state_name(s->state),
			      "config-server", s->config, "max-churn",
			      (json_int_t)s->churn, "max-machines",
			      (json_int_t)s->machines));
	}
	return list;
}

static json_t *json_machines(const struct fleet *f, const struct balance *b)
{
	json_t *list = json_array();

	for (size_t i = 0; i < f->nmachines; i++) {
		const struct machine *m = &f->machines[i];
		json_t *o =
		    json_pack("{s:s, s:I, s:b}", "name", m->name, "churn",
			      (json_int_t)m->churn, "pinned", m->pinned);

		if (b->server[i] != NO_SERVER)
			json_object_set_new(
			    o, "server",
			    json_string(f->servers[b->server[i]].name));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *json_moves(const struct fleet *f, const struct balance *b,
			  const struct totals *before)
{
	json_t *list = json_array();
	char why[256];

	for (size_t i = 0; i < b->nmoves; i++) {
		const struct move *m = &b->moves[i];

		say_why(f, m, before, why, sizeof(why));
		json_array_append_new(
		    list,
		    json_pack("{s:s, s:s?, s:s, s:s, s:s}", "machine",
			      f->machines[m->machine].name, "from",
			      m->from == NO_SERVER ? NULL
						   : f->servers[m->from].name,
			      "to", f->servers[m->to].name, "reason",
			      move_reason_name(m->reason), "why", why));
	}
	return list;
}

static void print_json(const struct fleet *f, const struct balance *b,
		       const struct totals *before)
{
	json_t *o = json_pack(
	    "{s:o, s:o, s:o, s:{s:f, s:f, s:f, s:I}}", "servers",
	    json_servers(f), "machines", json_machines(f, b), "moves",
	    json_moves(f, b, before), "load", "before", b->load_before, "after",
	    b->load_after, "bound", b->bound, "left", (json_int_t)b->left);

	json_dumpf(o, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
	putchar('\n');
	json_decref(o);
}

/* ---- text ---- */

static void print_moves(const struct fleet *f, const struct balance *b,
			const struct totals *before)
{
	char why[256], churn[32];

	if (b->nmoves == 0) {
		puts("Nothing has to move.");
		return;
	}
	printf("%-20s %-12s %-12s %-10s %s\n", "MACHINE", "FROM", "TO",
	       "CHURN/DAY", "WHY");
	for (size_t i = 0; i < b->nmoves; i++) {
		const struct move *m = &b->moves[i];

		say_why(f, m, before, why, sizeof(why));
		format_size(f->machines[m->machine].churn, churn,
			    sizeof(churn));
		printf("%-20s %-12s %-12s %-10s %s\n",
		       f->machines[m->machine].name,
		       m->from == NO_SERVER ? "-" : f->servers[m->from].name,
		       f->servers[m->to].name, churn, why);
	}
}

static void print_servers(const struct fleet *f, const struct totals *before,
			  const struct totals *after)
{
	char was[32], is[32];

	printf("\n%-12s %-9s %17s %25s %15s\n", "SERVER", "STATE", "MACHINES",
	       "CHURN/DAY", "OF ITS LIMIT");
	for (size_t i = 0; i < f->nservers; i++) {
		const struct server *s = &f->servers[i];

		format_size(before[i].churn, was, sizeof(was));
		format_size(after[i].churn, is, sizeof(is));
		printf(
		    "%-12s %-9s %7zu -> %-6zu %11s -> %-10s %4.0f %% -> %.0f "
		    "%%\n",
		    s->name, server_state_name(s->state), before[i].machines,
		    after[i].machines, was, is, percent(load_of(s, &before[i])),
		    percent(load_of(s, &after[i])));
	}
	putchar('\n');
}

/* ---- what cannot be ---- */

static void name_pinned(const struct fleet *f, const struct totals *after)
{
	for (size_t i = 0; i < f->nservers; i++) {
		const struct server *s = &f->servers[i];

		if (s->state != SERVER_SILENT &&
		    (load_of(s, &after[i]) > 1 - (double)headroom / 100 ||
		     after[i].machines > s->machines))
			tool_warn("%s: what is pinned to it is more than it "
				  "should carry",
				  s->name);
	}
}

/* Nobody takes what these send, and they may not go elsewhere. */
static void name_pinned_to_silent(const struct fleet *f)
{
	for (size_t i = 0; i < f->nmachines; i++) {
		const struct machine *m = &f->machines[i];

		if (m->pinned && m->server != NO_SERVER &&
		    f->servers[m->server].state == SERVER_SILENT)
			tool_warn("%s is pinned to %s, which is silent",
				  m->name, f->servers[m->server].name);
	}
}

/* The fleet without machines that are too large for any server: those are
 * named. */
static int without_too_large(const struct fleet *f, const struct balance *b,
			     struct fleet *ret, struct err *e)
{
	uint64_t most = sizes_process[SIZES - 1].churn / 100 * (100 - headroom);
	char churn[32], limit[32];

	format_size(most, limit, sizeof(limit));
	*ret = *f;
	ret->nmachines = 0;
	ret->machines = calloc(f->nmachines + 1, sizeof(*ret->machines));
	if (ret->machines == NULL)
		return err_sys(e, PS_TEMPFAIL, "planning");
	for (size_t i = 0; i < f->nmachines; i++) {
		if (b->server[i] != NO_SERVER || f->machines[i].churn <= most) {
			ret->machines[ret->nmachines++] = f->machines[i];
			continue;
		}
		format_size(f->machines[i].churn, churn, sizeof(churn));
		tool_warn("%s changes %s a day: the largest server takes %s "
			  "with %u %% headroom",
			  f->machines[i].name, churn, limit,
			  (unsigned)headroom);
	}
	return 0;
}

/* Says what would make a plan possible. */
static int explain(const struct fleet *f, const struct balance *b,
		   const struct balance_opts *o, const struct totals *after,
		   struct err *e)
{
	const struct server_size *s;
	char memory[32], cache[32];
	struct fleet rest;
	unsigned n = 0;
	int size = 0, rc;
	size_t large;

	name_pinned(f, after);
	if (b->left > 0)
		tool_warn("no feasible plan: %zu of %zu machines have no room",
			  b->left, f->nmachines);
	rc = without_too_large(f, b, &rest, e);
	if (rc < 0)
		return rc;
	large = f->nmachines - rest.nmachines;
	if (b->left > large || b->pinned)
		rc = balance_wanted(&rest, o, &size, &n, e);
	free(rest.machines);
	if (rc < 0 || (b->left == large && !b->pinned))
		return rc;
	s = &sizes_process[size];
	format_size(s->memory, memory, sizeof(memory));
	format_size(s->cache, cache, sizeof(cache));
	if (n == 0) {
		tool_warn("not even %d more process servers of %u cores, %s "
			  "memory and %s cache would make it feasible%s",
			  BALANCE_MORE_MAX, s->cores, memory, cache,
			  large > 0 ? " for all others" : "");
		return 0;
	}
	tool_warn(
	    "%u more process server%s of %u cores, %s memory and %s cache "
	    "would make it feasible%s",
	    n, n == 1 ? "" : "s", s->cores, memory, cache,
	    large > 0 ? " for all others" : "");
	return 0;
}

static void print_load(const struct balance *b)
{
	printf("Highest load %.1f %%, was %.1f %%", percent(b->load_after),
	       percent(b->load_before));
	if (b->left > 0)
		printf("; without the %zu machine%s that %s no room.\n",
		       b->left, b->left == 1 ? "" : "s",
		       b->left == 1 ? "has" : "have");
	else
		printf("; no plan can have less than %.1f %%.\n",
		       percent(b->bound));
}

/* ---- plan ---- */

static int report(const struct fleet *f, const struct balance *b,
		  const struct balance_opts *o, struct err *e)
{
	struct totals *before = totals_of(f, NULL);
	struct totals *after = totals_of(f, b->server);
	int rc = 0;

	if (before == NULL || after == NULL) {
		rc = err_sys(e, PS_TEMPFAIL, "planning");
	} else if (ask.json) {
		print_json(f, b, before);
	} else {
		print_moves(f, b, before);
		print_servers(f, before, after);
		print_load(b);
	}
	if (rc == 0)
		name_pinned_to_silent(f);
	if (rc == 0 && (b->left > 0 || b->pinned))
		rc = explain(f, b, o, after, e);
	free(before);
	free(after);
	return rc;
}

static int read_inventory(struct fleet *f, const char *path, struct err *e)
{
	FILE *in = stdin;
	int rc;

	if (strcmp(path, "-") == 0)
		return fleet_read(f, in, "standard input", e);
	in = fopen(path, "re");
	if (in == NULL)
		return err_sys(e, errno == ENOENT ? PS_NOINPUT : 0, "%s", path);
	rc = fleet_read(f, in, path, e);
	(void)fclose(in);
	return rc;
}

static int run_plan(int n, char **words, struct err *e)
{
	const struct balance_opts o = {(double)headroom / 100,
				       (double)slack / 100};
	struct fleet f;
	struct balance b;
	int rc, told;

	if (n > 1)
		opt_misuse("one inventory at a time");
	rc = read_inventory(&f, n == 1 ? words[0] : "-", e);
	if (rc < 0)
		return rc;
	rc = balance_plan(&b, &f, &o, e);
	if (rc >= 0) {
		told = report(&f, &b, &o, e);
		rc = told < 0 ? told : rc;
		balance_free(&b);
	}
	fleet_free(&f);
	return rc;
}

static const struct {
	const char *name;
	int (*run)(int n, char **words, struct err *e);
} table[] = {
    {"inventory", run_inventory}, {"plan", run_plan},
    {"apply", run_apply},	  {"move", run_move},
    {"switch", run_switch},	  {"resume", run_resume},
};

int main(int argc, char **argv)
{
	struct err e = {0};
	size_t i = 0;
	int at, rc;

	tool_init("ps-balance");
	at = opt_parse(&tool, argc, argv);
	ask.where.wait_s = (unsigned)database_wait_s;
	while (strcmp(table[i].name, argv[at]) != 0)
		i++;
	rc = table[i].run(argc - at - 1, argv + at + 1, &e);
	if (rc < 0)
		tool_die(&e);
	return tool_finish(rc);
}
