#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/name.h"
#include "base/opt.h"
#include "base/secret.h"
#include "base/tool.h"
#include "base/units.h"
#include "pipeline/vault-settings.h"
#include "pipeline/vaults.h"
#include "ps-vault.h"
#include "store-opts.h"
#include "vault/key-note.h"

static const char *vault_url, *key_file, *at_text;
static struct request request = {.health =
				     LOCALSTATEDIR "/lib/ps-toolkit/health"};

static const struct opt options[] = {
    {0, "vault", OPT_TEXT, "VAULT", &vault_url,
     "the vault when no operand names one", "PS_VAULT", "vault", 0, 0, 0},
    {'m', "machine", OPT_TEXT, "NAME", &request.machine, "only this machine", 0,
     0, 0, 0, 0},
    {'d', "disk", OPT_TEXT, "NAME", &request.disk, "only this disk", 0, 0, 0, 0,
     0},
    {'k', "key", OPT_FILE, "KEYFILE", &key_file, "key file of the vault",
     "PS_KEY_FILE", "key", 0, 0, 0},
    {'p', "point", OPT_TEXT, "POINT", &request.point,
     "latest, latest-app or the id of a point", 0, 0, 0, 0, 0},
    {0, "at", OPT_TEXT, "TIME", &at_text,
     "the newest complete point at or before this time; for map a sequence", 0,
     0, 0, 0, 0},
    {0, "data", OPT_FLAG, NULL, &request.data,
     "verify: expand every record and check each block", 0, 0, 0, 0, 0},
    {'o', "output", OPT_FILE, "FILE", &request.output,
     "map: the file to write (-: as a stream); kit: FILE.html, FILE.txt", 0, 0,
     0, 0, 0},
    {0, "state", OPT_DIR, "DIR", &request.health,
     "kit: folder of ps-health, which is told of it", "PS_HEALTH_DIR",
     "health.state", 0, 0, 0},
    {0, "limit-rate", OPT_RATE, "RATE", &request.rate,
     "copy: bytes per second at most, as 20M or 100Mbit", 0, 0, 0, 0, 0},
    {'n', "dry-run", OPT_FLAG, NULL, &request.dry_run,
     "copy: say what there is to copy", 0, 0, 0, 0, 0},
    STORE_OPTIONS,
    {0, "json", OPT_FLAG, NULL, &request.json, "print JSON", 0, 0, 0, 0, 0},
    {0},
};

static const struct opt_cmd commands[] = {
    {"init", "make an empty vault, or see that it is one"},
    {"list", "the recovery points"},
    {"show", "one recovery point and what it needs"},
    {"head", "the last segment of each disk, as acknowledgement lines"},
    {"verify", "check every object"},
    {"map", "make a disk map again from the indexes"},
    {"copy", "bring a second vault up to date with this one"},
    {"kit", "the page to print that brings everything back"},
    {"stat", "objects, bytes and points of each disk"},
    {0},
};

static const struct opt_tool tool = {
    .name = "ps-vault",
    .about = "Look at a vault and check it.",
    .synopsis = "init VAULT [-k KEYFILE]\n"
		"list|stat VAULT [--machine M] [--disk D] [-k KEYFILE] "
		"[--json]\n"
		"show VAULT --machine M [--point P|--at TIME] [-k KEYFILE] "
		"[--json]\n"
		"head VAULT [--machine M] [--disk D] [--json]\n"
		"verify [VAULT] [--machine M] [--disk D] [-k KEYFILE] [--data] "
		"[--json]\n"
		"map VAULT --machine M --disk D -o FILE [--point P|--at SEQ] "
		"[-k KEYFILE]\n"
		"copy VAULT TO [--machine M] [--disk D] [--limit-rate R] "
		"[-n] [--json]\n"
		"kit VAULT -k KEYFILE -o FILE.html|FILE.txt\n",
    .opts = options,
    .cmds = commands,
    .operands = "dir",
};

typedef int command_fn(const struct request *r, struct err *e);

static const struct {
	const char *name;
	command_fn *run;
	bool one_machine, one_disk;
} runs[] = {
    {"list", cmd_list, false, false},	  {"show", cmd_show, true, false},
    {"head", cmd_head, false, false},	  {"stat", cmd_stat, false, false},
    {"verify", cmd_verify, false, false}, {"map", cmd_map, true, true},
    {"copy", cmd_copy, false, false},	  {"kit", cmd_kit, false, false},
};

static void check_names(void)
{
	struct err e = {0};

	if (request.machine != NULL &&
	    name_check("machine", request.machine, PS_USAGE, &e) < 0)
		tool_die(&e);
	if (request.disk != NULL &&
	    name_check("disk", request.disk, PS_USAGE, &e) < 0)
		tool_die(&e);
}

