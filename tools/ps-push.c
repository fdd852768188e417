/* ps-push(8): brings the agent to machines over SSH. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/opt.h"
#include "base/pool.h"
#include "base/secret.h"
#include "base/tool.h"
#include "base/units.h"
#include "ps-push.h"
#include "push/push.h"
#include "push/state.h"

#define HOSTS_MAX 10000u
#define DIR LOCALSTATEDIR "/lib/ps-toolkit/config"

static const char *packages_path = LOCALSTATEDIR "/lib/ps-toolkit/repository";
static const char *signers = SYSCONFDIR "/ps-toolkit/package-signers";
static const char *state_path = LOCALSTATEDIR "/lib/ps-toolkit/push";
static const char *account, *passphrase_file, *hosts_file;
static struct reg_where where = {.dir = DIR};
static uint64_t database_wait_s = REG_WAIT_S, jobs = 8, connect_s = 15,
		idle_s = 300, total_s = 1800;
static bool json, retry, no_register;
static struct push push = {
    .role = "MS", .platform = "VmWare", .cs_port = "443"};

static const struct opt opts[] = {
    {'p', "packages", OPT_FILE, "PATH", &packages_path,
     "tarball of the agent, or a folder of them, with signatures", 0, 0, 0, 0,
     0},
    {0, "signers", OPT_FILE, "FILE", &signers,
     "who may sign packages (ssh-keygen: ALLOWED SIGNERS)", 0, 0, 0, 0, 0},
    {'a', "account", OPT_TEXT, "NAME", &account,
     "log in with this account of the configuration server", 0, 0, 0, 0, 0},
    {'u', "user", OPT_TEXT, "USER", &push.way.user,
     "log in as this user, with a key", 0, 0, 0, 0, 0},
    {'i', "identity", OPT_FILE, "FILE", &push.way.identity,
     "the private key for that (default: as ssh finds one)", 0, 0, 0, 0, 0},
    {0, "known-hosts", OPT_FILE, "FILE", &push.way.known_hosts,
     "host keys of the machines (default: ssh's own files)", 0, 0, 0, 0, 0},
    {0, "accept-new", OPT_FLAG, 0, &push.way.accept_new,
     "take the keys of machines that are not known yet, unseen", 0, 0, 0, 0, 0},
    {'d', "install-dir", OPT_TEXT, "DIR", &push.dir,
     "folder of the agent there (default: /usr/local/ASR)", 0, 0, 0, 0, 0},
    {'r', "role", OPT_CHOICE, "ROLE", &push.role,
     "protected machine (default), or master target", 0, 0, "MS|MT", 0, 0},
    {0, "platform", OPT_CHOICE, "NAME", &push.platform,
     "what the machines are (default: VmWare)", 0, 0, "VmWare|Physical", 0, 0},
    {0, "cs", OPT_TEXT, "ADDRESS", &push.cs,
     "the configuration server, as the machines reach it", 0, "config.server",
     0, 0, 0},
    {0, "cs-port", OPT_TEXT, "PORT", &push.cs_port, "its port (default: 443)",
     0, "config.port", 0, 0, 0},
    {'P', "passphrase", OPT_FILE, "FILE", &passphrase_file, "its passphrase", 0,
     0, 0, 0, 0},
    {0, "no-register", OPT_FLAG, 0, &no_register,
     "install only: no configuration server", 0, 0, 0, 0, 0},
    {0, "hosts", OPT_FILE, "FILE", &hosts_file,
     "more hosts, one on a line; -: standard input", 0, 0, 0, 0, 0},
    {0, "retry", OPT_FLAG, 0, &retry, "the hosts whose last push failed", 0, 0,
     0, 0, 0},
    {'j', "jobs", OPT_NUMBER, "N", &jobs, "machines at one time (default: 8)",
     0, 0, 0, 1, 256},
    {'n', "check", OPT_FLAG, 0, &push.check,
     "look at the machines, change nothing", 0, 0, 0, 0, 0},
    {0, "dry-run", OPT_FLAG, 0, &push.check, "the same as --check", 0, 0, 0, 0,
     0},
    {0, "again", OPT_FLAG, 0, &push.again,
     "install although the same version is there", 0, 0, 0, 0, 0},
    {0, "connect-timeout", OPT_DURATION, "TIME", &connect_s,
     "to connect (default: 15s)", 0, 0, 0, 1, 600},
    {0, "idle-timeout", OPT_DURATION, "TIME", &idle_s,
     "without anything from or to a machine (default: 5m)", 0, 0, 0, 1, 3600},
    {0, "timeout", OPT_DURATION, "TIME", &total_s,
     "for one machine (default: 30m)", 0, 0, 0, 1, 86400},
    {0, "state", OPT_DIR, "DIR", &state_path,
     "folder that keeps how the last push to each machine ended", 0, 0, 0, 0,
     0},
    {0, "dir", OPT_DIR, "DIR", &where.dir,
     "folder of the registry's key file and of SQLite's database",
     "PS_CONFIG_DIR", "config.dir", 0, 0, 0},
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
    {0, "database-wait", OPT_DURATION, "TIME", &database_wait_s,
     "how long to wait for the database (default: 90s)", 0,
     "config.database-wait", 0, 1, 3600},
    {0, "json", OPT_FLAG, 0, &json, "print JSON", 0, 0, 0, 0, 0},
    {0}};

static const struct opt_tool tool = {
    .name = "ps-push",
    .about = "Brings the agent to machines over SSH.",
    .synopsis = "[--account NAME | --user USER -i FILE] --cs ADDRESS -P FILE "
		"HOST...\n"
		"--check [OPTIONS] HOST...\n"
		"--retry [OPTIONS]\n",
    .opts = opts,
};

/* ---- the hosts ---- */

