/*
 * unifiedsetup(8): installs a configuration or process server, after it has
 * looked at everything that would stand in the way.
 */
#include "config.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/secret.h"
#include "base/tool.h"
#include "base/units.h"
#include "base/version.h"
#include "print-json.h"
#include "setup/ask.h"
#include "setup/choices.h"
#include "setup/eula.h"
#include "setup/flags.h"
#include "setup/install.h"
#include "setup/openings.h"
#include "setup/preflight.h"
#include "setup/record.h"
#include "unifiedsetup.h"

static struct choices choices = {.port = SETUP_DATA_PORT,
				 .cs_port = SETUP_CS_PORT};
static const char *template_path, *set_proxy;
static bool accept_eula, show_eula, check_only, json, print_command;
static bool show_firewall, open_firewall, dry_run;
static bool uninstall, upgrade, rollback, reregister;
static struct remove_how how = {.drain_s = 600};

static const struct opt opts[] = {
    {0, "server-mode", OPT_CHOICE, "MODE", &choices.mode,
     "CS: configuration server with a process server; PS: that alone", 0, 0,
     "CS|PS", 0, 0},
    {0, "install-location", OPT_DIR, "DIR", &choices.location,
     "folder of the cache", 0, 0, 0, 0, 0},
    {0, "install-drive", OPT_DIR, "DIR", &choices.drive,
     "the same, as older scripts have it", 0, 0, 0, 0, 0},
    {0, "mysql-creds-file-path", OPT_FILE, "FILE", &choices.mysql_file,
     "CS: the registry is in MariaDB (default: SQLite)", 0, 0, 0, 0, 0},
    {0, "vault-creds-file-path", OPT_FILE, "FILE", &choices.vault_file,
     "the vault and its credentials", 0, 0, 0, 0, 0},
    {0, "env-type", OPT_CHOICE, "TYPE", &choices.env,
     "of what is protected: virtual machines of VMware, or others", 0, 0,
     "VMWare|NonVMWare", 0, 0},
    {0, "psip", OPT_TEXT, "ADDRESS", &choices.psip,
     "address of this machine that data come in by (default: that of the way "
     "to --csip)",
     0, 0, 0, 0, 0},
    {0, "csip", OPT_TEXT, "ADDRESS", &choices.csip,
     "of the configuration server", 0, 0, 0, 0, 0},
    {0, "passphrase-file-path", OPT_FILE, "FILE", &choices.passphrase_file,
     "PS: the configuration server's passphrase", 0, 0, 0, 0, 0},
    {0, "bypass-proxy", OPT_FLAG, 0, &choices.bypass,
     "reach the vault without a proxy", 0, 0, 0, 0, 0},
    {0, "proxy-settings-file-path", OPT_FILE, "FILE", &choices.proxy_file,
     "reach the vault by this proxy", 0, 0, 0, 0, 0},
    {0, "data-transfer-secure-port", OPT_NUMBER, "PORT", &choices.port,
     "where data come in (default: 9443)", 0, 0, 0, 1, 65535},
    {0, "skip-space-check", OPT_FLAG, 0, &choices.skip_space,
     "go on with less than 5 GB for the cache", 0, 0, 0, 0, 0},
    {0, "accept-thirdparty-eula", OPT_FLAG, 0, &accept_eula,
     "accepted, and not needed", 0, 0, 0, 0, 0},
    {0, "show-thirdparty-eula", OPT_FLAG, 0, &show_eula,
     "print the licences and end, whatever else is given", 0, 0, 0, 0, 0},
    {0, "cs-port", OPT_NUMBER, "PORT", &choices.cs_port,
     "of the configuration server (default: 443)", 0, 0, 0, 1, 65535},
    {0, "name", OPT_TEXT, "NAME", &choices.name,
     "of this server (default: that of the host)", 0, 0, 0, 0, 0},
    {0, "root", OPT_DIR, "DIR", &choices.root,
     "install below this folder, without root and systemd", 0, 0, 0, 0, 0},
    {0, "check", OPT_FLAG, 0, &check_only, "look at all of it, change nothing",
     0, 0, 0, 0, 0},
    {0, "dry-run", OPT_FLAG, 0, &dry_run, "say each step, do none of them", 0,
     0, 0, 0, 0},
    {0, "set-proxy", OPT_FILE, "FILE", &set_proxy,
     "installed: another proxy on the way to the vault; none: no proxy", 0, 0,
     0, 0, 0},
    {0, "upgrade", OPT_FLAG, 0, &upgrade,
     "installed: to the version of this program", 0, 0, 0, 0, 0},
    {0, "rollback", OPT_FLAG, 0, &rollback,
     "upgraded: back to the version of this program", 0, 0, 0, 0, 0},
    {0, "reregister", OPT_FLAG, 0, &reregister,
     "installed: register again (/PassphraseFilePath, /CSIP, --cs-port)", 0, 0,
     0, 0, 0},
    {0, "uninstall", OPT_FLAG, 0, &uninstall,
     "take the installation away; data stay", 0, 0, 0, 0, 0},
    {0, "purge", OPT_FLAG, 0, &how.purge, "--uninstall: data go, too", 0, 0, 0,
     0, 0},
    {0, "drain-for", OPT_DURATION, "TIME", &how.drain_s,
     "--uninstall: how long the cache may take to drain (default: 10m)", 0, 0,
     0, 0, 0},
    {0, "discard-cache", OPT_FLAG, 0, &how.discard,
     "--uninstall: what is in the cache and in no vault need not be stored", 0,
     0, 0, 0, 0},
    {0, "yes", OPT_FLAG, 0, &how.yes,
     "--uninstall, --upgrade, --rollback: although others are left behind", 0,
     0, 0, 0, 0},
    {0, "show-firewall", OPT_FLAG, 0, &show_firewall,
     "print what has to pass firewalls, and end", 0, 0, 0, 0, 0},
    {0, "open-firewall", OPT_FLAG, 0, &open_firewall,
     "let it pass the firewall of this machine, and end", 0, 0, 0, 0, 0},
    {0, "print-command", OPT_FLAG, 0, &print_command,
     "print all of it as one command line, and end", 0, 0, 0, 0, 0},
    {0, "write-template", OPT_FILE, "FILE", &template_path,
     "make a file of vault credentials to fill in, and end", 0, 0, 0, 0, 0},
    {0, "json", OPT_FLAG, 0, &json, "print JSON, errors too", 0, 0, 0, 0, 0},
    {0},
};

