/*
 * ps-config(8): the registry of the configuration server. Here are options,
 * the table of groups and what answers share; one file for each group.
 */
#include "config.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/tool.h"
#include "base/units.h"
#include "config/ca.h"
#include "config/passphrase.h"
#include "config/policies.h"
#include "net/server.h"
#include "ps-config.h"
#include "register.h"

#define DIR LOCALSTATEDIR "/lib/ps-toolkit/config"
#define HEALTH LOCALSTATEDIR "/lib/ps-toolkit/health"

struct ask ask = {
    .dir = DIR,
    .overlap = PASSPHRASE_OVERLAP_S,
    .port = NOT_GIVEN,
    .rpo = NOT_GIVEN,
    .retention = NOT_GIVEN,
    .app = NOT_GIVEN,
    .size = NOT_GIVEN,
    .percent = NOT_GIVEN,
    .last = 100,
    .valid = CA_CERT_S,
    .listen = "443",
    .max_connections = SERVER_CONNECTIONS,
    .interval = NOT_GIVEN,
    .identity = REGISTER_DIR,
    .health = HEALTH,
};
static struct reg_where where = {.wait_s = REG_WAIT_S};
static uint64_t wait_s = REG_WAIT_S;

static const struct opt options[] = {
    {0, "dir", OPT_DIR, "DIR", &ask.dir,
     "folder of the key file and of SQLite's database", "PS_CONFIG_DIR",
     "config.dir", 0, 0, 0},
    {0, "credentials", OPT_FILE, "FILE", &where.credentials,
     "MariaDB: file with [MySQLCredentials]", 0, "config.credentials", 0, 0, 0},
    {0, "database-host", OPT_TEXT, "HOST", &where.host,
     "MariaDB: HOST, HOST:PORT or /SOCKET", 0, "config.database-host", 0, 0, 0},
    {0, "database-name", OPT_TEXT, "NAME", &where.name,
     "MariaDB: database and user (default: ps_config)", 0,
     "config.database-name", 0, 0, 0},
    {0, "database-ca", OPT_FILE, "FILE", &where.ca,
     "MariaDB: who signs its certificate; TLS is then a must", 0,
     "config.database-ca", 0, 0, 0},
    {0, "database-wait", OPT_DURATION, "TIME", &wait_s,
     "how long to wait for the database (default: 90s)", 0,
     "config.database-wait", 0, 1, 3600},
    {0, "keep", OPT_FLAG, 0, &ask.keep,
     "passphrase: leave it in a file, too, that only root can read", 0, 0, 0, 0,
     0},
    {0, "overlap", OPT_DURATION, "TIME", &ask.overlap,
     "passphrase rotate: accept the old one for so long (default: 7d)", 0, 0, 0,
     0, 365 * 86400},
    {0, "role", OPT_CHOICE, "ROLE", &ask.role,
     "server, register: process server (default) or master target", 0, 0,
     "ps|mt", 0, 0},
    {0, "address", OPT_TEXT, "ADDRESS", &ask.address,
     "server, register: where agents reach it", 0, 0, 0, 0, 0},
    {0, "port", OPT_NUMBER, "PORT", &ask.port,
     "server, register: of the data (default: 9443)", 0, 0, 0, 1, 65535},
    {0, "machine-id", OPT_TEXT, "ID", &ask.machine_id,
     "server, machine, register, heartbeat: tells clones apart", 0, 0, 0, 0, 0},
    {0, "instance", OPT_TEXT, "TEXT", &ask.instance,
     "register, heartbeat: which of several servers on this host it is", 0,
     "config.instance", 0, 0, 0},
    {0, "rpo", OPT_DURATION, "TIME", &ask.rpo,
     "policy: alert when behind by more (default: 15m)", 0, 0, 0, 0, 0},
    {0, "retention", OPT_DURATION, "TIME", &ask.retention,
     "policy: how long points are kept (default: 24h)", 0, 0, 0, 0, 0},
    {0, "app-consistent", OPT_DURATION, "TIME", &ask.app,
     "policy: between such points, 1h to 12h; 0: none (default: 1h)", 0, 0, 0,
     0, 0},
    {0, "multi-vm", OPT_CHOICE, "YES", &ask.multi_vm,
     "policy: its machines share their points", 0, 0, "yes|no", 0, 0},
    {0, "policy", OPT_TEXT, "NAME", &ask.policy, "machine: its policy", 0, 0, 0,
     0, 0},
    {0, "server", OPT_TEXT, "NAME", &ask.server, "machine: its process server",
     0, 0, 0, 0, 0},
    {0, "target", OPT_TEXT, "NAME", &ask.target, "machine: its master target",
     0, 0, 0, 0, 0},
    {0, "vault", OPT_TEXT, "VAULT", &ask.vault,
     "machine: where its points go, as ps-upload takes it", 0, 0, 0, 0, 0},
    {0, "recovered-name", OPT_TEXT, "NAME", &ask.recovered_name,
     "machine: its name after failover", 0, 0, 0, 0, 0},
    {0, "recovered-size", OPT_TEXT, "TEXT", &ask.recovered_size,
     "machine: its size after failover", 0, 0, 0, 0, 0},
    {0, "recovered-network", OPT_TEXT, "TEXT", &ask.recovered_network,
     "machine: its network after failover", 0, 0, 0, 0, 0},
    {0, "size", OPT_SIZE, "SIZE", &ask.size, "machine disk: its size", 0, 0, 0,
     1, 1ULL << 62},
    {0, "keep-points", OPT_FLAG, 0, &ask.keep_points,
     "machine disable: its points stay", 0, 0, 0, 0, 0},
    {0, "purge", OPT_FLAG, 0, &ask.purge,
     "machine disable: a job to delete its points", 0, 0, 0, 0, 0},
    {0, "force", OPT_FLAG, 0, &ask.force,
     "server delete: although machines use it; unregister: without asking it",
     0, 0, 0, 0, 0},
    {0, "yes", OPT_FLAG, 0, &ask.yes, "unregister --force: yes, really", 0, 0,
     0, 0, 0},
    {0, "open", OPT_FLAG, 0, &ask.open_only,
     "jobs list: only those that have not ended", 0, 0, 0, 0, 0},
    {0, "step", OPT_NUMBER, "N", &ask.step, "jobs progress: which step", 0, 0,
     0, 1, 1000},
    {0, "percent", OPT_NUMBER, "N", &ask.percent,
     "jobs progress: how far it is; 100: done", 0, 0, 0, 0, 100},
    {0, "note", OPT_TEXT, "TEXT", &ask.note, "jobs: words about it", 0, 0, 0, 0,
     0},
    {0, "object", OPT_TEXT, "NAME", &ask.object, "audit: only of this one", 0,
     0, 0, 0, 0},
    {'n', "last", OPT_NUMBER, "N", &ask.last,
     "audit, jobs: the newest; 0: all (default: 100)", 0, 0, 0, 0, 0},
    {0, "login", OPT_TEXT, "USER", &ask.login,
     "account: the user that it logs in as", 0, 0, 0, 0, 0},
    {0, "secret-file", OPT_FILE, "FILE", &ask.secret_file,
     "account: file with its password (default: the terminal)", 0, 0, 0, 0, 0},
    {0, "replace", OPT_FLAG, 0, &ask.replace, "restore: forget what is there",
     0, 0, 0, 0, 0},
    {0, "csr", OPT_FILE, "FILE", &ask.csr,
     "cert issue: the certificate request (PEM)", 0, 0, 0, 0, 0},
    {0, "alt", OPT_TEXT, "NAMES", &ask.alt,
     "cert issue, register, serve: more names, as DNS:ps1.example,IP:192.0.2.1",
     0, 0, 0, 0, 0},
    {0, "valid", OPT_DURATION, "TIME", &ask.valid,
     "cert issue, serve: certificates are made for so long (default: 1095d)", 0,
     "config.certificate-time", 0, 2, CA_S},
    {'P', "passphrase", OPT_FILE, "FILE", &ask.proof,
     "register, fetch: the passphrase, or a key; cert issue: proof", 0, 0, 0, 0,
     0},
    {'o', "output", OPT_FILE, "FILE", &ask.output,
     "cert: write it there (default: standard output)", 0, 0, 0, 0, 0},
    {0, "all", OPT_FLAG, 0, &ask.all,
     "cert list: those that were replaced, too", 0, 0, 0, 0, 0},
    {'l', "listen", OPT_TEXT, "[ADDR:]PORT", &ask.listen,
     "serve: where (default: 443); port 0: any, printed", 0, "config.listen", 0,
     0, 0},
    {0, "cert", OPT_FILE, "FILE", &ask.cert,
     "serve: certificate (default: of the site's own authority)", 0,
     "config.cert", 0, 0, 0},
    {0, "key", OPT_FILE, "FILE", &ask.key, "serve: its private key", 0,
     "config.cert-key", 0, 0, 0},
    {0, "user", OPT_TEXT, "NAME", &ask.user,
     "serve: user to become when started as root (default: ps-toolkit)", 0,
     "config.user", 0, 0, 0},
    {0, "log-dir", OPT_DIR, "DIR", &ask.log_dir,
     "serve: cxps.err and cxps.xfer (default: DIR/serve/log)", 0,
     "config.log-dir", 0, 0, 0},
    {0, "max-connections", OPT_NUMBER, "N", &ask.max_connections,
     "serve: connections at a time (default: 1024)", 0,
     "config.max-connections", 0, 1, 65536},
    {0, "interval", OPT_DURATION, "TIME", &ask.interval,
     "serve, heartbeat: between two heartbeats (default: 60s)", 0,
     "config.interval", 0, 1, 600},
    {0, "identity", OPT_DIR, "DIR", &ask.identity,
     "register, heartbeat: folder of key, certificate and names", "PS_IDENTITY",
     "config.identity", 0, 0, 0},
    {0, "cs", OPT_TEXT, "ADDRESS", &ask.cs,
     "register, fetch: of the configuration server", 0, "config.server", 0, 0,
     0},
    {0, "cs-port", OPT_TEXT, "PORT", &ask.cs_port,
     "register, fetch: its port (default: 443)", 0, "config.port", 0, 0, 0},
    {0, "name", OPT_TEXT, "NAME", &ask.name,
     "register: of this server (default: the host's)", 0, 0, 0, 0, 0},
    {0, "pin", OPT_TEXT, "PIN", &ask.pin,
     "register: the configuration server's key, as sha256//...", 0, 0, 0, 0, 0},
    {0, "health", OPT_DIR, "DIR", &ask.health, "heartbeat: folder of ps-health",
     "PS_HEALTH_DIR", "health.state", 0, 0, 0},
    {'C', "cache", OPT_DIR, "DIR", &ask.cache,
     "heartbeat: the cache of the process server", "PS_CACHE", "cache", 0, 0,
     0},
    {0, "once", OPT_FLAG, 0, &ask.once, "heartbeat: one, and end", 0, 0, 0, 0,
     0},
    {0, "json", OPT_FLAG, 0, &ask.json, "print JSON", 0, 0, 0, 0, 0},
    {0},
};

