/*
 * ps-doctor(8): the steps of the troubleshooting guide, done by a machine.
 */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/opt.h"
#include "base/secret.h"
#include "base/tool.h"
#include "base/units.h"
#include "doctor/bundle.h"
#include "doctor/doctor.h"
#include "doctor/view.h"
#include "store-opts.h"

#define HEALTH_DIR LOCALSTATEDIR "/lib/ps-toolkit/health"
#define UP_S 15 /* until what was started is up */
#define AGENT_YAML SYSCONFDIR "/ps-toolkit/agent.yaml"

static struct doctor doctor = {.health = HEALTH_DIR};
static const char *agent_yaml = AGENT_YAML, *role, *services;
static const char *bundle_path;
static uint64_t bundle_logs = 10u << 20;
static bool all, json, fix, yes;

static const struct opt opts[] = {
    {0, "all", OPT_FLAG, 0, &all, "do all steps, also behind the cause", 0, 0,
     0, 0, 0},
    {0, "json", OPT_FLAG, 0, &json, "print JSON", 0, 0, 0, 0, 0},
    {0, "role", OPT_CHOICE, "ROLE", &role,
     "what this machine is (found from what is configured)", 0, "doctor.role",
     "server|" ROLE_NAMES, 0, 0},
    {0, "services", OPT_TEXT, "NAME,...", &services,
     "what should run, whatever the role is", 0, "health.services", 0, 0, 0},
    {0, "fix", OPT_FLAG, 0, &fix, "start what does not run, after asking", 0, 0,
     0, 0, 0},
    {0, "yes", OPT_FLAG, 0, &yes, "with --fix: do not ask", 0, 0, 0, 0, 0},
    {0, "bundle", OPT_FILE, "FILE", &bundle_path,
     "pack what a helper needs, without secrets (tar, gzip)", 0, 0, 0, 0, 0},
    {0, "bundle-logs", OPT_SIZE, "SIZE", &bundle_logs,
     "at most so much of the logs in a bundle (10M)", 0, 0, 0, 0, 1u << 30},
    {0, "step-timeout", OPT_DURATION, "TIME", &doctor.step_s,
     "longest time of a step (default: 10s to 90s, each its own)", 0,
     "doctor.step-timeout", 0, 1, 3600},
    {0, "host", OPT_TEXT, "HOST", &doctor.host,
     "the process server as sources know it", 0, "doctor.host", 0, 0, 0},
    {0, "log", OPT_LIST, "FILE", &doctor.logs,
     "a log of the pipeline or the agent, where there is no journal", 0,
     "doctor.logs", 0, 0, 0},
    {0, "restart-receive", OPT_TEXT, "COMMAND",
     &doctor.restart[SERVICE_RECEIVE],
     "--fix: starts ps-receive, instead of systemd", 0,
     "doctor.restart.receive", 0, 0, 0},
    {0, "restart-pipeline", OPT_TEXT, "COMMAND",
     &doctor.restart[SERVICE_PIPELINE], "--fix: starts ps-pipeline", 0,
     "doctor.restart.pipeline", 0, 0, 0},
    {0, "restart-config", OPT_TEXT, "COMMAND", &doctor.restart[SERVICE_CONFIG],
     "--fix: starts ps-config serve", 0, "doctor.restart.config", 0, 0, 0},
    {0, "restart-heartbeat", OPT_TEXT, "COMMAND",
     &doctor.restart[SERVICE_HEARTBEAT], "--fix: starts ps-config heartbeat", 0,
     "doctor.restart.heartbeat", 0, 0, 0},
    {0, "restart-agent", OPT_TEXT, "COMMAND", &doctor.restart[SERVICE_AGENT],
     "--fix: starts ps-agent", 0, "doctor.restart.agent", 0, 0, 0},
    {'c', "agent-config", OPT_FILE, "FILE", &agent_yaml,
     "configuration of the agent", "PS_AGENT_CONFIG", 0, 0, 0, 0},
    {'C', "cache", OPT_DIR, "DIR", &doctor.cache, "the cache", "PS_CACHE",
     "cache", 0, 0, 0},
    {0, "vault", OPT_TEXT, "VAULT", &doctor.vault, "the vault", "PS_VAULT",
     "vault", 0, 0, 0},
    {'l', "listen", OPT_TEXT, "[ADDR:]PORT", &doctor.listen,
     "where ps-receive listens", 0, "receive.listen", 0, 0, 0},
    {'P', "passphrase", OPT_FILE, "FILE", &doctor.passphrase,
     "passphrase of all logins", 0, "receive.passphrase", 0, 0, 0},
    {0, "log-dir", OPT_DIR, "DIR", &doctor.log_dir,
     "where cxps.err and cxps.xfer are (default: CACHE/.log)", 0,
     "receive.log-dir", 0, 0, 0},
    {0, "limit-rate", OPT_RATE, "RATE", &doctor.limit_rate,
     "limit of the upload", 0, "upload.limit-rate", 0, 0, 0},
    {0, "state", OPT_DIR, "DIR", &doctor.health, "folder of ps-health",
     "PS_HEALTH_DIR", "health.state", 0, 0, 0},
    STORE_OPTIONS,
    {0},
};