static const struct opt_tool tool = {
    .name = "unifiedsetup",
    .about = "Install a configuration or process server.",
    .synopsis = "[--check | --dry-run] /ServerMode CS|PS /InstallLocation DIR "
		"/EnvType TYPE [...]\n"
		"--show-firewall | --open-firewall [--dry-run] FLAGS\n"
		"--print-command FLAGS\n"
		"--upgrade | --rollback [--yes] [--dry-run] [--root DIR]\n"
		"--reregister [/PassphraseFilePath FILE] [/CSIP ADDRESS] "
		"[--dry-run] [--root DIR]\n"
		"--uninstall [--purge] [--drain-for TIME | --discard-cache] "
		"[--yes] [--dry-run] [--root DIR]\n"
		"--set-proxy FILE [--dry-run] [--root DIR]\n"
		"--write-template FILE\n"
		"/ShowThirdpartyEULA\n",
    .opts = opts,
};

/* Ends: the fault as a line of JSON, or as words. */
static _Noreturn void die(const struct fault *f, bool as_json)
{
	char *text = as_json ? fault_json(f) : NULL;

	if (text == NULL)
		tool_die(&f->err);
	puts(text);
	free(text);
	exit(tool_finish(f->err.code));
}

/* The same for what does not go together. */
static _Noreturn void contradict(const char *words)
{
	struct fault f = {0};

	(void)err_set(&f.err, PS_USAGE, "%s", words);
	(void)fault_note(&f, "contradiction", NULL, NULL);
	die(&f, json);
}

