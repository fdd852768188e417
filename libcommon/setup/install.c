#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/secret.h"
#include "base/units.h"
#include "base/version.h"
#include "cache/report.h"
#include "doctor/command.h"
#include "doctor/steps.h"
#include "net/sandbox.h"
#include "setup/install.h"
#include "setup/record.h"

#define FILE_SIZE 65536

/* ---- actions ---- */

struct action *setup_add(struct setup_plan *p, enum action_kind kind,
			 const char *path, const char *fmt, ...)
{
	struct action *a = &p->list[p->n];
	va_list ap;

	if (p->n == ACTIONS_MAX)
		return NULL;
	p->n++;
	*a = (struct action){.kind = kind, .mode = 0700};
	snprintf(a->path, sizeof(a->path), "%s", path);
	va_start(ap, fmt);
	vsnprintf(a->words, sizeof(a->words), fmt, ap);
	va_end(ap);
	return a;
}

static int no_room(struct err *e)
{
	return err_set(e, PS_SOFTWARE, "too many steps");
}

int setup_program(struct setup_plan *p, const char *what,
		  const char *const *argv, struct err *e)
{
	struct action *a = setup_add(p, ACT_RUN, argv[0], "%s", what);
	unsigned i;

	for (i = 0; a != NULL && argv[i] != NULL && i < ACTION_WORDS - 1; i++) {
		a->argv[i] = strdup(argv[i]);
		if (a->argv[i] == NULL)
			return err_sys(e, PS_TEMPFAIL, "%s", argv[0]);
	}
	return a == NULL ? no_room(e) : 0;
}

void setup_free(struct setup_plan *p)
{
	unsigned i, k;

	for (i = 0; i < p->n; i++) {
		struct action *a = &p->list[i];

		if (a->text != NULL)
			secret_wipe(a->text, strlen(a->text));
		free(a->text);
		for (k = 0; k < ACTION_WORDS && a->argv[k] != NULL; k++)
			free(a->argv[k]);
	}
	p->n = 0;
}

bool setup_has_command(const char *tool, const char *command)
{
	const char *const argv[] = {tool, "--dump-options", NULL};
	struct command run = {.argv = argv, .seconds = 10, .max = 1u << 20};
	char *text, want[80];
	bool has;
	int status;

	if (command_run(&run, &text, &status, NULL) < 0)
		return false;
	snprintf(want, sizeof(want), "\ncmd\t%s\t", command);
	has = status == 0 && strstr(text, want) != NULL;
	free(text);
	return has;
}

int setup_begin(struct setup_plan *p, const struct choices *c, struct err *e)
{
	const struct passwd *pw;

	memset(p, 0, sizeof(*p));
	p->c = c;
	p->uid = (uid_t)-1;
	p->gid = (gid_t)-1;
	place_etc(c, p->etc);
	if (c->root != NULL)
		return 0;
	errno = 0;
	pw = getpwnam(SANDBOX_USER);
	if (pw == NULL)
		return err_set(e, PS_CONFIG, "there is no user '%s'",
			       SANDBOX_USER);
	p->uid = pw->pw_uid;
	p->gid = pw->pw_gid;
	return 0;
}

/* ---- what is missing ---- */

static bool planned(const struct setup_plan *p, const char *path)
{
	unsigned i;

	for (i = 0; i < p->n; i++)
		if (p->list[i].kind == ACT_DIR &&
		    strcmp(p->list[i].path, path) == 0)
			return true;
	return false;
}

