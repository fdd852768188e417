/*
 * ps-agent(8): the mobility service of a machine that is protected.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/agent-check.h"
#include "agent/status.h"
#include "base/conf.h"
#include "base/notify.h"
#include "base/opt.h"
#include "base/tool.h"

static const char *path = SYSCONFDIR "/ps-toolkit/agent.yaml";
static bool json;

static const struct opt opts[] = {
    {'c', "agent-config", OPT_FILE, "FILE", &path, "the agent's configuration",
     "PS_AGENT_CONFIG", 0, 0, 0, 0},
    {0, "json", OPT_FLAG, 0, &json, "status: print JSON", 0, 0, 0, 0, 0},
    {0}};

static const struct opt_cmd cmds[] = {
    {"once", "one bookmark of all disks, then end (for cron)"},
    {"run", "bookmarks at the interval, as a service"},
    {"status", "how each disk is"},
    {"pause", "begin no pass, end one that is under way"},
    {"resume", "go on after pause"},
    {"rescan", "read whole disks with the next pass"},
    {"accept", "go on with another disk, or machine, than before"},
    {"check", "say everything that is wrong, do nothing"},
    {0}};

static const struct opt_tool tool = {
    .name = "ps-agent",
    .about = "Protects the disks of this machine: snapshot, scan, send, again.",
    .synopsis = "once|run [-c FILE]\n"
		"status [-c FILE] [--json]\n"
		"pause|resume|rescan|accept [-c FILE] [DISK...]\n"
		"check [-c FILE]",
    .opts = opts,
    .cmds = cmds};

static struct agent_conf *read_conf(void)
{
	struct agent_conf *c;
	struct err e = {0};

	if (agent_conf_read(&c, path, &e) < 0) {
		if (e.sys == ENOENT) {
			e.code = PS_CONFIG;
			err_hint(&e, "give it with -c FILE; see ps-agent(8)");
		}
		tool_die(&e);
	}
	return c;
}

/* On SIGHUP: what is refused must not end the agent that runs. */
static bool may_reload(void)
{
	struct agent_conf *c;
	struct err e = {0};

	if (agent_conf_read(&c, path, &e) < 0) {
		(void)tool_fail(&e);
		tool_warn("the new configuration is refused, the old one goes "
			  "on");
		return false;
	}
	agent_conf_free(c);
	return true;
}

static void say(void *ctx, const char *who, const char *words)
{
	(void)ctx;
	if (who != NULL)
		tool_warn("%s: %s", who, words);
	else
		tool_warn("%s", words);
}

static void complain(void *ctx, const char *who, const char *words)
{
	struct err e = {0};

	(void)ctx;
	(void)err_set(&e, PS_TEMPFAIL, "%s%s%s", who != NULL ? who : "",
		      who != NULL ? ": " : "", words);
	(void)tool_fail(&e);
}

static int run_agent(bool once)
{
	struct agent_run run = {
	    .ps_config = opt_conf() != NULL ? conf_path(opt_conf()) : NULL,
	    .once = once,
	    .reload = may_reload,
	    .say = say,
	    .complain = complain};
	struct err e = {0};
	int code;

	do {
		struct agent_conf *c = read_conf();

		run.conf = c;
		code = agent_run(&run, &e);
		agent_conf_free(c);
	} while (code == AGENT_RELOAD_CODE);
	return code < 0 ? tool_fail(&e) : code;
}

static int status(void)
{
	struct agent_conf *c = read_conf();
	struct err e = {0};
	int rc = status_print(c, json, stdout, &e);

	agent_conf_free(c);
	return rc < 0 ? tool_fail(&e) : 0;
}

static void told(struct err *e)
{
	if (e->sys == ENOENT && strncmp(e->msg, path, strlen(path)) == 0) {
		e->code = PS_CONFIG;
		err_hint(e, "give it with -c FILE; see ps-agent(8)");
	}
	(void)tool_fail(e);
}

static int check(void)
{
	return agent_check(path, told);
}

static bool known(const struct agent_conf *c, const char *disk)
{
	unsigned i;

	for (i = 0; i < c->ndisks; i++)
		if (strcmp(c->disks[i].name, disk) == 0)
			return true;
	return false;
}

typedef int command_fn(struct control *c, const char *disk, struct err *e);

/* Without disks: pause and resume mean the machine, the others each disk. */
static int each(const struct agent_conf *c, struct control *control,
		command_fn *fn, char **disks, unsigned n, struct err *e)
{
	unsigned i;
	int rc = 0;

	if (n == 0 && (fn == control_rescan || fn == control_accept)) {
		for (i = 0; i < c->ndisks && rc == 0; i++)
			rc = fn(control, c->disks[i].name, e);
		return rc;
	}
	if (n == 0)
		rc = fn(control, NULL, e);
	/* A resume of all is meant for those that were paused alone, too. */
	for (i = 0; n == 0 && fn == control_resume && i < c->ndisks && rc == 0;
	     i++)
		rc = fn(control, c->disks[i].name, e);
	for (i = 0; i < n && rc == 0; i++)
		rc = fn(control, disks[i], e);
	return rc;
}

static int command(command_fn *fn, char **disks, unsigned n)
{
	struct agent_conf *c = read_conf();
	struct control control;
	struct err e = {0};
	unsigned i;
	int fd, rc;

	for (i = 0; i < n; i++)
		if (!known(c, disks[i]))
			opt_misuse("'%s': no such disk in %s", disks[i], path);
	if (mkdir(c->state, 0700) < 0 && errno != EEXIST)
		tool_die_errno(0, "%s", c->state);
	fd = open(c->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		tool_die_errno(0, "%s", c->state);
	rc = control_open(&control, fd, &e);
	if (rc == 0) {
		rc = each(c, &control, fn, disks, n, &e);
		control_close(&control);
	}
	close(fd);
	agent_conf_free(c);
	return rc < 0 ? tool_fail(&e) : 0;
}

int main(int argc, char **argv)
{
	const char *what;
	char **rest;
	unsigned n;
	int at, rc;

	tool_init("ps-agent");
	at = opt_parse(&tool, argc, argv);
	what = argv[at];
	rest = argv + at + 1;
	n = (unsigned)(argc - at - 1);
	if (strcmp(what, "pause") == 0)
		rc = command(control_pause, rest, n);
	else if (strcmp(what, "resume") == 0)
		rc = command(control_resume, rest, n);
	else if (strcmp(what, "rescan") == 0)
		rc = command(control_rescan, rest, n);
	else if (strcmp(what, "accept") == 0)
		rc = command(control_accept, rest, n);
	else if (n > 0)
		opt_misuse("'%s': no operand expected", rest[0]);
	else if (strcmp(what, "status") == 0)
		rc = status();
	else if (strcmp(what, "check") == 0)
		rc = check();
	else
		rc = run_agent(strcmp(what, "once") == 0);
	return tool_finish(rc);
}