static void check_at(const char *command)
{
	if (at_text == NULL)
		return;
	if (request.point != NULL)
		opt_misuse("--point and --at exclude each other");
	if (strcmp(command, "map") == 0 &&
	    parse_u64(at_text, UINT64_MAX, &request.seq) && request.seq > 0)
		return;
	if (!parse_time(at_text, &request.at) || request.at == 0)
		opt_misuse("'%s' is not a time", at_text);
}

/* With a key: it is that of the vault from now on. */
static int init(struct err *e)
{
	struct keyring *keys = NULL;
	struct vault v;
	int rc = 0;

	if (key_file != NULL) {
		secret_harden_process();
		rc = keyring_load(&keys, key_file, e);
	}
	if (rc == 0)
		rc = vault_init(request.url, e);
	if (rc == 0 && keys != NULL) {
		rc = vault_open(&v, request.url, e);
		if (rc == 0) {
			rc = vault_key_note(&v, keys, e);
			vault_close(&v);
		}
	}
	keyring_free(keys);
	return rc;
}

static int run_command(const char *name, struct err *e)
{
	struct keyring *keys = NULL;
	size_t i = 0;
	int rc = 0;

	if (strcmp(name, "init") == 0)
		return init(e);
	while (strcmp(runs[i].name, name) != 0)
		i++;
	if (runs[i].one_machine && request.machine == NULL)
		opt_misuse("%s needs --machine", name);
	if (runs[i].one_disk && request.disk == NULL)
		opt_misuse("%s needs --disk", name);
	check_names();
	check_at(name);
	if (key_file != NULL) {
		secret_harden_process();
		rc = keyring_load(&keys, key_file, e);
	}
	request.keys = keys;
	if (rc == 0)
		rc = vault_open(&request.vault, request.url, e);
	if (rc == 0) {
		rc = runs[i].run(&request, e);
		vault_close(&request.vault);
	}
	keyring_free(keys);
	return rc;
}

/* ---- which vaults ---- */

/* One vault, or for copy two. */
static void take_operands(const char *command, int n, char **urls)
{
	bool copy = strcmp(command, "copy") == 0;

	if (n > (copy ? 2 : 1))
		opt_misuse("too many operands");
	if (copy && n < 2)
		opt_misuse("copy needs two vaults: from, to");
	request.url = n > 0 ? urls[0] : vault_url;
	request.to = copy ? urls[1] : NULL;
	if (n == 0 && opt_from_conf(options, "vault"))
		request.url = NULL;
}

/* Nobody has named one: those of ps.yaml. */
static void take_configured(const char *command, struct vaults *ret)
{
	struct err e = {0};

	if (vaults_from_conf(ret, opt_conf(), &e) < 0)
		tool_die(&e);
	if (ret->n == 0 && vault_url == NULL)
		opt_misuse("no vault is given");
	if (ret->n == 0)
		ret->list[ret->n++] = (struct plan_vault){.url = vault_url};
	if (ret->n > 1 && strcmp(command, "verify") != 0)
		opt_misuse("%s has %u vaults: name one", conf_path(opt_conf()),
			   ret->n);
}

static int one_vault(const char *command)
{
	struct err e = {0};
	int rc = run_command(command, &e);

	/* An answer that is no may have been said on standard output. */
	if (rc < 0)
		return e.code != 0 ? tool_fail(&e) : -rc;
	return PS_OK;
}

/* In a process of its own: each has its own credentials. */
static int in_child(const char *command, const struct plan_vault *v)
{
	const struct store_settings base = store_settings;
	int status = 0;
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	if (pid == 0) {
		vault_settle(&base, v);
		request.url = v->url;
		_exit(tool_finish(one_vault(command)));
	}
	if (pid < 0)
		tool_die_errno(PS_TEMPFAIL, "fork");
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : PS_SOFTWARE;
}

/* One after another; the first that is not well is the answer. */
static int each_vault(const char *command, const struct vaults *all)
{
	int code = PS_OK, one;
	unsigned i;

	for (i = 0; i < all->n; i++) {
		if (!request.json)
			printf("%s:\n", all->list[i].name);
		one = in_child(command, &all->list[i]);
		if (code == PS_OK)
			code = one;
	}
	return code;
}

int main(int argc, char **argv)
{
	struct vaults configured = {.n = 0};
	const char *command;
	int at;

	tool_init("ps-vault");
	at = opt_parse(&tool, argc, argv);
	command = argv[at++];
	take_operands(command, argc - at, argv + at);
	if (request.url == NULL)
		take_configured(command, &configured);
	if (configured.n > 1)
		return tool_finish(each_vault(command, &configured));
	if (configured.n == 1) {
		const struct store_settings base = store_settings;

		vault_settle(&base, &configured.list[0]);
		request.url = configured.list[0].url;
	}
	return tool_finish(one_vault(command));
}