static const struct opt_cmd commands[] = {
    {"init", "make the registry, or bring it up to date"},
    {"passphrase", "new, show, rotate, status"},
    {"server", "add, show, list, delete"},
    {"policy", "add, edit, show, list, delete"},
    {"machine", "add, edit, disk, enable, disable, show, list, delete"},
    {"account", "add, edit, list, secret, delete"},
    {"cert", "issue, list, pins, authority"},
    {"jobs", "list, show, progress, done, failed, cancel"},
    {"audit", "who changed what"},
    {"backup", "all of it into one file"},
    {"restore", "all of it from that file, into any database"},
    {"serve", "the configuration server itself"},
    {"register", "on a process server or master target: joins the site"},
    {"heartbeat", "on such a server: says how it is, each minute"},
    {"fetch", "what a machine's agent has to know"},
    {"list", "its servers"},
    {"show", "one of them"},
    {"status", "who can be recovered to when, and what is slipping"},
    {"refresh", "asks the servers now"},
    {"unregister", "a server leaves the site"},
    {0},
};

static const struct group {
	const char *name;
	const struct action *actions;
	bool alone; /* without the registry */
} groups[] = {
    {"init", init_actions, false},
    {"passphrase", passphrase_actions, false},
    {"server", server_actions, false},
    {"policy", policy_actions, false},
    {"machine", machine_actions, false},
    {"cert", cert_actions, false},
    {"jobs", jobs_actions, false},
    {"audit", audit_actions, false},
    {"account", account_actions, false},
    {"backup", backup_actions, false},
    {"restore", restore_actions, false},
    {"list", list_actions, false},
    {"show", show_actions, false},
    {"status", status_actions, false},
    {"refresh", refresh_actions, false},
    {"unregister", unregister_actions, false},
    {"serve", serve_actions, true},
    {"register", register_actions, true},
    {"heartbeat", heartbeat_actions, true},
    {"fetch", fetch_actions, true},
};

