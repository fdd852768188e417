#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/opt.h"
#include "base/progress.h"
#include "base/secret.h"
#include "base/tool.h"
#include "base/units.h"
#include "filter.h"
#include "segment/verify.h"
#include "stream-print.h"

static struct print_options print;
static struct opt_list machines, disks;
static const char *seq_range, *key_file;
static uint64_t jobs;

static const struct opt opts[] = {
    {'m', "machine", OPT_LIST, "MACHINE", &machines,
     "only segments of this machine; may be repeated", 0, 0, 0, 0, 0},
    {'d', "disk", OPT_LIST, "DISK", &disks,
     "only segments of this disk; may be repeated", 0, 0, 0, 0, 0},
    {'s', "seq", OPT_TEXT, "A-B", &seq_range,
     "only these sequence numbers: N, A-B, A- or -B", 0, 0, 0, 0, 0},
    {0, "json", OPT_FLAG, NULL, &print.json, "print JSON, one object a line", 0,
     0, 0, 0, 0},
    {'k', "key", OPT_FILE, "KEYFILE", &key_file,
     "verify: key file, to check sealed segments too", "PS_KEY_FILE", "key", 0,
     0, 0},
    {'j', "jobs", OPT_NUMBER, "N", &jobs,
     "verify: threads (default: one for each processor, at most 8)", 0, 0, 0, 1,
     64},
    {0},
};

static const struct opt_cmd cmds[] = {
    {"list", "one line for each segment; with -v also its records"},
    {"stat", "totals of the stream"},
    {"verify", "check everything that can be checked"},
    {"cat", "write the selected segments as they are"},
    {0},
};

static const struct opt_tool tool = {
    .name = "ps-stream",
    .about = "Look at a stream of segments or at one segment file.",
    .synopsis = "list [-v] [--json] [SELECTION] [FILE|-]\n"
		"stat [--json] [SELECTION] [FILE|-]\n"
		"verify [-k KEYFILE] [-j N] [--json] [FILE|-]\n"
		"cat [SELECTION] [FILE|-]",
    .opts = opts,
    .cmds = cmds,
    .operands = "file",
};

/* ---- selection ---- */

static uint64_t seq_from = 1, seq_to = UINT64_MAX;

static void parse_range(const char *text)
{
	const char *dash = strchr(text, '-');
	char first[32];
	bool ok;

	if (dash == NULL) {
		ok = parse_u64(text, UINT64_MAX, &seq_from);
		seq_to = seq_from;
	} else {
		snprintf(first, sizeof(first), "%.*s", (int)(dash - text),
			 text);
		ok =
		    (dash == text || parse_u64(first, UINT64_MAX, &seq_from)) &&
		    (dash[1] == '\0' ||
		     parse_u64(dash + 1, UINT64_MAX, &seq_to)) &&
		    text[1] != '\0';
	}
	if (!ok || seq_from > seq_to)
		opt_misuse("--seq: '%s' is none of N, A-B, A- and -B", text);
}

static bool in_list(const struct opt_list *l, const char *name)
{
	unsigned i;

	for (i = 0; i < l->n; i++)
		if (strcmp(l->items[i], name) == 0)
			return true;
	return l->n == 0;
}

/* A merged segment is selected by any number that it covers. */
static bool selected(const struct seg_header *h)
{
	return in_list(&machines, h->machine) && in_list(&disks, h->disk) &&
	       h->seq >= seq_from && h->first_seq <= seq_to;
}

/* ---- commands ---- */

typedef int part_fn(void *ctx, const struct seg_reader *r,
		    const struct seg_item *item, struct err *e);

/* Every part of the selected segments. */
static int each_part(struct io_in *in, part_fn *fn, void *ctx, struct err *e)
{
	struct seg_reader r;
	struct seg_item item;
	bool wanted = false;
	int rc = seg_reader_open(&r, in, e);

	while (rc >= 0 && (rc = seg_reader_next(&r, &item, e)) > 0) {
		if (item.part == SEG_PART_HEADER)
			wanted = selected(&r.header);
		if (wanted)
			rc = fn(ctx, &r, &item, e);
		progress_at(in->consumed);
	}
	seg_reader_close(&r);
	return rc;
}

