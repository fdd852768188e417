/*
 * ps-health(1): takes samples of a process server, judges them, tells.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/durable.h"
#include "base/opt.h"
#include "base/secret.h"
#include "base/tool.h"
#include "base/units.h"
#include "health/alarm.h"
#include "health/gather.h"
#include "health/view.h"
#include "ps-health.h"

#define SYSTEMD_RUNS "/run/systemd/system"
#define UNITS "/etc/systemd/system"
#define STATE_DIR LOCALSTATEDIR "/lib/ps-toolkit/health"
#define AGENT_YAML SYSCONFDIR "/ps-toolkit/agent.yaml"

static const char *state_dir = STATE_DIR, *cache, *cert, *listen_at;
static const char *agent_yaml;
static const char *role, *services, *format = "text";
static const char *key_file;
static const char *rule = "every", *notify, *output;
static uint64_t window = RULES_WINDOW_MIN * 60, ack_for = 4 * 3600;
static const char *html, *result;
static uint64_t interval = 2;
static bool on_change, json;

static const struct opt opts[] = {
    {0, "state", OPT_DIR, "DIR", &state_dir, "folder of samples and alerts",
     "PS_HEALTH_DIR", "health.state", 0, 0, 0},
    {'C', "cache", OPT_DIR, "DIR", &cache, "sample, why: the cache", "PS_CACHE",
     "cache", 0, 0, 0},
    {'c', "agent-config", OPT_FILE, "FILE", &agent_yaml,
     "why, watch: at a source, the configuration of its ps-agent",
     "PS_AGENT_CONFIG", 0, 0, 0, 0},
    {0, "cert", OPT_FILE, "FILE", &cert,
     "sample, why: the server's certificate", 0, "receive.cert", 0, 0, 0},
    {'k', "key", OPT_FILE, "KEYFILE", &key_file,
     "sample: the vault's key file; has its newest key a kit?", "PS_KEY_FILE",
     "key", 0, 0, 0},
    {0, "listen", OPT_TEXT, "[ADDR:]PORT", &listen_at,
     "sample, why: where ps-receive listens", 0, "receive.listen", 0, 0, 0},
    {0, "result", OPT_TEXT, "WORD", &result,
     "stamp: how a job ended; all but 'success' is a failure", "SERVICE_RESULT",
     0, 0, 0, 0},
    {0, "role", OPT_CHOICE, "ROLE", &role,
     "sample, check: what this server is; says what should run", 0,
     "health.role", ROLE_NAMES, 0, 0},
    {0, "services", OPT_TEXT, "NAME,...", &services,
     "sample, check: what should run, whatever the role is", 0,
     "health.services", 0, 0, 0},
    {0, "window", OPT_DURATION, "TIME", &window,
     "check: the time that is judged (default: 15m)", 0, "health.window", 0, 60,
     RING_MINUTES * 60},
    {0, "rule", OPT_CHOICE, "RULE", &rule,
     "check: every sample has to breach, or their mean", 0, "health.rule",
     "every|mean", 0, 0},
    {'f', "format", OPT_CHOICE, "FORMAT", &format, "check: how it is told", 0,
     0, "text|json|nagios|prometheus", 0, 0},
    {'o', "output", OPT_FILE, "FILE", &output,
     "check: write this file, whole or not at all", 0, 0, 0, 0, 0},
    {0, "on-change", OPT_FLAG, 0, &on_change,
     "check: print nothing unless an alert came, went or changed", 0, 0, 0, 0,
     0},
    {0, "notify", OPT_TEXT, "COMMAND", &notify,
     "check, ack: run this for each alert that comes, changes or goes", 0,
     "health.notify", 0, 0, 0},
    {0, "for", OPT_DURATION, "TIME", &ack_for,
     "ack: how long it counts as known (default: 4h)", 0, 0, 0, 60,
     365 * 86400},
    {0, "interval", OPT_DURATION, "TIME", &interval,
     "watch: how often it looks (default: 2)", 0, 0, 0, 1, 3600},
    {0, "html", OPT_FILE, "FILE", &html, "report: write this page", 0, 0, 0, 0,
     0},
    {0, "json", OPT_FLAG, 0, &json, "check, why, events: print JSON", 0, 0, 0,
     0, 0},
    {0}};

static const struct opt_cmd cmds[] = {
    {"sample", "look at everything once, each minute"},
    {"check", "judge the samples; exit status 0, 1, 2 or 3"},
    {"why", "name what holds replication back; exit status 1 when behind"},
    {"watch", "the same on a screen, until q is pressed"},
    {"report", "one page with state, alerts and the last 72 hours"},
    {"stamp", "done: prune, verify, drill, key-kit, renew; or a heartbeat"},
    {"ack", "an alert is known: it no longer counts for a while"},
    {"events", "what happened in the last 72 hours"},
    {0}};

static const struct opt_tool tool = {
    .name = "ps-health",
    .about = "How a process server is: samples, alerts, and what to do.",
    .synopsis = "sample [--state DIR] [-C DIR] [--role ROLE]\n"
		"check [--state DIR] [--role ROLE] [-f FORMAT] [--window TIME] "
		"[--rule RULE] "
		"[--on-change] [--notify COMMAND] [-o FILE]\n"
		"why [--state DIR] [-C DIR | -c FILE] [--json] [MACHINE "
		"[DISK]]\n"
		"watch [--state DIR] [-C DIR | -c FILE] [--interval TIME]\n"
		"report [--state DIR] [-C DIR] --html FILE\n"
		"stamp [--state DIR] [--result WORD] "
		"prune|verify|drill|key-kit|renew|heartbeat\n"
		"ack [--state DIR] [--for TIME] ALERT\n"
		"events [--state DIR] [--json]\n",
    .opts = opts,
    .cmds = cmds};

/* ---- the folder ---- */

