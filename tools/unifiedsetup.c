/*
 * unifiedsetup(8): looks at a machine and says what stands in the way of a
 * configuration or process server.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/tool.h"
#include "base/units.h"
#include "setup/choices.h"
#include "setup/eula.h"
#include "setup/flags.h"
#include "setup/openings.h"
#include "setup/preflight.h"

static struct choices choices = {.port = SETUP_DATA_PORT,
				 .cs_port = SETUP_CS_PORT};
static const char *template_path;
static bool accept_eula, show_eula, check_only, json, print_command;
static bool show_firewall, open_firewall, dry_run;

static const struct opt opts[] = {
    {0, "server-mode", OPT_CHOICE, "MODE", &choices.mode,
     "CS: configuration server with a process server; PS: that alone", 0, 0,
     "CS|PS", 0, 0},
    {0, "install-location", OPT_DIR, "DIR", &choices.location,
     "folder of the cache and of other data", 0, 0, 0, 0, 0},
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
    .about = "Look whether a machine is fit for a configuration or process "
	     "server.",
    .synopsis = "--check /ServerMode CS|PS /InstallLocation DIR "
		"/EnvType TYPE [...]\n"
		"--show-firewall | --open-firewall [--dry-run] FLAGS\n"
		"--print-command FLAGS\n"
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

static int write_template(void)
{
	struct err e = {0};

	if (vault_creds_template(template_path, time_now_ns() / NS_PER_S, &e) <
	    0)
		return tool_fail(&e);
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

static void say_command(void *ctx, const char *command)
{
	(void)ctx;
	puts(command);
}

static int apply_openings(void)
{
	struct openings o;
	struct err e = {0};
	int n;

	openings_of(&choices, &o);
	n = openings_apply(&o, dry_run, say_command, NULL, &e);
	if (n < 0)
		return tool_fail(&e);
	if (n == 0)
		tool_warn("nothing here drops the ports");
	else if (!dry_run)
		tool_note("rules of nftables last until they are loaded anew");
	return PS_OK;
}

/* ---- the preflight ---- */

static struct doctor_view view(void)
{
	const char *none = getenv("NO_COLOR");
	bool tty = isatty(STDOUT_FILENO);
	struct winsize w;

	return (struct doctor_view){
	    .f = stdout,
	    .colour = tty && (none == NULL || *none == '\0'),
	    .quiet = opt_quiet,
	    .verbose = opt_verbose > 0,
	    .advise = true,
	    .width = ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0
			 ? w.ws_col
			 : 80,
	};
}

/* On a terminal, what is looked at now; it goes when it is over. */
static void tell_check(void *ctx, unsigned i, const struct finding *f)
{
	const struct doctor_view *v = ctx;
	const struct doctor_step *s = preflight_steps(&(unsigned){0}) + i;
	bool tty = isatty(STDERR_FILENO) && !opt_quiet;

	if (f == NULL && tty)
		fprintf(stderr, "...    %s: %s", s->name, s->title);
	if (f != NULL && tty)
		fputs("\r\033[K", stderr);
	if (f != NULL && !json)
		doctor_view_step(v, s, f);
}

/* True when nothing stands in the way. */
static bool preflight(void)
{
	struct doctor_view v = view();
	struct preflight p;
	struct err e = {0};
	bool ready;
	char *text;

	if (!json && !opt_quiet)
		printf("unifiedsetup: a %s\n\n",
		       choices.cs ? "configuration server with a process server"
				  : "process server");
	fflush(stdout);
	if (preflight_run(&p, &choices, tell_check, &v, &e) < 0) {
		preflight_free(&p);
		choices_wipe(&choices);
		tool_die(&e);
	}
	ready = p.n[DOCTOR_FAILED] == 0;
	if (!json && !opt_quiet)
		preflight_view_end(&p, stdout);
	text = json ? preflight_json(&p) : NULL;
	if (text != NULL)
		puts(text);
	free(text);
	preflight_free(&p);
	return ready;
}

int main(int argc, char **argv)
{
	int code;

	tool_init("unifiedsetup");
	secret_harden_process();
	parse(argc, argv);
	if (template_path != NULL)
		return tool_finish(write_template());
	if (check_only + show_firewall + open_firewall + print_command != 1)
		opt_misuse("one of --check, --show-firewall, --open-firewall, "
			   "--print-command is needed");
	prepare();
	if (print_command) {
		choices_print(&choices, stdout);
		putchar('\n');
		return tool_finish(PS_OK);
	}
	preflight_address(&choices);
	if (show_firewall)
		code = print_openings();
	else if (open_firewall)
		code = apply_openings();
	else
		code = preflight() ? PS_OK : PS_NO;
	choices_wipe(&choices);
	return tool_finish(code);
}