static void parse(int argc, char **argv)
{
	struct fault f = {0};
	char **words;
	int n;

	if (flags_have(argc, argv, "show-thirdparty-eula")) {
		eula_print(stdout);
		exit(tool_finish(PS_OK));
	}
	if (flags_translate(opts, argc, argv, &n, &words, &f) < 0)
		die(&f, flags_have(argc, argv, "json"));
	(void)opt_parse(&tool, n, words);
}

/* Paths below it stand in ps.yaml, so it has to be a whole one. */
static void complete_root(void)
{
	static char whole[PATH_MAX];
	char cwd[PATH_MAX] = "";
	struct fault f = {0};
	size_t n;

	if (choices.root == NULL)
		return;
	if (choices.root[0] != '/' && getcwd(cwd, sizeof(cwd) - 1) == NULL)
		tool_die_errno(0, "--root");
	if ((size_t)snprintf(whole, sizeof(whole), "%s%s%s", cwd,
			     cwd[0] != '\0' ? "/" : "",
			     choices.root) >= PATH_MAX / 2 ||
	    strpbrk(whole, "\"\\\n") != NULL) {
		(void)err_set(&f.err, PS_USAGE,
			      "--root: '%s' cannot stand in ps.yaml",
			      choices.root);
		(void)fault_note(&f, "bad-value", "root", NULL);
		die(&f, json);
	}
	n = strlen(whole);
	while (n > 0 && whole[n - 1] == '/')
		whole[--n] = '\0';
	/* "/" is the system itself. */
	choices.root = n > 0 ? whole : NULL;
}

static int write_template(void)
{
	struct fault f = {0};

	if (vault_creds_template(template_path, time_now_ns() / NS_PER_S,
				 &f.err) < 0) {
		(void)fault_note(&f, "template", "write-template",
				 template_path);
		die(&f, json);
	}
	return PS_OK;
}

/* All that can be known without looking at the machine. */
static void prepare(void)
{
	struct fault f = {0};
	unsigned i;

	if (choices_check(&choices, &f) < 0 || choices_read(&choices, &f) < 0) {
		choices_wipe(&choices);
		die(&f, json);
	}
	for (i = 0; i < choices.nnotes; i++)
		tool_warn("%s", choices.notes[i]);
}

/* ---- firewalls ---- */

static int print_openings(void)
{
	struct openings o;
	char *text;

	openings_of(&choices, &o);
	if (!json) {
		openings_print(&o, &choices, stdout);
		return PS_OK;
	}
	text = openings_json(&o, &choices);
	if (text == NULL)
		tool_die_errno(PS_TEMPFAIL, "JSON");
	puts(text);
	free(text);
	return PS_OK;
}

static void say_opening(void *ctx, const char *command)
{
	bool *ret_nft = ctx;

	*ret_nft = strncmp(command, "nft ", 4) == 0;
	puts(command);
}

static int apply_openings(void)
{
	struct openings o;
	struct err e = {0};
	bool nft = false;
	int n;

	openings_of(&choices, &o);
	n = openings_apply(&o, dry_run, say_opening, &nft, &e);
	if (n < 0)
		return tool_fail(&e);
	if (n == 0)
		tool_warn("nothing here drops the ports");
	else if (nft)
		tool_warn("that lasts until the rules are loaded anew, as at "
			  "boot: the same lines, without the word nft, have to "
			  "stand at the end of /etc/nftables.conf, too");
	return PS_OK;
}

/* ---- the preflight ---- */

static void tell_check(void *ctx, unsigned i, const struct finding *f)
{
	doctor_view_tell(ctx, preflight_steps(&(unsigned){0}) + i, f);
}