static int open_state(bool make, struct err *e)
{
	int fd;

	if (make && mkdir(state_dir, 0755) < 0 && errno != EEXIST) {
		int rc = err_sys(e, 0, "%s", state_dir);

		if (rc == -PS_NOINPUT)
			err_hint(e, "name a folder whose parent is there: "
				    "--state DIR");
		return rc;
	}
	fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		int rc = err_sys(e, 0, "%s", state_dir);

		err_hint(e, "ps-health sample makes it");
		return rc;
	}
	return fd;
}

/* One writer at a time: released with the descriptor. */
static int lock_state(int dirfd, struct err *e)
{
	if (flock(dirfd, LOCK_EX) < 0)
		return err_sys(e, 0, "%s", state_dir);
	return 0;
}

static void warn_aside(const char *name)
{
	if (name[0] != '\0')
		tool_warn("%s: damaged, set aside as %s", state_dir, name);
}

/* ---- sample ---- */

/* The sample before this one, at most GATHER_GAP_S ago. */
static const struct sample *last_sample(struct ring *r, int64_t now,
					struct sample *ret)
{
	int64_t m;

	for (m = now / 60 - 1; m >= (now - GATHER_GAP_S) / 60; m--)
		if (ring_get(r, m, ret, NULL) == 1)
			return ret;
	return NULL;
}

static unsigned required(void)
{
	const char *bad;
	unsigned set;

	if (services != NULL && !services_parse(services, &set, &bad))
		opt_misuse("there is no service '%.*s'", (int)strcspn(bad, ","),
			   bad);
	return role_services(opt_conf(), role, services);
}

static struct gather what_to_look_at(void)
{
	return (struct gather){
	    .proc = "/proc",
	    .cache = cache,
	    .cert = cert,
	    .listen = listen_at,
	    .state = state_dir,
	    .key = key_file,
	    .config = conf_path(opt_conf()),
	    .agent = agent_yaml != NULL ? agent_yaml : AGENT_YAML,
	    .server = role_config_server(opt_conf()),
	    .units = access(SYSTEMD_RUNS, F_OK) == 0 ? UNITS : NULL};
}

static int sample_into(struct ring *r, struct disks *d, struct err *e)
{
	struct gather g = what_to_look_at();
	int64_t now = time_now_ns() / NS_PER_S;
	struct sample s, before;
	struct err late = {0};
	int rc, put;

	g.services = required();
	rc = gather_sample(&g, last_sample(r, now, &before), d, now, &s, e);
	/* A cache that cannot be looked at is no reason to know nothing. */
	put = ring_put(r, &s, &late);
	if (rc == 0 && put < 0 && e != NULL)
		*e = late;
	return rc < 0 ? rc : put;
}