static const struct opt_tool tool = {
    .name = "ps-doctor",
    .about = "Find out why replication does not work, and what to do.",
    .synopsis = "[--all] [--json] [--role ROLE] [STEP ...]\n"
		"--fix [--yes] [--restart-SERVICE COMMAND]\n"
		"--bundle FILE [--bundle-logs SIZE]\n",
    .opts = opts,
};

/* ---- what is examined ---- */

/* A cache makes a process server; else an agent's file makes a source. */
static void find_role(void)
{
	const char *bad;
	unsigned set;

	if (services != NULL && !services_parse(services, &set, &bad))
		opt_misuse("there is no service '%.*s'", (int)strcspn(bad, ","),
			   bad);
	if (role == NULL)
		role = conf_get(doctor.conf, "health.role");
	if (role == NULL)
		role = doctor.cache == NULL && access(agent_yaml, R_OK) == 0
			   ? "source"
			   : "server";
	if (strcmp(role, "server") == 0)
		role = role_of(doctor.conf);
	if (role_find(role) == NULL) {
		struct err e = {0};

		(void)err_set(&e, PS_CONFIG,
			      "health.role: there is no role '%s'", role);
		err_hint(&e, "one of: " ROLE_NAMES);
		tool_die(&e);
	}
	doctor.services = role_services(doctor.conf, role, services);
	doctor.source = role_has_agent(role);
}

/* Those of the list, unless one is named on the command line. */
static void find_vaults(void)
{
	struct err e = {0};

	doctor.settings = store_settings;
	if (doctor.source ||
	    (doctor.vault != NULL && !opt_from_conf(opts, "vault")))
		return;
	if (vaults_from_conf(&doctor.vaults, doctor.conf, &e) < 0)
		tool_die(&e);
	/* A list of one is taken for what it says, in all steps. */
	vault_first(&doctor);
}

static void prepare(void)
{
	static char log_dir[4096];
	static struct agent_conf *agent;
	struct err e = {0};

	doctor.conf = opt_conf();
	/* One without any key is none. */
	if (conf_key(doctor.conf, 0) != NULL)
		doctor.config = conf_path(doctor.conf);
	doctor.agent_path = agent_yaml;
	find_role();
	if (doctor.source) {
		if (agent_conf_read(&agent, agent_yaml, &e) < 0)
			tool_die(&e);
		doctor.agent = agent;
	} else if (doctor.cache == NULL && doctor.vault == NULL &&
		   doctor.listen == NULL) {
		(void)err_set(
		    &e, PS_CONFIG,
		    "nothing is configured here: no cache in ps.yaml, "
		    "no %s",
		    agent_yaml);
		err_hint(&e, "--config FILE for a process server, "
			     "--agent-config FILE for a source");
		tool_die(&e);
	}
	if (!doctor.source)
		doctor_take_environment(&doctor);
	find_vaults();
	if (doctor.log_dir == NULL && doctor.cache != NULL) {
		snprintf(log_dir, sizeof(log_dir), "%s/.log", doctor.cache);
		doctor.log_dir = log_dir;
	}
}

/* ---- how it is told ---- */

static void tell_step(void *ctx, unsigned i, const struct finding *f)
{
	doctor_view_tell(ctx, doctor_steps(&(unsigned){0}) + i, f);
}