/* True when nothing stands in the way. */
static bool preflight(const char *const *only)
{
	struct doctor_view v = doctor_view_here();
	struct preflight p;
	struct err e = {0};
	bool ready;
	char *text;

	v.advise = true;
	if (json)
		v.f = NULL;
	if (only == NULL && !json && !opt_quiet)
		printf("unifiedsetup: a %s\n\n",
		       choices.cs ? "configuration server with a process server"
				  : "process server");
	fflush(stdout);
	if (preflight_run(&p, &choices, only, tell_check, &v, &e) < 0) {
		preflight_free(&p);
		choices_wipe(&choices);
		tool_die(&e);
	}
	ready = p.n[DOCTOR_FAILED] == 0;
	if (!json && !opt_quiet)
		preflight_view_end(&p, stdout);
	/* Installing answers with what it did. */
	text = json && (check_only || !ready) ? preflight_json(&p) : NULL;
	if (text != NULL)
		puts(text);
	free(text);
	preflight_free(&p);
	return ready;
}

/* ---- installing ---- */

void tell_action(void *ctx, const struct action *a, const struct err *e)
{
	json_t *list = ctx;

	if (list != NULL)
		json_array_append_new(
		    list,
		    json_pack("{s:s, s:s, s:s?}", "step", a->words, "result",
			      e != NULL ? "failed" : action_word(a), "error",
			      e != NULL ? e->msg : NULL));
	else if (!opt_quiet || e != NULL || a->kind == ACT_NOTE)
		printf("%-7s%s%s%s\n",
		       e != NULL			? "FAILED"
		       : dry_run && a->kind != ACT_NOTE ? "would"
							: action_word(a),
		       a->words, e != NULL ? ": " : "",
		       e != NULL ? e->msg : "");
	fflush(stdout);
}

static void say_next(json_t *list)
{
	char *text = setup_next(&choices), *line, *rest = text;

	if (text == NULL)
		return;
	if (!opt_quiet && list == NULL)
		printf("\nNext:\n%s", text);
	while (list != NULL && (line = strsep(&rest, "\n")) != NULL)
		if (*line != '\0')
			json_array_append_new(list, json_string(line));
	free(text);
}

enum change { INSTALL, PROXY };

static int make_plan(enum change what, struct setup_plan *p, struct err *e)
{
	return what == INSTALL ? setup_install(p, &choices, e)
			       : setup_set_proxy(p, &choices, e);
}

static int change(enum change what)
{
	static const char *const done[] = {"installed", "changed"};
	json_t *list = json ? json_array() : NULL;
	json_t *next = json ? json_array() : NULL;
	static struct setup_plan p;
	struct err e = {0};
	unsigned i;
	int rc = dry_run ? 0 : setup_recover(&choices, &e);

	if (rc == 0)
		rc = make_plan(what, &p, &e);
	for (i = 0; rc == 0 && dry_run && i < p.n; i++)
		tell_action(list, &p.list[i], NULL);
	if (rc == 0 && !dry_run)
		rc = setup_run(&p, tell_action, list, &e);
	setup_free(&p);
	if (rc == 0 && !dry_run && what == INSTALL)
		say_next(next);
	if (json)
		(void)print_json(
		    json_pack("{s:s, s:b, s:s?, s:o, s:o}", "result",
			      rc < 0 ? "failed" : done[what], "dry_run",
			      dry_run, "error", rc < 0 ? e.msg : NULL, "steps",
			      list, "next", next),
		    &e);
	return rc < 0 ? tool_fail(&e) : PS_OK;
}

/* ---- questions ---- */

/* True when all was asked for, page by page. */
static bool ask_all(void)
{
	struct err e = {0};

	if (json || !ask_wanted(&choices) || !isatty(STDIN_FILENO) ||
	    !isatty(STDOUT_FILENO))
		return false;
	if (ask_choices(&choices, stdin, stdout, &e) < 0) {
		choices_wipe(&choices);
		tool_die(&e);
	}
	putchar('\n');
	return true;
}

