/*
 * ps-plan(1): measures churn, and says what it needs.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/opt.h"
#include "base/tool.h"
#include "base/units.h"
#include "fleet/profile.h"
#include "ps-plan.h"

static uint64_t percentile = 95, growth = 30, ratio = 100, headroom = 30;
static uint64_t rpo = 15 * 60, retention = 24 * 3600, outage = 4 * 3600;
static uint64_t initial = 72 * 3600, interval = 60, run_for;
static uint64_t bandwidth;
static const char *machine, *output;
static bool json;

static const struct opt opts[] = {
    {0, "percentile", OPT_NUMBER, "N", &percentile,
     "report: what that part of the minutes does not exceed (default: 95)", 0,
     0, 0, 1, 100},
    {0, "growth", OPT_NUMBER, "PERCENT", &growth,
     "report: more than was measured (default: 30)", 0, 0, 0, 0, 1000},
    {0, "ratio", OPT_NUMBER, "PERCENT", &ratio,
     "report: what compression leaves of it (default: 100)", 0, 0, 0, 1, 100},
    {0, "headroom", OPT_NUMBER, "PERCENT", &headroom,
     "report: part of a server's limit to leave free (default: 30)", 0,
     "balance.headroom", 0, 0, 90},
    {0, "rpo", OPT_DURATION, "TIME", &rpo, "report: wanted RPO (default: 15m)",
     0, 0, 0, 1, 30 * 86400},
    {0, "bandwidth", OPT_RATE, "RATE", &bandwidth,
     "report: what RPO this line gives (100Mbit, 12MB)", 0, 0, 0, 0, 0},
    {0, "retention", OPT_DURATION, "TIME", &retention,
     "report: how long points are kept (default: 24h)", 0, 0, 0, 60,
     3650ULL * 86400},
    {0, "outage", OPT_DURATION, "TIME", &outage,
     "report: what the cache has to bridge (default: 4h)", 0, 0, 0, 60,
     90 * 86400},
    {0, "initial", OPT_DURATION, "TIME", &initial,
     "report: wanted time of initial replication (default: 72h)", 0, 0, 0, 60,
     365 * 86400},
    {0, "json", OPT_FLAG, 0, &json, "report: print JSON", 0, 0, 0, 0, 0},
    {'m', "machine", OPT_TEXT, "NAME", &machine,
     "profile: the name in the rows (default: this host's)", 0, "machine", 0, 0,
     0},
    {0, "interval", OPT_DURATION, "TIME", &interval,
     "profile: between two samples (default: 60)", 0, 0, 0, 1, 3600},
    {0, "for", OPT_DURATION, "TIME", &run_for,
     "profile: end after this time (default: never)", 0, 0, 0, 1, 0},
    {'o', "output", OPT_FILE, "FILE", &output,
     "profile: append to this file (default: standard output)", 0, 0, 0, 0, 0},
    {0}};

static const struct opt_cmd cmds[] = {
    {"profile", "measure what the disks of this machine write"},
    {"report", "say what the measured churn needs"},
    {0}};

static const struct opt_tool tool = {
    .name = "ps-plan",
    .about = "Capacity planning from measured churn.",
    .synopsis = "profile [-m NAME] [--interval TIME] [--for TIME] [-o FILE] "
		"[DISK...]\n"
		"report [--percentile N] [--growth PERCENT] [--rpo TIME] "
		"[--bandwidth RATE] [--retention TIME] [--outage TIME] "
		"[--json] [FILE...]\n",
    .opts = opts,
    .cmds = cmds,
    .operands = "file"};

/* ---- profile ---- */

static volatile sig_atomic_t asked_to_end;

static void on_signal(int sig)
{
	(void)sig;
	asked_to_end = 1;
}

static const char *host_name(struct err *e)
{
	static char name[NAME_SIZE];

	if (machine == NULL) {
		if (gethostname(name, sizeof(name)) < 0 || !name_ok(name)) {
			err_set(e, PS_USAGE, "this host has no usable name");
			err_hint(e, "give one with --machine");
			return NULL;
		}
		return name;
	}
	return name_check("machine", machine, PS_USAGE, e) < 0 ? NULL : machine;
}