static int cmd_sample(int dirfd, struct err *e)
{
	char aside[64];
	struct ring r;
	struct disks d;
	int rc = lock_state(dirfd, e);

	if (key_file != NULL)
		secret_harden_process();
	if (rc == 0)
		rc = gather_expect(dirfd, GATHER_HEARTBEAT,
				   role_config_server(opt_conf()) != NULL, e);
	if (rc == 0)
		rc = gather_expect_jobs(
		    dirfd, conf_get(opt_conf(), "service.names"), e);
	if (rc == 0)
		rc = ring_open(&r, dirfd, true, aside, sizeof(aside), e);
	if (rc < 0)
		return rc;
	warn_aside(aside);
	rc = disks_open(&d, dirfd, true, aside, sizeof(aside), e);
	if (rc == 0) {
		warn_aside(aside);
		rc = sample_into(&r, &d, e);
		disks_close(&d);
	}
	ring_close(&r);
	return rc;
}

/* ---- check ---- */

static int print_health(const struct health *h, const struct rules *rules,
			const struct disks *d, FILE *f, struct err *e)
{
	if (strcmp(format, "json") == 0)
		return view_json(h, d, f, e);
	if (strcmp(format, "prometheus") == 0)
		return view_prometheus(h, d, f, e);
	if (strcmp(format, "nagios") == 0)
		(void)view_nagios(h, rules, f);
	else
		view_text(h, f);
	return 0;
}