static const struct opt_tool tool = {
    .name = "ps-config",
    .about = "The registry of the configuration server.",
    .synopsis =
	"init [--credentials FILE]\n"
	"passphrase new|show|rotate|status [--keep]\n"
	"server|policy|machine ACTION [NAME] [OPTIONS]\n"
	"cert issue SERVER --csr FILE [-o FILE] [-P FILE]\n"
	"account add|edit|list|secret|delete [NAME] [--login USER]\n"
	"backup FILE\n"
	"restore FILE [--replace]\n"
	"jobs|audit [ACTION] [OPTIONS]\n"
	"serve [-l [ADDR:]PORT] [--cert FILE --key FILE]\n"
	"register [--cs ADDRESS] [--cs-port PORT] [-P FILE] [--port PORT]\n"
	"heartbeat [--once] [--interval TIME]\n"
	"list\n"
	"show NAME\n",
    .opts = options,
    .cmds = commands,
};

/* ---- answers ---- */

const char *dash(const char *text)
{
	return *text != '\0' ? text : "-";
}

void when_text(int64_t ns, char out[40])
{
	if (ns == 0)
		snprintf(out, 40, "-");
	else
		format_time(ns / NS_PER_S * NS_PER_S, out);
}

void listing_begin(struct listing *l)
{
	l->array = ask.json ? json_array() : NULL;
	l->n = 0;
}

