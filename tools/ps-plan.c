/*
 * ps-plan(1): measures churn, and says what it needs.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/durable.h"
#include "base/opt.h"
#include "base/tool.h"
#include "base/units.h"
#include "fleet/profile.h"
#include "ps-plan-measure.h"
#include "ps-plan.h"

#define STATE_DIR LOCALSTATEDIR "/lib/ps-toolkit/health"

static uint64_t percentile = 95, growth = 30, ratio = 100, headroom = 30;
static uint64_t rpo = 15 * 60, retention = 24 * 3600, outage = 4 * 3600;
static uint64_t initial = 72 * 3600, interval = 60, run_for;
static uint64_t bandwidth;
static const char *machine, *output, *cache, *state = STATE_DIR;
static const char *html, *table_name = "2019";
static bool json, changed;

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
     "report: what RPO this line gives (100Mbit, 12M)", 0, 0, 0, 0, 0},
    {0, "retention", OPT_DURATION, "TIME", &retention,
     "report: how long points are kept (default: 24h)", 0, 0, 0, 60,
     3650ULL * 86400},
    {0, "outage", OPT_DURATION, "TIME", &outage,
     "report: what the cache has to bridge (default: 4h)", 0, 0, 0, 60,
     90 * 86400},
    {0, "initial", OPT_DURATION, "TIME", &initial,
     "report: wanted time of initial replication (default: 72h)", 0, 0, 0, 60,
     365 * 86400},
    {0, "tables", OPT_CHOICE, "YEAR", &table_name,
     "report: which published limits (default: 2019)", 0, 0, "2019|2015", 0, 0},
    {0, "html", OPT_FILE, "FILE", &html, "report: write this page, too", 0, 0,
     0, 0, 0},
    {0, "json", OPT_FLAG, 0, &json, "report: print JSON", 0, 0, 0, 0, 0},
    {'m', "machine", OPT_TEXT, "NAME", &machine,
     "profile: the name in the rows (default: this host's)", 0, "machine", 0, 0,
     0},
    {0, "interval", OPT_DURATION, "TIME", &interval,
     "profile: between two samples (default: 60)", 0, 0, 0, 1, 3600},
    {0, "for", OPT_DURATION, "TIME", &run_for,
     "profile: end after this time (default: never)", 0, 0, 0, 1, 0},
    {'o', "output", OPT_FILE, "FILE", &output,
     "profile, history: append to this file (default: standard output)", 0, 0,
     0, 0, 0},
    {0, "changed", OPT_FLAG, 0, &changed,
     "profile: trace writes, and count a block once in an interval", 0, 0, 0, 0,
     0},
    {'C', "cache", OPT_DIR, "DIR", &cache,
     "profile: what agents send to this cache instead", 0, 0, 0, 0, 0},
    {0, "state", OPT_DIR, "DIR", &state, "history: folder of ps-health",
     "PS_HEALTH_DIR", "health.state", 0, 0, 0},
    {0}};

static const struct opt_cmd cmds[] = {
    {"profile", "measure what the disks of this machine write"},
    {"history", "what agents sent in the last four hours"},
    {"report", "say what the measured churn needs"},
    {0}};

static const struct opt_tool tool = {
    .name = "ps-plan",
    .about = "Capacity planning from measured churn.",
    .synopsis = "profile [-m NAME] [--interval TIME] [--for TIME] [-o FILE] "
		"[--changed] [DISK...]\n"
		"profile -C CACHE [--interval TIME] [--for TIME] [-o FILE]\n"
		"history [--state DIR] [-o FILE]\n"
		"report [--percentile N] [--growth PERCENT] [--rpo TIME] "
		"[--bandwidth RATE] [--retention TIME] [--outage TIME] "
		"[--tables YEAR] [--html FILE] [--json] [FILE...]\n",
    .opts = opts,
    .cmds = cmds,
    .operands = "file"};

/* ---- profile ---- */

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

/*
 * Rows go behind what is there: that has to be of the same columns. A row that
 * was cut (a full disk) is taken away.
 */