static void say_command(void)
{
	fputs("\nThe same as one command:\n  ", stdout);
	choices_print(&choices, stdout);
	putchar('\n');
}

static void check_actions(void)
{
	if (check_only + show_firewall + open_firewall + print_command +
		uninstall + upgrade + rollback + reregister +
		(template_path != NULL) + (set_proxy != NULL) >
	    1)
		contradict("--check, --show-firewall, --open-firewall, "
			   "--print-command, --upgrade, --rollback, "
			   "--reregister, --uninstall, --set-proxy and "
			   "--write-template exclude each other");
	if ((how.purge || how.discard || opt_given(opts, "drain-for")) &&
	    !uninstall)
		contradict("--purge, --discard-cache and --drain-for belong to "
			   "--uninstall");
	if (how.yes && !uninstall && !upgrade && !rollback)
		contradict("--yes belongs to --uninstall, --upgrade, "
			   "--rollback");
}

/* Tried first, on the vault that is installed. */
static int change_proxy(void)
{
	static const char *const only[] = {"store", "proxy", NULL};
	struct fault f = {0};

	choices.bypass = strcmp(set_proxy, "none") == 0;
	choices.proxy_file = choices.bypass ? NULL : set_proxy;
	if (!choices.bypass &&
	    proxy_settings_read(&choices.proxy, set_proxy, &f) < 0) {
		f.option = "set-proxy";
		die(&f, json);
	}
	if (choices_installed(&choices, &f.err) < 0)
		die(&f, json);
	return preflight(only) ? change(PROXY) : PS_NO;
}

/* ---- what is installed ---- */

/* To install over another version is to upgrade it, as it is. */
static bool is_upgrade(void)
{
	struct record was;
	struct err e = {0};

	if (check_only || print_command || show_firewall || open_firewall ||
	    !place_installed(&choices) || record_read(&choices, &was, &e) < 0 ||
	    strcmp(was.version, version_ours()) == 0)
		return false;
	if (choices.mode != NULL)
		tool_warn("version %s is installed: it is upgraded as it is, "
			  "flags are not looked at",
			  was.version);
	return true;
}

static enum later later(void)
{
	return uninstall		 ? UNINSTALL
	       : rollback		 ? ROLLBACK
	       : reregister		 ? REREGISTER
	       : upgrade || is_upgrade() ? UPGRADE
					 : LATER_NONE;
}

static int change_later(enum later what)
{
	static const char *const only[] = {"versions", NULL};
	const struct later_ask ask = {
	    .c = &choices,
	    .json = json,
	    .dry_run = dry_run,
	    .how = how,
	    .again = {choices.passphrase_file, choices.csip,
		      opt_given(opts, "cs-port") ? choices.cs_port : 0}};

	/* Programs of two versions would be started. */
	if ((what == UPGRADE || what == ROLLBACK) &&
	    place_installed(&choices) && !preflight(only))
		return PS_NO;
	return later_run(what, &ask);
}

/* What the choices are for. */
static int act(void)
{
	enum later what = set_proxy == NULL ? later() : LATER_NONE;
	bool asked;
	int code;

	if (set_proxy != NULL)
		return change_proxy();
	if (what != LATER_NONE)
		return change_later(what);
	asked = !print_command && ask_all();
	prepare();
	if (print_command) {
		choices_print(&choices, stdout);
		putchar('\n');
		return PS_OK;
	}
	preflight_address(&choices);
	if (show_firewall)
		return print_openings();
	if (open_firewall)
		return apply_openings();
	code = preflight(NULL) ? PS_OK : PS_NO;
	if (code == PS_OK && !check_only)
		code = change(INSTALL);
	if (asked)
		say_command();
	return code;
}

int main(int argc, char **argv)
{
	int code;

	tool_init("unifiedsetup");
	secret_harden_process();
	parse(argc, argv);
	check_actions();
	complete_root();
	code = template_path != NULL ? write_template() : act();
	choices_wipe(&choices);
	return tool_finish(code);
}