/* The file to append to, with a header when it is new. */
static FILE *open_output(struct err *e)
{
	FILE *out = stdout;

	if (output != NULL && strcmp(output, "-") != 0) {
		out = fopen(output, "ae");
		if (out == NULL) {
			err_sys(e, 0, "%s", output);
			return NULL;
		}
	}
	if (out == stdout || (fseek(out, 0, SEEK_END) == 0 && ftell(out) == 0))
		profile_header(out);
	return out;
}

/* false: asked to end. */
static bool sleep_until(int64_t mono_ns)
{
	const struct timespec until = {mono_ns / NS_PER_S, mono_ns % NS_PER_S};
	int rc = EINTR;

	while (!asked_to_end && rc == EINTR)
		rc = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until,
				     NULL);
	return !asked_to_end;
}

static int measure(struct profile *p, FILE *out, struct err *e)
{
	int64_t begun = mono_now_ns(), next = begun;
	int rc = profile_sample(p, NULL, e);

	while (rc == 0) {
		next += (int64_t)interval * NS_PER_S;
		if (!sleep_until(next))
			break;
		rc = profile_sample(p, out, e);
		if (run_for > 0 &&
		    mono_now_ns() - begun >= (int64_t)run_for * NS_PER_S)
			break;
	}
	return rc;
}

static int run_profile(char **disks, int n, struct err *e)
{
	static struct profile p = {.proc = "/proc", .sys = "/sys"};
	const struct sigaction end = {.sa_handler = on_signal};
	FILE *out;
	int rc = 0;

	p.machine = host_name(e);
	if (p.machine == NULL)
		return -e->code;
	for (int i = 0; rc == 0 && i < n; i++)
		rc = profile_add(&p, disks[i], e);
	if (rc == 0 && n == 0)
		rc = profile_find(&p, e);
	if (rc < 0)
		return rc;
	out = open_output(e);
	if (out == NULL)
		return -e->code;
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGINT, &end, NULL);
	rc = measure(&p, out, e);
	if (out != stdout && fclose(out) != 0 && rc == 0)
		rc = err_sys(e, 0, "%s", output);
	return rc;
}

/* ---- report ---- */

static int read_file(struct churn *c, const char *path, struct err *e)
{
	FILE *in = stdin;
	int rc;

	if (strcmp(path, "-") == 0)
		return churn_read(c, in, "standard input", e);
	in = fopen(path, "re");
	if (in == NULL)
		return err_sys(e, errno == ENOENT ? PS_NOINPUT : 0, "%s", path);
	rc = churn_read(c, in, path, e);
	(void)fclose(in);
	return rc;
}

static int read_all(struct churn *c, char **files, int n, struct err *e)
{
	int rc = n == 0 ? read_file(c, "-", e) : 0;

	for (int i = 0; rc == 0 && i < n; i++)
		rc = read_file(c, files[i], e);
	return rc == 0 ? churn_total(c, e) : rc;
}

static int run_report(char **files, int n, struct err *e)
{
	struct sizing_opts o = {.percentile = (double)percentile,
				.growth = (double)growth / 100,
				.ratio = (double)ratio / 100,
				.rpo = (double)rpo,
				.bandwidth = (double)bandwidth * 8,
				.retention = (double)retention,
				.outage = (double)outage,
				.initial = (double)initial,
				.headroom = (double)headroom / 100};
	struct churn c = {0};
	struct sizing s;
	int rc;

	rc = read_all(&c, files, n, e);
	if (rc == 0)
		rc = sizing_make(&s, &c, &o, e);
	if (rc == 0) {
		if (json)
			plan_json(&s, &c, &o);
		else
			plan_text(&s, &c, &o);
		rc = s.fit == c.nmachines ? PS_OK : PS_NO;
		sizing_free(&s, &c);
	}
	churn_free(&c);
	return rc;
}

int main(int argc, char **argv)
{
	struct err e = {0};
	int at, rc;

	tool_init("ps-plan");
	at = opt_parse(&tool, argc, argv);
	if (strcmp(argv[at], "profile") == 0)
		rc = run_profile(argv + at + 1, argc - at - 1, &e);
	else
		rc = run_report(argv + at + 1, argc - at - 1, &e);
	if (rc < 0)
		tool_die(&e);
	return tool_finish(rc);
}
