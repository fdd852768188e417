/*
 * ps-service(8): start, stop and look at the services of the toolkit, by
 * systemd where that is in charge, else as supervised processes.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/opt.h"
#include "base/tool.h"
#include "ps-service.h"
#include "service/job.h"
#include "service/state.h"
#include "service/supervise.h"

static const char *root, *names;
static bool json, boot;
static struct units units;

static const struct opt opts[] = {
    {0, "root", OPT_DIR, "DIR", &root,
     "a folder that looks like a machine, instead of this one", "PS_ROOT", 0, 0,
     0, 0},
    {0, "services", OPT_TEXT, "NAME,...", &names,
     "which services are meant when none is named", 0, "service.names", 0, 0,
     0},
    {0, "boot", OPT_FLAG, 0, &boot,
     "with systemd: from now on they start at boot, or (stop) do not", 0, 0, 0,
     0, 0},
    {0, "json", OPT_FLAG, 0, &json, "status: print JSON", 0, 0, 0, 0, 0},
    {0}};

static const struct opt_cmd cmds[] = {
    {"start", "start services, and wait until they are ready"},
    {"stop", "end services, the last one first"},
    {"restart", "stop, then start"},
    {"status", "how they are"},
    {"renew", "restart what runs with an older certificate than there is"},
    {"run", "do a job here and now, once"},
    {0}};

/* Who looks and who stops has to be able to, all the more then. */
static const char *const without_conf[] = {"stop", "status", NULL};

static const struct opt_tool tool = {
    .name = "ps-service",
    .about = "Start, stop and look at the services of the toolkit.",
    .synopsis = "start|stop|restart [--boot | --root DIR] [NAME...]\n"
		"status [--root DIR] [--json] [NAME...]\n"
		"run [--root DIR] JOB\n"
		"renew [--root DIR]",
    .opts = opts,
    .cmds = cmds,
    .without_conf = without_conf};

/* ---- which of them ---- */

/* Puts the named ones into the order in which they start. */
static void choose(struct chosen *c, const bool *wanted)
{
	unsigned i;

	for (i = 0; i < units.nordered; i++)
		if (wanted[units.ordered[i] - units.list])
			c->list[c->n++] = units.ordered[i];
}

static void want(bool *wanted, const char *name, const char *from)
{
	const struct unit *u = units_find(&units, name);

	if (u == NULL)
		opt_misuse(
		    "%s'%s' is no service; there are: receive, "
		    "pipeline, config, heartbeat, agent, health, verify, renew",
		    from, name);
	wanted[u - units.list] = true;
}

static void want_list(bool *wanted, const char *list)
{
	char copy[256], *name, *rest;

	snprintf(copy, sizeof(copy), "%s", list);
	for (name = strtok_r(copy, ", ", &rest); name != NULL;
	     name = strtok_r(NULL, ", ", &rest))
		want(wanted, name, "service.names: ");
}

static bool exists(const char *path)
{
	char full[PLACE_PATH];

	return snprintf(full, sizeof(full), "%s%s", root != NULL ? root : "",
			path) < (int)sizeof(full) &&
	       access(full, F_OK) == 0;
}

/* Nobody has said which: those whose configuration is there. */
static void want_configured(bool *wanted)
{
	static const char *const server[] = {"receive", "pipeline", "health",
					     "verify",	"renew",    NULL};
	unsigned i;

	if (exists(SYSCONFDIR "/ps-toolkit/ps.yaml"))
		for (i = 0; server[i] != NULL; i++)
			want(wanted, server[i], "");
	if (exists(SYSCONFDIR "/ps-toolkit/agent.yaml"))
		want(wanted, "agent", "");
	for (i = 0; i < units.n && !wanted[i]; i++)
		;
	if (i == units.n) {
		struct err e = {0};

		(void)err_set(&e, PS_CONFIG,
			      "no service is configured: %s" SYSCONFDIR
			      "/ps-toolkit has no ps.yaml and no agent.yaml",
			      root != NULL ? root : "");
		tool_die(&e);
	}
}

/*
 * ps.yaml of the folder; the machine's own was read with the options. A damaged
 * one must not be in the way of who looks and of who stops.
 */