bool listing_line(struct listing *l, const char *heading)
{
	if (ask.json)
		return false;
	if (l->n++ == 0)
		puts(heading);
	return true;
}

int listing_add(struct listing *l, json_t *item, struct err *e)
{
	if (l->array == NULL || json_array_append_new(l->array, item) < 0)
		return err_set(e, PS_TEMPFAIL, "no memory for the answer");
	return 0;
}

int listing_end(struct listing *l, int rc, struct err *e)
{
	if (rc == 0 && ask.json)
		return print_json(l->array, e);
	json_decref(l->array);
	return rc;
}

int64_t operand_id(const char *text)
{
	uint64_t n;

	if (!parse_u64(text, INT64_MAX, &n) || n == 0)
		opt_misuse("'%s' is no number of a job", text);
	return (int64_t)n;
}

/* ---- running ---- */

/* For the audit log: the user, and who became that user. */
static void find_who(char *out, size_t size)
{
	const struct passwd *pw = getpwuid(getuid());
	const char *sudo = getenv("SUDO_USER"); /* anybody may set it */
	char number[32];

	if (sudo != NULL && !name_ok(sudo))
		sudo = NULL;
	snprintf(number, sizeof(number), "uid %u", (unsigned)getuid());
	snprintf(out, size, "%.60s%s%.60s%s", pw != NULL ? pw->pw_name : number,
		 sudo != NULL ? " (" : "", sudo != NULL ? sudo : "",
		 sudo != NULL ? ")" : "");
}

static const struct group *find_group(const char *name)
{
	size_t i = 0;

	while (strcmp(groups[i].name, name) != 0)
		i++;
	return &groups[i];
}

static const struct action *find_action(const struct group *g, int n,
					char **words)
{
	const struct action *a;

	/* A group without an action is its list. */
	for (a = g->actions; a->run != NULL; a++)
		if (a->name == NULL ||
		    strcmp(a->name, n > 0 ? words[0] : "list") == 0)
			return a;
	if (n == 0)
		opt_misuse("%s: an action is missing", g->name);
	opt_misuse("%s has no action '%s'", g->name, words[0]);
}

static void check_operands(const char *group, const struct action *a, int n)
{
	if (n == a->operands || (a->operands == OPERAND_OPTIONAL && n <= 1))
		return;
	opt_misuse("usage: ps-config %s%s%s%s", group,
		   a->name != NULL ? " " : "", a->name != NULL ? a->name : "",
		   a->usage);
}

static int run(const char *group, int n, char **words, struct err *e)
{
	const struct group *g = find_group(group);
	const struct action *a = find_action(g, n, words);
	int named = a->name != NULL && n > 0;
	struct reg *r = NULL;
	char who[REG_TEXT_SIZE];
	int rc = 0;

	check_operands(group, a, n - named);
	find_who(who, sizeof(who));
	where.dir = ask.dir;
	where.wait_s = (unsigned)wait_s;
	where.need_key = a == restore_actions;
	ask.where = &where;
	if (a == init_actions || a == restore_actions)
		rc = reg_init(&r, &where, who, e);
	else if (!g->alone)
		rc = reg_open(&r, &where, who, e);
	if (rc == 0)
		rc = a->run(r, words + named, e);
	reg_close(r);
	return rc;
}

int main(int argc, char **argv)
{
	struct err e = {0};
	const char *group;
	int at, rc, code = PS_OK;

	tool_init("ps-config");
	at = opt_parse(&tool, argc, argv);
	group = argv[at++];
	secret_harden_process();
	rc = run(group, argc - at, argv + at, &e);
	/* An answer that is no may have been said on standard output. */
	if (rc < 0)
		code = e.code != 0 ? tool_fail(&e) : -rc;
	return tool_finish(code);
}