/* One folder, and those above it that are missing. */
static int want_dir(struct setup_plan *p, const char *path, mode_t mode,
		    const char *what, struct err *e)
{
	char part[PLACE_SIZE];
	const char *at = path;
	struct action *a;
	struct stat st;

	while (*at != '\0') {
		at += strspn(at, "/");
		at += strcspn(at, "/");
		snprintf(part, sizeof(part), "%.*s", (int)(at - path), path);
		if (stat(part, &st) == 0 && !S_ISDIR(st.st_mode))
			return err_set(e, PS_CONFIG, "%s: is no folder", part);
		if (planned(p, part) || stat(part, &st) == 0)
			continue;
		a = setup_add(p, ACT_DIR, part, "folder %s%s%s%s", part,
			      *at == '\0' ? " (" : "", *at == '\0' ? what : "",
			      *at == '\0' ? ")" : "");
		if (a == NULL)
			return no_room(e);
		a->mode = *at == '\0' ? mode : 0755;
	}
	return 0;
}

static bool same_text(const char *path, const char *text)
{
	size_t n;
	char *have = doctor_read(path, FILE_SIZE, &n);
	bool same = have != NULL && strcmp(have, text) == 0;

	if (have != NULL)
		secret_wipe(have, n);
	free(have);
	return same;
}