static const struct conf *site_conf(bool needed)
{
	static struct conf *c;
	char path[PLACE_PATH];
	struct err e = {0};

	if (root == NULL)
		return opt_conf();
	if (c == NULL &&
	    snprintf(path, sizeof(path), "%s" SYSCONFDIR "/ps-toolkit/ps.yaml",
		     root) < (int)sizeof(path) &&
	    access(path, F_OK) == 0 && conf_read(&c, path, &e) < 0) {
		if (needed)
			tool_die(&e);
		tool_warn("%s", e.msg);
	}
	return c;
}

/* What has a supervisor here, whether it was named or not. */
static void want_running(bool *wanted)
{
	struct err e = {0};
	struct place p;
	unsigned i;

	if (place_open(&p, root, false, &e) < 0)
		return;
	for (i = 0; i < units.n; i++) {
		int pidfd = -1;
		pid_t pid;

		if (service_holder(p.run, units.list[i].name, &pidfd, &pid,
				   &e) < 0)
			continue;
		close(pidfd);
		wanted[i] = true;
	}
	place_close(&p);
}

/* Those of --services, else those of the configuration, and what runs. */
static void take_usual(bool *wanted, bool starts, bool supervised)
{
	bool told = names != NULL && !opt_from_conf(opts, "services");
	const char *list = names;

	if (!told && !starts && supervised)
		want_running(wanted);
	/* What a damaged one may have named: systemd knows whether it runs. */
	if (!starts && !supervised && opt_conf() == NULL &&
	    exists(SYSCONFDIR "/ps-toolkit/ps.yaml")) {
		want(wanted, "config", "");
		want(wanted, "heartbeat", "");
	}
	if (!told && root != NULL) {
		const struct conf *conf = site_conf(starts);

		list = conf != NULL ? conf_get(conf, "service.names") : NULL;
	}
	if (list != NULL)
		want_list(wanted, list);
	else
		want_configured(wanted);
}

static void take_names(struct chosen *c, const char *what, char **args, int n)
{
	bool supervised = root != NULL || !systemd_is_here();
	bool starts = strcmp(what, "stop") != 0 && strcmp(what, "status") != 0;
	bool wanted[UNIT_MAX] = {false};
	int i;

	for (i = 0; i < n; i++)
		want(wanted, args[i], "");
	if (n == 0)
		take_usual(wanted, starts, supervised);
	choose(c, wanted);
}

/* ---- supervised here ---- */

static int start_one(const struct place *p, const struct unit *u, struct err *e)
{
	enum supervise_started how;
	char path[PLACE_PATH];
	int rc = place_path(p, u->condition, path, e);

	if (rc == 0 && u->condition[0] != '\0' && access(path, F_OK) < 0)
		return err_set(e, PS_CONFIG, "%s: %s is not there", u->name,
			       path);
	if (rc == 0)
		rc = supervise_start(p, u, &how, e);
	if (rc < 0)
		return rc;
	if (how == STARTED_LATER) {
		struct err why = *e;

		return err_set(e, PS_TEMPFAIL, "%.480s; it is tried again",
			       why.msg);
	}
	tool_note("%s: %s", u->name,
		  how == STARTED_ALREADY ? "runs already" : "started");
	return 0;
}

/* All are tried; the first failure is the answer. */
static int start(const struct place *p, const struct chosen *c)
{
	int code = 0;
	unsigned i;

	for (i = 0; i < c->n; i++) {
		struct err e = {0};
		int rc = start_one(p, c->list[i], &e);

		if (rc < 0)
			rc = tool_fail(&e);
		if (code == 0)
			code = rc;
	}
	return code;
}

static int stop(const struct place *p, const struct chosen *c)
{
	int code = 0;
	unsigned i;

	for (i = c->n; i-- > 0;) {
		struct err e = {0};
		int rc = supervise_stop(p, c->list[i], &e);

		if (rc == -PS_NO)
			tool_note("%s: did not run", c->list[i]->name);
		else if (rc == 0)
			tool_note("%s: ended", c->list[i]->name);
		else if (code == 0)
			code = tool_fail(&e);
	}
	return code;
}