struct targets {
	struct target *list;
	size_t n, cap;
};

static int add_host(void *ctx, const char *text, struct err *e)
{
	struct targets *t = ctx;
	struct push_host h;
	int rc = push_host_read(&h, text, e);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < t->n; i++) {
		const struct push_host *o = &t->list[i].host;
		bool same = strcmp(o->text, h.text) == 0;

		if (same && strcmp(o->user, h.user) == 0 &&
		    strcmp(o->name, h.name) == 0)
			return 0;
		if (same || (h.name[0] != '\0' && strcmp(o->name, h.name) == 0))
			return err_set(e, PS_USAGE, "'%s': %s is given twice",
				       text, same ? "the host" : "the name");
	}
	if (t->n == HOSTS_MAX)
		return err_set(e, PS_USAGE, "more than %u hosts", HOSTS_MAX);
	if (t->n == t->cap) {
		size_t cap = t->cap != 0 ? 2 * t->cap : 16;
		struct target *more =
		    reallocarray(t->list, cap, sizeof(*t->list));

		if (more == NULL)
			return err_sys(e, PS_TEMPFAIL, "hosts");
		t->list = more;
		t->cap = cap;
	}
	memset(&t->list[t->n], 0, sizeof(*t->list));
	t->list[t->n++].host = h;
	return 0;
}

static int add_file(struct targets *t, const char *path, struct err *e)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	char *line = NULL;
	size_t size = 0;
	int rc = 0;

	if (f == NULL)
		return err_sys(e, PS_NOINPUT, "%s", path);
	while (rc == 0 && getline(&line, &size, f) > 0) {
		char *text = line + strspn(line, " \t");

		text[strcspn(text, "#")] = '\0';
		secret_trim(text);
		if (*text != '\0')
			rc = add_host(t, text, e);
	}
	free(line);
	if (rc == 0 && ferror(f))
		rc = err_sys(e, 0, "%s", path);
	if (f != stdin)
		fclose(f);
	return rc;
}

static int find_hosts(struct targets *t, char **words, int n,
		      const struct push_state *state, struct err *e)
{
	int rc = 0;

	for (int i = 0; rc == 0 && i < n; i++)
		rc = add_host(t, words[i], e);
	if (rc == 0 && hosts_file != NULL)
		rc = add_file(t, hosts_file, e);
	if (rc == 0 && retry)
		rc = push_state_failed(state, add_host, t, e);
	return rc;
}

/* ---- many at a time ---- */

struct run {
	struct push_state state;
	struct target *list;
};

/* Who sits in front of it sees what goes on. */
static void tell(const struct push_host *h, const char *words)
{
	if (opt_verbose || (!opt_quiet && isatty(STDERR_FILENO)))
		fprintf(stderr, "ps-push: %s: %s\n", h->text, words);
}

static void push_one(void *slot, void *ctx)
{
	struct target *t = *(struct target **)slot;
	struct run *run = ctx;
	struct err e = {0};
	int lock;

	if (push.check) {
		push_run(&push, &t->host, &t->result);
		return;
	}
	lock = push_state_lock(&run->state, &t->host, &e);
	if (lock < 0) {
		t->result.reason = e.code == PS_NO ? REASON_BUSY : REASON_LOCAL;
		snprintf(t->result.words, sizeof(t->result.words), "%s", e.msg);
		return;
	}
	push_run(&push, &t->host, &t->result);
	if (push_state_keep(&run->state, &t->host, &t->result, &e) < 0)
		tool_warn("%s", e.msg);
	close(lock);
}

static int push_all(struct run *run, struct targets *t, struct err *e)
{
	unsigned threads = t->n < jobs ? (unsigned)t->n : (unsigned)jobs;
	struct target **slot;
	struct pool *pool;
	size_t given = 0;
	int rc = pool_new(&pool, threads, 2 * threads, sizeof(*slot), push_one,
			  run, e);

	if (rc < 0)
		return rc;
	for (;;) {
		while (given < t->n && (slot = pool_slot(pool)) != NULL) {
			*slot = &t->list[given++];
			pool_submit(pool);
		}
		slot = pool_take(pool);
		if (slot == NULL)
			break;
		tell(&(*slot)->host, push_end_names[(*slot)->result.end]);
		pool_release(pool);
	}
	pool_free(pool);
	return 0;
}