/* Does all of it once: the number of the cause, as doctor_run(). */
static int examine(char **names, unsigned n, char **ret_json)
{
	struct doctor_view v = doctor_view_here();
	struct doctor_run run = {.all = all,
				 .only = (const char *const *)names,
				 .nonly = n,
				 .tell = tell_step,
				 .ctx = &v};
	int64_t begun = mono_now_ns();
	struct err e = {0};
	int cause;

	doctor_free(&doctor);
	if (json)
		v.f = NULL;
	if (!json && !opt_quiet)
		printf("ps-doctor: %s\n\n",
		       doctor.source ? "a source machine" : "a process server");
	cause = doctor_run(&doctor, &run, &e);
	if (cause < 0)
		tool_die(&e);
	if (!json)
		doctor_view_end(&v, &doctor, cause);
	*ret_json = doctor_json(&doctor, cause,
				(double)(mono_now_ns() - begun) / NS_PER_S);
	if (*ret_json == NULL)
		tool_die_errno(PS_TEMPFAIL, "JSON");
	return cause;
}

/* ---- --fix ---- */

static bool asked(const char *name)
{
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
	FILE *f = fd >= 0 ? fdopen(fd, "r+e") : NULL;
	char answer[16] = "";

	if (yes)
		return true;
	if (f == NULL) {
		tool_warn("there is no terminal to ask on: --yes starts %s",
			  name);
		return false;
	}
	fprintf(f, "Start %s again? [y/N] ", name);
	fflush(f);
	if (fgets(answer, sizeof(answer), f) == NULL)
		answer[0] = '\0';
	fclose(f);
	return answer[0] == 'y' || answer[0] == 'Y';
}

static unsigned services_down(void)
{
	unsigned n, i, down = 0;

	(void)doctor_steps(&n);
	for (i = 0; i < n && doctor.findings != NULL; i++)
		down |= doctor.findings[i].down;
	return down;
}

static void say_nothing(void *ctx, unsigned i, const struct finding *f)
{
	(void)ctx;
	(void)i;
	(void)f;
}

/* What was started needs a moment. */
static void await_services(void)
{
	static const char *const only[] = {"services"};
	const struct timespec nap = {.tv_nsec = 100 * 1000 * 1000};
	struct doctor_run run = {.only = only, .nonly = 1, .tell = say_nothing};
	int64_t until = mono_now_ns() + UP_S * NS_PER_S;

	do {
		nanosleep(&nap, NULL);
		doctor_free(&doctor);
		if (doctor_run(&doctor, &run, NULL) == DOCTOR_WELL)
			break;
	} while (mono_now_ns() < until);
}

/* True when something was started. */
static bool mend(void)
{
	unsigned down = services_down(), s;
	bool started = false;
	char words[256];

	for (s = 0; s < SERVICES; s++) {
		struct err e = {0};

		if ((down & (1u << s)) == 0 ||
		    !asked(service_name((enum service)s)))
			continue;
		if (doctor_restart(&doctor, (enum service)s, words,
				   sizeof(words), &e) < 0) {
			(void)tool_fail(&e);
			continue;
		}
		started = true;
		tool_warn("%s", words);
	}
	if (started)
		await_services();
	return started;
}

static int pack(const char *answer)
{
	struct bundle_to to = {
	    .path = bundle_path, .answer = answer, .log_bytes = bundle_logs};
	struct err e = {0};

	/* It reads all secrets, to know them. */
	secret_harden_process();
	if (bundle_write(&doctor, &to, &e) < 0)
		return tool_fail(&e);
	tool_warn("%s: look into it before you give it away", bundle_path);
	return PS_OK;
}

int main(int argc, char **argv)
{
	char *text, *again;
	int at, cause, code;

	tool_init("ps-doctor");
	at = opt_parse(&tool, argc, argv);
	if (yes && !fix)
		opt_misuse("--yes belongs to --fix");
	prepare();
	all |= bundle_path != NULL;
	cause = examine(argv + at, (unsigned)(argc - at), &text);
	if (fix && services_down() != 0 && mend()) {
		cause = examine(argv + at, (unsigned)(argc - at), &again);
		free(text);
		text = again;
	}
	if (json)
		puts(text);
	code = bundle_path != NULL ? pack(text) : PS_OK;
	if (code == PS_OK && cause != DOCTOR_WELL)
		code = PS_NO;
	free(text);
	doctor_free(&doctor);
	return tool_finish(code);
}