static int mend_output(FILE *f, struct err *e)
{
	long end = 0;
	int c = 0, rc = 0;

	if (!profile_is_header(f)) {
		rc = err_set(e, PS_DATA,
			     "%s: does not begin as samples of this version do",
			     output);
		err_hint(e, "name another file; report reads several");
		return rc;
	}
	if (fseek(f, 0, SEEK_END) != 0)
		return err_sys(e, 0, "%s", output);
	for (end = ftell(f); end > 0 && c != '\n'; end--)
		if (fseek(f, end - 1, SEEK_SET) != 0 || (c = fgetc(f)) == EOF)
			return err_sys(e, 0, "%s", output);
	end++; /* behind the newline */
	if (fseek(f, 0, SEEK_END) != 0 || end == ftell(f))
		return 0;
	tool_warn("%s: the last row is not whole and is taken away", output);
	return ftruncate(fileno(f), end) < 0 ? err_sys(e, 0, "%s", output) : 0;
}

/* The file to append to; *ret_new: it has no line of names yet. */
static FILE *open_output(bool *ret_new, struct err *e)
{
	struct stat st;
	FILE *f;
	int rc;

	*ret_new = true;
	if (output == NULL || strcmp(output, "-") == 0)
		return stdout;
	if (stat(output, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
		*ret_new = false;
		f = fopen(output, "r+e");
		rc =
		    f == NULL ? err_sys(e, 0, "%s", output) : mend_output(f, e);
		if (f != NULL)
			(void)fclose(f);
		if (rc < 0)
			return NULL;
	}
	f = fopen(output, "ae");
	if (f == NULL)
		err_sys(e, 0, "%s", output);
	return f;
}

static int close_output(FILE *out, int rc, struct err *e)
{
	if (out != stdout && fclose(out) != 0 && rc == 0)
		return err_sys(e, 0, "%s", output);
	return rc;
}

static int profile_here(char **disks, int n, struct err *e)
{
	static struct profile p = {.proc = "/proc", .sys = "/sys"};
	struct measure m = {interval, run_for, changed, true};
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
	out = open_output(&m.header, e);
	if (out == NULL)
		return -e->code;
	return close_output(out, measure_here(&p, &m, out, e), e);
}

static int run_profile(char **disks, int n, struct err *e)
{
	struct measure m = {interval, run_for, false, true};
	FILE *out;

	if (cache == NULL)
		return profile_here(disks, n, e);
	if (n > 0 || changed)
		opt_misuse("--cache measures what agents send, no disks here");
	out = open_output(&m.header, e);
	if (out == NULL)
		return -e->code;
	return close_output(out, measure_cache(cache, &m, out, e), e);
}

static int run_history(int n, struct err *e)
{
	bool is_new;
	FILE *out;

	if (n > 0)
		opt_misuse("history takes no operands");
	out = open_output(&is_new, e);
	if (out == NULL)
		return -e->code;
	return close_output(out, measure_history(state, is_new, out, e), e);
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

/* Replaced as a whole: somebody may be reading the one before. */
static int write_page(const struct sizing *s, const struct churn *c,
		      const struct sizing_opts *o, const struct plan_beside *b,
		      struct err *e)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	int rc;

	if (f == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s", html);
	rc = plan_html(s, c, o, b, f, e);
	if (fclose(f) != 0 && rc == 0)
		rc = err_sys(e, PS_TEMPFAIL, "%s", html);
	if (rc == 0)
		rc =
		    durable_write_path(html, text, n, 0644, DURABLE_REPLACE, e);
	free(text);
	return rc;
}

static int print_report(const struct sizing *s, const struct churn *c,
			const struct sizing_opts *o,
			const struct plan_beside *b, struct err *e)
{
	if (json)
		plan_json(s, c, o, b, stdout);
	else
		plan_text(s, c, o, b, stdout);
	return html == NULL ? 0 : write_page(s, c, o, b, e);
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
				.headroom = (double)headroom / 100,
				.tables = tables_find(table_name)};
	struct plan_beside b = {.o = o};
	struct churn c = {0};
	struct sizing s;
	int rc;

	b.o.tables = &tables[o.tables == &tables[0] ? 1 : 0];
	rc = read_all(&c, files, n, e);
	if (rc == 0)
		rc = sizing_make(&s, &c, &o, e);
	if (rc == 0) {
		rc = sizing_make(&b.s, &c, &b.o, e);
		if (rc == 0) {
			rc = print_report(&s, &c, &o, &b, e);
			sizing_free(&b.s, &c);
		}
		if (rc == 0)
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
	else if (strcmp(argv[at], "history") == 0)
		rc = run_history(argc - at - 1, &e);
	else
		rc = run_report(argv + at + 1, argc - at - 1, &e);
	if (rc < 0)
		tool_die(&e);
	return tool_finish(rc);
}