/* ---- before it begins ---- */

static void check_word(const char *option, const char *text)
{
	if (text != NULL && (!push_word_ok(text) || strlen(text) >= HOST_SIZE))
		opt_misuse("--%s '%s': letters, digits and . _ : / + %% - only",
			   option, text);
}

static void check_asked(int operands)
{
	uint64_t port;

	if (operands == 0 && hosts_file == NULL && !retry)
		opt_misuse("which hosts? HOST..., --hosts FILE or --retry");
	if (account != NULL &&
	    (push.way.user != NULL || push.way.identity != NULL))
		opt_misuse("--account excludes --user and --identity");
	if (no_register)
		push.cs = NULL;
	else if (push.cs == NULL)
		opt_misuse("--cs is missing: the address of the configuration "
			   "server (or --no-register)");
	if (push.dir != NULL && *push.dir != '/')
		opt_misuse("--install-dir '%s': begins with /", push.dir);
	check_word("install-dir", push.dir);
	check_word("cs", push.cs);
	if (!parse_u64(push.cs_port, 65535, &port) || port == 0)
		opt_misuse("--cs-port '%s': no port", push.cs_port);
	check_word("user", push.way.user);
}

static int cancel_pipe[2];

static void cancel(int signal_number)
{
	(void)signal_number;
	/* Stays readable: each thread sees it. */
	if (write(cancel_pipe[1], "", 1) < 0)
		return;
}

static int watch_signals(struct err *e)
{
	struct sigaction act = {.sa_handler = cancel};

	if (pipe2(cancel_pipe, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_sys(e, 0, "pipe");
	push.way.cancel_fd = cancel_pipe[0];
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGHUP, &act, NULL);
	return 0;
}

static int find_secrets(struct secrets *s, struct err *e)
{
	static char kept[512];
	int rc = 0;

	where.wait_s = (unsigned)database_wait_s;
	if (account != NULL)
		rc = secrets_account(s, &where, account, e);
	if (rc < 0)
		return rc;
	if (account != NULL) {
		push.way.user = s->login;
		push.way.password = s->password;
		push.way.folder = s->folder;
		push.way.askpass = s->self;
	}
	if (push.cs == NULL || push.check)
		return 0;
	/* Where ps-config passphrase --keep leaves it. */
	snprintf(kept, sizeof(kept), "%s/connection.passphrase", where.dir);
	rc = secrets_passphrase(
	    s, passphrase_file != NULL ? passphrase_file : kept, e);
	if (rc < 0 && passphrase_file == NULL)
		err_hint(e, "give the file of the passphrase: -P FILE");
	push.passphrase = s->passphrase;
	return rc;
}

/* ---- all of it ---- */

static int code_of(const struct targets *t)
{
	int code = PS_OK;

	for (size_t i = 0; i < t->n; i++) {
		if (t->list[i].result.reason == REASON_CANCELLED)
			return PS_TEMPFAIL;
		if (t->list[i].result.end == PUSH_FAILED)
			code = PS_NO;
	}
	return code;
}

static int run(struct secrets *s, int n, char **words, struct err *e)
{
	struct run r = {.state = {.dirfd = -1}};
	struct packages packages = {0};
	struct targets t = {0};
	int rc = watch_signals(e);

	if (rc == 0 && (!push.check || retry))
		rc = push_state_open(&r.state, state_path, e);
	if (rc == 0)
		rc = find_hosts(&t, words, n, &r.state, e);
	if (rc == 0)
		rc = packages_open(&packages, packages_path, signers, e);
	if (rc == 0)
		rc = find_secrets(s, e);
	push.packages = &packages;
	push.way.connect_s = (unsigned)connect_s;
	push.way.idle_s = (unsigned)idle_s;
	push.way.total_s = (unsigned)total_s;
	push.say = tell;
	if (rc == 0 && t.n > 0)
		rc = push_all(&r, &t, e);
	if (rc == 0 && json)
		rc = report_json(t.list, t.n, e);
	else if (rc == 0 && (!opt_quiet || code_of(&t) != PS_OK))
		report_table(t.list, t.n);
	if (rc == 0)
		rc = code_of(&t);
	packages_close(&packages);
	push_state_close(&r.state);
	free(t.list);
	return rc;
}

int main(int argc, char **argv)
{
	struct secrets s = {.lock = -1};
	struct err e = {0};
	int at, rc;

	session_askpass();
	tool_init("ps-push");
	at = opt_parse(&tool, argc, argv);
	check_asked(argc - at);
	secret_harden_process();
	rc = run(&s, argc - at, argv + at, &e);
	secrets_end(&s);
	return tool_finish(rc < 0 ? tool_fail(&e) : rc);
}