static int supervise(const char *what, const struct chosen *c)
{
	bool starts = strcmp(what, "stop") != 0 && strcmp(what, "status") != 0;
	struct place p;
	struct err e = {0};
	int rc = place_open(&p, root, starts, &e);

	/* Nothing was ever started there. */
	if (rc < 0 && !starts && e.sys == ENOENT && strcmp(what, "stop") == 0)
		return 0;
	if (rc < 0 && !(e.sys == ENOENT && strcmp(what, "status") == 0))
		return tool_fail(&e);
	rc = 0;
	if (strcmp(what, "status") == 0) {
		rc = service_status(&p, c, json, &e);
		if (rc < 0)
			rc = tool_fail(&e);
	}
	if (strcmp(what, "stop") == 0 || strcmp(what, "restart") == 0)
		rc = stop(&p, c);
	if (rc == 0 && starts)
		rc = start(&p, c);
	place_close(&p);
	return rc;
}

static int by_systemd(const char *what, const struct chosen *c)
{
	bool stops = strcmp(what, "stop") == 0;
	struct err e = {0};
	int rc;

	if (strcmp(what, "status") == 0) {
		rc = systemd_status(c, json, &e);
		return rc < 0 ? tool_fail(&e) : rc;
	}
	rc = boot ? systemd_do(stops ? "disable" : "enable", c, &e) : 0;
	if (rc == 0)
		rc = systemd_do(what, c, &e);
	if (rc == 0 && boot && stops)
		systemd_forget(c);
	return rc < 0 ? tool_fail(&e) : rc;
}

/* ---- a job, from cron ---- */

/* Who supervises a job runs it by itself. */
static bool is_supervised(const struct unit *u)
{
	struct place p;
	struct err e = {0};
	int pidfd = -1;
	pid_t pid;
	bool yes = false;

	if (place_open(&p, root, false, &e) < 0)
		return false;
	yes = service_holder(p.run, u->name, &pidfd, &pid, &e) == 0;
	if (yes)
		close(pidfd);
	place_close(&p);
	return yes;
}

static int run_job(const struct unit *u)
{
	struct place p = {.run = -1, .logs = -1};
	char path[PLACE_PATH];
	struct err e = {0};
	int rc = place_find(&p, root, &e);

	if (rc == 0)
		rc = place_path(&p, u->condition, path, &e);
	if (rc < 0)
		return tool_fail(&e);
	if (u->condition[0] != '\0' && access(path, F_OK) < 0) {
		tool_note("%s: %s is not there", u->name, path);
		return 0;
	}
	if (is_supervised(u)) {
		tool_note("%s: its supervisor runs it", u->name);
		return 0;
	}
	rc = place_environment(&p, &e);
	if (rc == 0)
		rc = job_run(&p, u, &e);
	if (rc == -PS_NO) {
		tool_note("%s", e.msg);
		return 0;
	}
	return rc < 0 ? tool_fail(&e) : rc;
}

/* ---- certificates that were renewed ---- */

static int renew(void)
{
	bool systemd = root == NULL && systemd_is_here();
	struct place p = {.run = -1, .logs = -1};
	struct chosen c;
	struct err e = {0};

	if (site_conf(true) == NULL)
		return 0;
	if (!systemd && place_open(&p, root, false, &e) < 0)
		return e.sys == ENOENT ? 0 : tool_fail(&e);
	service_renewed(systemd ? NULL : &p, site_conf(true), &units, &c);
	place_close(&p);
	if (c.n == 0)
		return 0;
	return systemd ? by_systemd("restart", &c) : supervise("restart", &c);
}

int main(int argc, char **argv)
{
	struct chosen c = {.n = 0};
	struct err e = {0};
	const char *what;
	int at, rc;

	tool_init("ps-service");
	at = opt_parse(&tool, argc, argv);
	what = argv[at++];
	if (units_load(&units, &e) < 0)
		tool_die(&e);
	if (strcmp(what, "run") == 0) {
		if (argc - at != 1)
			opt_misuse("run needs the name of a job");
		take_names(&c, what, argv + at, 1);
		if (c.n == 0 || c.list[0]->every_s == 0)
			opt_misuse("'%s' is no job: start it", argv[at]);
		return tool_finish(run_job(c.list[0]));
	}
	if (strcmp(what, "renew") == 0) {
		if (argc > at)
			opt_misuse("renew takes no names");
		return tool_finish(renew());
	}
	take_names(&c, what, argv + at, argc - at);
	rc = root == NULL && systemd_is_here() ? by_systemd(what, &c)
					       : supervise(what, &c);
	return tool_finish(rc);
}