int replace_file(const char *path, const char *text, size_t n, struct err *e)
{
	const char *slash = strrchr(path, '/');
	char *dir =
	    slash != NULL ? strndup(path, (size_t)(slash - path)) : strdup(".");
	int fd, rc;

	if (dir == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s", path);
	fd = open(*dir != '\0' ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		rc = err_sys(e, 0, "%s", dir);
	else
		rc = durable_write(fd, slash != NULL ? slash + 1 : path, text,
				   n, 0644, DURABLE_REPLACE, e);
	if (fd >= 0)
		close(fd);
	free(dir);
	return rc;
}

/* The whole answer in memory, then one replace: readers see no half of it. */
static int write_output(const struct health *h, const struct rules *rules,
			const struct disks *d, struct err *e)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	int rc;

	if (f == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s", output);
	rc = print_health(h, rules, d, f, e);
	if (fclose(f) != 0 && rc == 0)
		rc = err_sys(e, PS_TEMPFAIL, "%s", output);
	if (rc == 0)
		rc = replace_file(output, text, n, e);
	free(text);
	return rc;
}

static void tell(const struct book *b, size_t events)
{
	size_t i, n = book_events(b);
	struct err e = {0};

	for (i = n - events; notify != NULL && i < n; i++)
		if (alarm_run(notify, book_event(b, i), &e) < 0)
			tool_warn("%s", e.msg);
}

/* What a reader may have: missing files are no samples, not a failure. */
static int judge_now(int dirfd, const struct rules *rules, struct disks *d,
		     struct health *h, struct err *e)
{
	struct ring r = {.fd = -1};
	int rc = ring_open(&r, dirfd, false, NULL, 0, e);
	int found = disks_open(d, dirfd, false, NULL, 0, rc < 0 ? NULL : e);

	if ((rc < 0 && rc != -PS_NOINPUT) ||
	    (found < 0 && found != -PS_NOINPUT)) {
		err_hint(e, "the next ps-health sample sets it aside");
		rc = rc < 0 && rc != -PS_NOINPUT ? rc : found;
	} else {
		rc = check_run(rc == 0 ? &r : NULL, found == 0 ? d : NULL,
			       rules, time_now_ns() / NS_PER_S, h, e);
	}
	ring_close(&r);
	return rc;
}

/* Enters the verdict into the book; without the right to write, reads it. */
static int keep_book(int dirfd, struct health *h, bool *ret_changed,
		     struct err *e)
{
	char aside[64];
	struct book *b;
	size_t events;
	int rc = lock_state(dirfd, e);

	if (rc == 0)
		rc = book_open(&b, dirfd, aside, sizeof(aside), e);
	if (rc < 0)
		return rc;
	warn_aside(aside);
	events = book_update(b, h);
	*ret_changed = events > 0;
	if (events > 0)
		rc = book_write(b, dirfd, e);
	(void)flock(dirfd, LOCK_UN);
	if (rc == 0)
		tell(b, events);
	else if (rc == -PS_NOPERM)
		rc = 0; /* somebody else's folder: only look */
	book_close(b);
	return rc;
}

static int cmd_check(int dirfd, int *ret_code, struct err *e)
{
	struct disks d = {0};
	struct rules rules;
	struct health h;
	bool changed = false;
	int rc;

	rules_default(&rules);
	rules.minutes = (int64_t)window / 60;
	rules.mean = strcmp(rule, "mean") == 0;
	rules.services = required();
	if (json)
		format = "json";
	rc = rules_read(&rules, opt_conf(), e);
	if (rc == 0)
		rc = judge_now(dirfd, &rules, &d, &h, e);
	if (rc < 0)
		return rc;
	rc = check_jobs(&h, dirfd, e);
	if (rc == 0)
		rc = keep_book(dirfd, &h, &changed, e);
	if (rc == 0 && output != NULL)
		rc = write_output(&h, &rules, &d, e);
	else if (rc == 0 && (changed || !on_change))
		rc = print_health(&h, &rules, &d, stdout, e);
	*ret_code = view_exit(&h);
	disks_close(&d);
	health_free(&h);
	return rc;
}

/* ---- ack and events ---- */

static int cmd_ack(int dirfd, const char *what, struct err *e)
{
	int64_t now = time_now_ns() / NS_PER_S;
	char aside[64];
	struct book *b;
	size_t n;
	int rc = lock_state(dirfd, e);

	if (rc == 0)
		rc = book_open(&b, dirfd, aside, sizeof(aside), e);
	if (rc < 0)
		return rc;
	n = book_ack(b, what, now, now + (int64_t)ack_for);
	if (n == 0) {
		rc = err_set(e, PS_NO, "there is no alert '%s'", what);
		err_hint(e, "ps-health check --json shows the keys");
	} else {
		rc = book_write(b, dirfd, e);
	}
	(void)flock(dirfd, LOCK_UN);
	if (rc == 0) {
		tell(b, n);
		if (!opt_quiet)
			printf("%zu alert%s acknowledged\n", n,
			       n == 1 ? "" : "s");
	}
	book_close(b);
	return rc;
}

static void print_event(const struct event *ev, bool first)
{
	char time[TIME_TEXT];

	format_time(ev->time * NS_PER_S, time);
	if (!json) {
		printf("%s  %-12s %-8s %s: %s\n", time, event_name(ev->kind),
		       level_name(ev->level), ev->key, ev->what);
		return;
	}
	/* Keys and words are our own: nothing in them has to be quoted. */
	printf("%s\n  {\"time\": \"%s\", \"event\": \"%s\", \"level\": \"%s\", "
	       "\"alert\": \"%s\", \"what\": \"%s\"}",
	       first ? "" : ",", time, event_name(ev->kind),
	       level_name(ev->level), ev->key, ev->what);
}

static int cmd_events(int dirfd, struct err *e)
{
	char aside[64];
	struct book *b;
	size_t i;
	int rc = book_open(&b, dirfd, aside, sizeof(aside), e);

	if (rc < 0)
		return rc;
	warn_aside(aside);
	if (json)
		fputs("[", stdout);
	for (i = 0; i < book_events(b); i++)
		print_event(book_event(b, i), i == 0);
	if (json)
		fputs("\n]\n", stdout);
	book_close(b);
	return 0;
}

/* ---- why, watch, report ---- */

static int prepare_look(struct looking *l, const char *cmd, int dirfd,
			struct err *e)
{
	bool source = strcmp(cmd, "report") != 0;

	if (source && cache == NULL && agent_yaml == NULL &&
	    access(AGENT_YAML, F_OK) == 0)
		agent_yaml = AGENT_YAML;
	if (cache == NULL && (!source || agent_yaml == NULL))
		opt_misuse("which cache? -C, or 'cache:' in ps.yaml; at a "
			   "source: which agent.yaml? -c");
	*l = (struct looking){.dirfd = dirfd,
			      .gather = what_to_look_at(),
			      .agent = source ? agent_yaml : NULL,
			      .json = json};
	rules_default(&l->rules);
	l->rules.minutes = (int64_t)window / 60;
	l->rules.mean = strcmp(rule, "mean") == 0;
	l->rules.services = required();
	return rules_read(&l->rules, opt_conf(), e);
}

static int look(const char *cmd, int dirfd, char *const *args, int n,
		int *ret_code, struct err *e)
{
	struct looking l;
	int rc = prepare_look(&l, cmd, dirfd, e);

	if (rc == 0 && strcmp(cmd, "watch") == 0)
		rc = cmd_watch(&l, (unsigned)interval, e);
	else if (rc == 0 && strcmp(cmd, "report") == 0)
		rc = cmd_report(&l, html, e);
	else if (rc == 0)
		rc = cmd_why(&l, n > 0 ? args[0] : NULL, n > 1 ? args[1] : NULL,
			     e);
	if (rc > 0)
		*ret_code = rc;
	return rc < 0 ? rc : 0;
}

/* ---- stamp ---- */

/* Behind a job, systemd says how it ended; one that was stopped did nothing. */
static int cmd_stamp(int dirfd, const char *name, struct err *e)
{
	int job = gather_job(name);

	if (job < 0)
		opt_misuse("there is no job '%s'", name);
	if (result == NULL)
		return gather_stamp(dirfd, job, e);
	return strcmp(result, "success") == 0
		   ? 0
		   : gather_fail(dirfd, job, result, e);
}

/* A monitor that asks has to hear 3 (unknown), and why in its own way. */
static int failed(const char *cmd, const struct err *e)
{
	int code = tool_fail(e);

	if (strcmp(cmd, "check") != 0)
		return code;
	if (strcmp(format, "nagios") == 0)
		printf("UNKNOWN: %s\n", e->msg);
	return 3;
}

/* How many operands a command takes. */
static void check_operands(const char *cmd, int n)
{
	bool one = strcmp(cmd, "ack") == 0 || strcmp(cmd, "stamp") == 0;

	if (one && n != 1)
		opt_misuse("%s needs one operand", cmd);
	if (n > (one ? 1 : strcmp(cmd, "why") == 0 ? 2 : 0))
		opt_misuse("too many operands");
	if (strcmp(cmd, "report") == 0 && html == NULL)
		opt_misuse("report needs --html");
}

static int run(const char *cmd, int dirfd, char *const *args, int n, int *code,
	       struct err *e)
{
	if (strcmp(cmd, "sample") == 0)
		return cmd_sample(dirfd, e);
	if (strcmp(cmd, "check") == 0)
		return cmd_check(dirfd, code, e);
	if (strcmp(cmd, "ack") == 0)
		return cmd_ack(dirfd, args[0], e);
	if (strcmp(cmd, "stamp") == 0)
		return cmd_stamp(dirfd, args[0], e);
	if (strcmp(cmd, "events") == 0)
		return cmd_events(dirfd, e);
	return look(cmd, dirfd, args, n, code, e);
}

int main(int argc, char **argv)
{
	struct err e = {0};
	const char *cmd;
	int at, rc, dirfd, code = PS_OK;
	bool makes, needs;

	tool_init("ps-health");
	at = opt_parse(&tool, argc, argv);
	cmd = argv[at++];
	check_operands(cmd, argc - at);
	makes = strcmp(cmd, "sample") == 0 || strcmp(cmd, "stamp") == 0;
	needs = strcmp(cmd, "why") != 0 && strcmp(cmd, "watch") != 0;
	dirfd = open_state(makes, &e);
	if (dirfd < 0 && needs)
		return tool_finish(failed(cmd, &e));
	rc = run(cmd, dirfd, argv + at, argc - at, &code, &e);
	if (dirfd >= 0)
		close(dirfd);
	if (rc < 0)
		code = failed(cmd, &e);
	return tool_finish(code);
}