static int list_part(void *ctx, const struct seg_reader *r,
		     const struct seg_item *item, struct err *e)
{
	(void)ctx;
	(void)e;
	if (item->part == SEG_PART_RECORD && opt_verbose > 0)
		print_record(&print, r, item);
	else if (item->part == SEG_PART_TRAILER)
		print_segment(&print, r);
	return 0;
}

static int list(struct io_in *in, struct err *e)
{
	print_heading(&print);
	return each_part(in, list_part, NULL, e);
}

static int stat_part(void *ctx, const struct seg_reader *r,
		     const struct seg_item *item, struct err *e)
{
	return item->part == SEG_PART_TRAILER ? totals_add(ctx, r, e) : 0;
}

static int stat(struct io_in *in, struct err *e)
{
	struct totals sum = {0};
	int rc = each_part(in, stat_part, &sum, e);

	if (rc >= 0)
		print_totals(&print, &sum);
	totals_free(&sum);
	return rc;
}

static int cat_part(void *ctx, const struct seg_reader *r,
		    const struct seg_item *item, struct err *e)
{
	int rc = io_out_write(ctx, item->raw, item->raw_len, e);

	(void)r;
	if (rc == 0 && item->part == SEG_PART_TRAILER)
		rc = io_out_flush(ctx, e);
	return rc;
}

static int cat(struct io_in *in, struct err *e)
{
	struct io_out out = {0};
	int rc = io_out_open_fd(&out, STDOUT_FILENO, "standard output", e);

	if (rc == 0)
		rc = each_part(in, cat_part, &out, e);
	io_out_close(&out);
	return rc;
}

static void show_verdict(void *ctx, const struct seg_verdict *v)
{
	struct io_in *in = ctx;

	if (v->wrong != NULL || !opt_quiet)
		print_verdict(&print, v);
	progress_at(in->consumed);
}

static int verify(struct io_in *in, struct err *e)
{
	struct keyring *keys = NULL;
	int rc = 0;

	if (key_file != NULL) {
		secret_harden_process();
		rc = keyring_load(&keys, key_file, e);
	}
	if (rc == 0)
		rc = seg_verify_run(in, keys, (unsigned)jobs, show_verdict, in,
				    e);
	keyring_free(keys);
	return rc;
}

typedef int command_fn(struct io_in *in, struct err *e);

static command_fn *find_command(const char *name)
{
	if (strcmp(name, "list") == 0)
		return list;
	if (strcmp(name, "stat") == 0)
		return stat;
	if (strcmp(name, "verify") == 0)
		return verify;
	tool_no_terminal(STDOUT_FILENO, "a stream of segments");
	return cat;
}

static int run(command_fn *command, int argc, char **argv)
{
	struct io_in in = {0};
	struct err e = {0};
	const char *name;
	int fd = filter_input(argc, argv, &name, &e);
	int rc = fd < 0 ? fd : io_in_open_fd(&in, fd, name, &e);

	progress_begin("read", fd < 0 ? 0 : filter_size(fd));
	if (rc == 0)
		rc = command(&in, &e);
	progress_end();
	io_in_close(&in);
	return rc < 0 ? tool_fail(&e) : PS_OK;
}

int main(int argc, char **argv)
{
	command_fn *command;
	int first;

	tool_init("ps-stream");
	first = opt_parse(&tool, argc, argv);
	command = find_command(argv[first++]);
	if (seq_range != NULL)
		parse_range(seq_range);
	if (command == verify && (machines.n + disks.n > 0 || seq_range))
		opt_misuse("verify checks the whole stream; select by "
			   "'ps-stream cat' before it");
	return tool_finish(run(command, argc - first, argv + first));
}
