#include "config.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/opt.h"
#include "base/progress.h"
#include "base/tool.h"
#include "base/units.h"
#include "vault/probe.h"
#include "vault/upload.h"
#include "store-opts.h"
#include "upload-rates.h"

/* What --probe writes. */
#define PROBE_BYTES (16u << 20)

static const char *vault_url, *report_file;
static struct upload_rates rates;
static bool probe;

static const struct opt options[] = {
    {0, "vault", OPT_TEXT, "VAULT", &vault_url,
     "the vault when no operand names one", "PS_VAULT", "vault", 0, 0, 0},
    {0, "limit-rate", OPT_RATE, "RATE", &rates.limit,
     "bytes per second at most: 20M, 100Mbit", NULL, "upload.limit-rate", 0, 0,
     0},
    {0, "schedule", OPT_TEXT, "RULES", &rates.schedule,
     "rates by time: 'Mon-Fri 08:00-18:00 5Mbit; * 50Mbit'", NULL,
     "upload.schedule", 0, 0, 0},
    {0, "for", OPT_TEXT, "NAME", &rates.name,
     "take the rates of this entry of 'vaults' in ps.yaml", 0, 0, 0, 0, 0},
    {'j', "jobs", OPT_NUMBER, "N", &store_settings.jobs,
     "transfers at a time (4)", NULL, "upload.jobs", 0, 1, STORE_JOBS_MAX},
    {0, "report", OPT_FILE, "FILE", &report_file,
     "tell in this file, each second, how it goes and what holds it back", NULL,
     NULL, 0, 0, 0},
    {0, "probe", OPT_FLAG, NULL, &probe,
     "try the store step by step and say how fast it is", 0, 0, 0, 0, 0},
    STORE_OPTIONS,
    {0},
};

static const struct opt_tool tool = {
    .name = "ps-upload",
    .about = "Store a stream of segments in a vault.",
    .synopsis = "[--limit-rate RATE] [--schedule RULES] [--for NAME] [-j N] "
		"[--report FILE] VAULT [FILE]\n"
		"--probe VAULT\n",
    .opts = options,
    .operands = "file",
};

static int print_ack(void *ctx, const struct ack *a, struct err *e)
{
	(void)ctx;
	return ack_print(stdout, a, e);
}

static void tell_step(void *ctx, const char *step, bool ok, const char *words)
{
	(void)ctx;
	printf("%-4s %-12s %s\n", ok ? "ok" : "no", step, words);
	fflush(stdout);
}

static int run_probe(void)
{
	struct err e = {0};

	if (probe_run(vault_url, PROBE_BYTES, tell_step, NULL, &e) < 0)
		return tool_finish(tool_fail(&e));
	return tool_finish(PS_OK);
}

/* The operands: VAULT (unless it is configured) and FILE. */
static const char *operands(int argc, char **argv, int at)
{
	int n = argc - at;

	if (n > 2)
		opt_misuse("too many operands");
	if (n > 0)
		vault_url = argv[at];
	if (vault_url == NULL)
		opt_misuse("no vault is given");
	return n == 2 ? argv[at + 1] : "-";
}

static int open_input(const char *file)
{
	struct stat st;
	int fd = STDIN_FILENO;

	if (strcmp(file, "-") != 0)
		fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		tool_die_errno(0, "%s", file);
	progress_begin("stored",
		       S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0);
	return fd;
}

static void report(const struct upload_totals *t)
{
	char bytes[32];

	format_size(t->bytes, bytes, sizeof(bytes));
	tool_note("%llu segments stored, %llu refused, %s written",
		  (unsigned long long)t->stored, (unsigned long long)t->refused,
		  bytes);
}

static int upload(struct upload *u, struct upload_totals *totals,
		  const char *file, struct err *e)
{
	struct vault v;
	int fd, rc = vault_open(&v, vault_url, e);

	if (rc < 0)
		return rc;
	if (v.store->ops->paced) {
		u->rate = NULL;
		rates_store(&rates, v.store);
	}
	if (v.single_writer) {
		upload_report_single_writer(u->report);
		tool_warn("this vault's store refuses no second create: see "
			  "to it that no other ps-upload writes to it");
	}
	fd = open_input(file);
	rc =
	    upload_run(&v, fd, strcmp(file, "-") != 0 ? file : "standard input",
		       u, totals, e);
	progress_end();
	rates_end(&rates);
	vault_close(&v);
	return rc;
}

int main(int argc, char **argv)
{
	struct upload_report rep;
	struct upload u = {
	    .ack = print_ack, .rate = &rates.rate, .report = &rep};
	struct upload_totals totals = {0};
	struct err e = {0};
	const char *file;
	int code = PS_OK;

	tool_init("ps-upload");
	/* A file size limit is an error to report, not a reason to die. */
	signal(SIGXFSZ, SIG_IGN);
	file = operands(argc, argv, opt_parse(&tool, argc, argv));
	if (rates_begin(&rates, options, &e) < 0)
		tool_die(&e);
	store_settings.rate = rates.pace.now;
	if (probe)
		return run_probe();
	upload_report_open(&rep, report_file, vault_url, rates.pace.now);
	rates.report = &rep;
	store_settings.watch = upload_report_web;
	store_settings.watch_ctx = &rep;
	if (rates_follow(&rates, &e) < 0 || upload(&u, &totals, file, &e) < 0)
		code = tool_fail(&e);
	else if (totals.refused > 0)
		code = PS_NO;
	upload_report_end(&rep, code, &e);
	report(&totals);
	return tool_finish(code);
}