int setup_want_file(struct setup_plan *p, const char *name, char *text,
		    mode_t mode, const char *what, struct err *e)
{
	char path[PLACE_SIZE + NAME_MAX];
	struct action *a;

	if (text == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s", name);
	snprintf(path, sizeof(path), "%s/%s", p->etc, name);
	if (same_text(path, text)) {
		secret_wipe(text, strlen(text));
		free(text);
		return 0;
	}
	a = setup_add(p, ACT_FILE, name, "file %s (%s)", path, what);
	if (a == NULL) {
		free(text);
		return no_room(e);
	}
	a->mode = mode;
	a->text = text;
	return 0;
}

static bool is_there(const struct setup_plan *p, const char *name)
{
	char path[PLACE_SIZE + NAME_MAX];

	snprintf(path, sizeof(path), "%s/%s", p->etc, name);
	return access(path, F_OK) == 0;
}

static int want_dirs(struct setup_plan *p, struct err *e)
{
	const struct choices *c = p->c;
	char path[PLACE_SIZE];
	struct cache *cache;
	int rc = want_dir(p, p->etc, 0755, "configuration", e);

	place_data(c, "", path);
	if (rc == 0)
		rc = want_dir(p, path, 0755, "data", e);
	place_state(c, "health", path);
	if (rc == 0)
		rc = want_dir(p, path, 0750, "samples and alerts", e);
	place_state(c, "config", path);
	if (rc == 0 && c->cs)
		rc = want_dir(p, path, 0700, "registry", e);
	place_state(c, "identity", path);
	if (rc == 0 && (p->joins || !c->cs))
		rc = want_dir(p, path, 0700, "identity of this server", e);
	place_data(c, "cache", path);
	if (rc < 0)
		return rc;
	if (cache_look(&cache, path, NULL) == 0)
		cache_close(cache);
	else if (setup_add(p, ACT_CACHE, path, "cache %s", path) == NULL)
		return no_room(e);
	return 0;
}

static char *line_of(const char *a, const char *between, const char *b)
{
	char *text = NULL;

	return asprintf(&text, "%s%s%s\n", a, between, b) < 0 ? NULL : text;
}

static int want_key(struct setup_plan *p, struct err *e)
{
	const struct vault_creds *v = &p->c->vault;
	char *text;

	if (v->url[0] == '\0' || is_there(p, "vault.key"))
		return 0;
	if (v->key_file[0] == '\0')
		return setup_add(
			   p, ACT_KEY, "vault.key",
			   "file %s/vault.key (new key of the vault; of one "
			   "that others store in, name theirs: key-file)",
			   p->etc) == NULL
			   ? no_room(e)
			   : 0;
	text = doctor_read(v->key_file, FILE_SIZE, NULL);
	if (text == NULL)
		return err_sys(e, 0, "%s", v->key_file);
	return setup_want_file(p, "vault.key", text, 0600, "key of the vault",
			       e);
}

static int want_secrets(struct setup_plan *p, struct err *e)
{
	const struct choices *c = p->c;
	int rc = want_key(p, e);

	if (rc == 0 && !c->cs)
		rc = setup_want_file(p, "connection.passphrase",
				     line_of(c->passphrase, "", ""), 0600,
				     "passphrase", e);
	if (rc == 0 && c->vault.n > 0)
		rc = setup_want_file(p, "store.credentials",
				     choices_credentials(c), 0600,
				     "credentials of the store", e);
	if (rc == 0 && c->proxy.auth)
		rc = setup_want_file(
		    p, "proxy.auth",
		    line_of(c->proxy.user, ":", c->proxy.password), 0600,
		    "log-in at the proxy", e);
	if (rc == 0 && c->cs && c->mysql_file != NULL)
		rc = setup_want_file(p, "mysql.credentials", choices_mysql(c),
				     0600, "credentials of the database", e);
	if (rc == 0 && !p->joins &&
	    !(is_there(p, "server.pem") && is_there(p, "server.key")) &&
	    setup_add(p, ACT_CERT, "server.pem",
		      "files %s/server.pem, server.key (certificate)",
		      p->etc) == NULL)
		rc = no_room(e);
	return rc;
}

static int want_yaml(struct setup_plan *p, struct err *e)
{
	char path[PLACE_SIZE + NAME_MAX], *old;
	unsigned before = p->n;
	int rc = setup_want_file(p, "ps.yaml", server_yaml(p), 0644,
				 "configuration of the server", e);

	if (rc < 0 || p->n == before)
		return rc;
	snprintf(path, sizeof(path), "%s/ps.yaml", p->etc);
	old = doctor_read(path, 1u << 20, NULL);
	return old == NULL ? 0
			   : setup_want_file(p, "ps.yaml.old", old, 0644,
					     "what ps.yaml was", e);
}

/* Another version is a matter of an upgrade. */
static int want_record(struct setup_plan *p, struct err *e)
{
	struct record r = {.version = ""};
	int rc = place_installed(p->c) ? record_read(p->c, &r, e) : 0;

	if (rc < 0)
		return rc;
	if (r.version[0] != '\0' && strcmp(r.version, version_ours()) != 0) {
		rc =
		    err_set(e, PS_CONFIG, "version %s is installed, this is %s",
			    r.version, version_ours());
		err_hint(e, "unifiedsetup --upgrade first");
		return rc;
	}
	snprintf(r.version, sizeof(r.version), "%s", version_ours());
	snprintf(r.role, sizeof(r.role), "%s", p->c->cs ? "cs" : "ps");
	snprintf(r.services, sizeof(r.services), "%s", p->services);
	return setup_want_file(p, RECORD_FILE, record_text(&r), 0644,
			       "what is installed", e);
}

/* ---- programs ---- */

/* Is it there, with its tables, its key and its authority? */
static bool registry_is_there(const struct setup_plan *p, const char *yaml)
{
	const char *const argv[] = {"ps-config", "cert", "authority",
				    "--config",	 yaml,	 NULL};
	struct err e = {0};
	char *text;
	int status;

	if (!place_installed(p->c) ||
	    setup_command(p, argv, &text, &status, &e) < 0)
		return false;
	free(text);
	return status == 0;
}

static int want_registry(struct setup_plan *p, const char *yaml, struct err *e)
{
	const char *const init[] = {"ps-config", "init", "--config", yaml,
				    NULL};
	const char *const words[] = {"ps-config", "passphrase", "new", "--keep",
				     "--config",  yaml,		NULL};
	char kept[PLACE_SIZE];
	int rc = registry_is_there(p, yaml)
		     ? 0
		     : setup_program(p, "registry of the configuration server",
				     init, e);

	place_state(p->c, "config/connection.passphrase", kept);
	if (rc == 0 && access(kept, F_OK) < 0)
		rc = setup_program(p, "passphrase of the site", words, e);
	return rc;
}

/* Does the registry know the process server here, as it is to be? */
static bool own_is_known(const struct setup_plan *p, const char *yaml)
{
	const struct choices *c = p->c;
	const char *const argv[] = {"ps-config", "server",   "show", c->here,
				    "--json",	 "--config", yaml,   NULL};
	struct err e = {0};
	const char *address;
	bool known = false;
	json_t *own;
	char *text;
	int status;

	if (!place_installed(c) ||
	    setup_command(p, argv, &text, &status, &e) < 0)
		return false;
	own = status == 0 ? json_loads(text, 0, NULL) : NULL;
	free(text);
	address = json_string_value(json_object_get(own, "address"));
	known = address != NULL && strcmp(address, c->address) == 0 &&
		json_integer_value(json_object_get(own, "port")) ==
		    (json_int_t)c->port;
	json_decref(own);
	return known;
}

/* Machines are given to it by its name: it has to be there, also where nobody
 * starts the services yet that it would register with. */
static int want_own_server(struct setup_plan *p, const char *yaml,
			   struct err *e)
{
	const struct choices *c = p->c;
	char port[16], words[PLACE_SIZE];
	const char *const argv[] = {"ps-config", "server",   "add",    c->here,
				    "--address", c->address, "--port", port,
				    "--config",	 yaml,	     NULL};

	snprintf(port, sizeof(port), "%u", (unsigned)c->port);
	snprintf(words, sizeof(words),
		 "process server '%s' of its own, in the registry", c->here);
	return own_is_known(p, yaml) ? 0 : setup_program(p, words, argv, e);
}

static int want_registration(struct setup_plan *p, const char *yaml,
			     struct err *e)
{
	const struct choices *c = p->c;
	char pass[PLACE_SIZE + 32], port[16], cs_port[16];
	const char *const argv[] = {
	    "ps-config", "register", "--config",
	    yaml,	 "--cs",     c->cs ? c->address : c->csip,
	    "--cs-port", cs_port,    "-P",
	    pass,	 "--port",   port,
	    "--address", c->address, "--name",
	    c->here,	 NULL};

	if (c->cs)
		place_state(c, "config/connection.passphrase", pass);
	else
		snprintf(pass, sizeof(pass), "%s/connection.passphrase",
			 p->etc);
	snprintf(port, sizeof(port), "%u", (unsigned)c->port);
	snprintf(cs_port, sizeof(cs_port), "%u", (unsigned)c->cs_port);
	if (p->joins) {
		if (setup_program(p, "registration", argv, e) < 0)
			return -e->code;
		place_state(c, "identity", p->list[p->n - 1].watch);
		return 0;
	}
	return setup_add(p, ACT_NOTE, "register",
			 "registration: not done, this ps-config has no "
			 "'register'; on %s: ps-config server add %s --address "
			 "%s --port %s",
			 c->csip, c->here, c->address, port) == NULL
		   ? no_room(e)
		   : 0;
}

bool setup_can_join(bool cs)
{
	return setup_has_command("ps-config", "register") &&
	       (!cs || (setup_has_command("ps-config", "serve") &&
			setup_has_command("ps-service", "start")));
}

void setup_find_services(const struct setup_plan *p, bool cs, bool vault,
			 char *out, size_t size)
{
	snprintf(out, size, "%sreceive%s%s,health%s,renew",
		 cs && setup_has_command("ps-config", "serve") ? CONFIG_SERVICE
		     ","
							       : "",
		 vault ? ",pipeline" : "", p->joins ? ",heartbeat" : "",
		 vault ? ",verify" : "");
}

/* Would one that runs not come back after a boot? Without systemd: unknown. */
static bool is_for_now(const json_t *service)
{
	return json_is_false(json_object_get(service, "boot"));
}

/* Does one that runs so, as ps-service says, run with older files? */
static bool runs_older(const json_t *service, int64_t changed_s)
{
	const char *since =
	    json_string_value(json_object_get(service, "since"));
	int64_t ns;

	return since != NULL && parse_time(since, &ns) &&
	       ns / NS_PER_S < changed_s;
}

/* Their folder has changed when one of the files got its name. */
const char *setup_services_need(const struct setup_plan *p,
				const char *const *status_argv)
{
	struct command run = {
	    .argv = status_argv, .seconds = 20, .max = 1u << 16};
	bool older = false, for_now = false;
	struct stat st;
	json_t *list;
	char *text;
	int status;
	size_t i;

	if (stat(p->etc, &st) < 0 ||
	    command_run(&run, &text, &status, NULL) < 0)
		return "start";
	list = json_loads(text, 0, NULL);
	for (i = 0; i < json_array_size(list); i++) {
		older |= runs_older(json_array_get(list, i), st.st_mtime);
		for_now |= is_for_now(json_array_get(list, i));
	}
	json_decref(list);
	free(text);
	return older ? "restart" : status != 0 || for_now ? "start" : NULL;
}

static int want_services(struct setup_plan *p, const char *names,
			 const char *what, bool changed, struct err *e)
{
	const char *argv[] = {"ps-service", "status", "--json",	  "--services",
			      names,	    "--root", p->c->root, NULL};
	const char *act[] = {"ps-service", "start",  "--quiet",	 "--services",
			     names,	   "--root", p->c->root, NULL};
	const char *need;

	if (p->c->root == NULL) {
		argv[5] = NULL;
		act[5] = "--boot";
		act[6] = NULL;
	}
	if (!setup_has_command("ps-service", "start"))
		return setup_add(p, ACT_NOTE, "services",
				 "services: not started, there is no "
				 "ps-service; ps-receive --config %s/ps.yaml",
				 p->etc) == NULL
			   ? no_room(e)
			   : 0;
	/* What runs has read the files before they change. */
	need = changed && place_installed(p->c) ? "restart"
						: setup_services_need(p, argv);
	if (need == NULL)
		return 0;
	act[1] = need;
	return setup_program(p, what, act, e);
}

/* Its process server registers at itself, which has to run for that. */
static int want_own_registration(struct setup_plan *p, const char *yaml,
				 bool changed, struct err *e)
{
	const char *rest = strchr(p->services, ',') + 1;
	struct action *a;
	int rc = want_services(p, CONFIG_SERVICE, "configuration server",
			       changed, e);

	if (rc == 0 && setup_has_own_key(p)) {
		a = setup_add(p, ACT_CALL, "server.key",
			      "key of the process server: it keeps the one "
			      "that it has");
		if (a == NULL)
			return no_room(e);
		a->check = setup_keep_own_key;
	}
	if (rc == 0)
		rc = want_registration(p, yaml, e);
	return rc < 0 ? rc : want_services(p, rest, "services", changed, e);
}

static int want_programs(struct setup_plan *p, const char *yaml, bool changed,
			 struct err *e)
{
	bool cs = p->c->cs;
	int rc = cs ? want_registry(p, yaml, e) : 0;

	if (rc == 0 && cs && p->joins)
		return want_own_registration(p, yaml, changed, e);
	if (rc == 0)
		rc = cs ? want_own_server(p, yaml, e)
			: want_registration(p, yaml, e);
	return rc < 0 ? rc
		      : want_services(p, p->services, "services", changed, e);
}

int setup_install(struct setup_plan *p, const struct choices *c, struct err *e)
{
	char yaml[PLACE_SIZE + 16];
	int rc = setup_begin(p, c, e);
	bool changed;

	snprintf(yaml, sizeof(yaml), "%s/ps.yaml", p->etc);
	p->joins = setup_can_join(c->cs);
	setup_find_services(p, c->cs, c->vault.url[0] != '\0', p->services,
			    sizeof(p->services));
	if (rc == 0)
		rc = want_dirs(p, e);
	if (rc == 0)
		rc = want_secrets(p, e);
	if (rc == 0)
		rc = want_yaml(p, e);
	changed = p->n > 0;
	if (rc == 0)
		rc = want_record(p, e);
	if (rc == 0)
		rc = want_programs(p, yaml, changed, e);
	if (rc == 0)
		rc = setup_want_checks(p, yaml, e);
	return rc;
}
