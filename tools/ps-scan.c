/* ps-scan: reads a disk and writes what has changed as a segment stream. */
#include "config.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/opt.h"
#include "base/tool.h"
#include "base/units.h"
#include "disk/changes.h"
#include "disk/commit.h"
#include "disk/digestmap.h"
#include "disk/identity.h"
#include "disk/scan.h"
#include "disk/status.h"

static struct scan scan = {.consistency = "crash",
			   .segment_size = SEG_DATA_DEFAULT};
static bool do_commit, do_digest, do_status, do_adopt, do_merge, do_identify;
static bool settle, restart, replace;
static bool json;
static const char *scrub;
static uint64_t threads;

static const struct opt opts[] = {
    {'m', "machine", OPT_TEXT, "NAME", &scan.machine,
     "machine that the disk belongs to", 0, 0, 0, 0, 0},
    {'d', "disk", OPT_TEXT, "NAME", &scan.disk, "name of the disk", 0, 0, 0, 0,
     0},
    {0, "map", OPT_FILE, "FILE", &scan.map, "disk map: what the other side has",
     0, 0, 0, 0, 0},
    {0, "full", OPT_FLAG, NULL, &scan.full, "begin a new base: send everything",
     0, 0, 0, 0, 0},
    {0, "changed", OPT_FILE, "FILE", &scan.changed,
     "read only what this list names (- for standard input)", 0, 0, 0, 0, 0},
    {0, "bookmark", OPT_TEXT, "ID", &scan.bookmark,
     "name of the recovery point (default: time and random)", 0, 0, 0, 0, 0},
    {0, "consistency", OPT_CHOICE, "LEVEL", &scan.consistency,
     "what the point can be trusted for", 0, 0, "none|crash|app", 0, 0},
    {0, "members", OPT_TEXT, "M/D,...", &scan.members,
     "disks that share the bookmark (default: this one)", 0, 0, 0, 0, 0},
    {0, "block-size", OPT_SIZE, "SIZE", &scan.block_size,
     "of a new map (default 64K)", 0, 0, 0, SEG_BLOCK_MIN, SEG_BLOCK_MAX},
    {0, "segment-size", OPT_SIZE, "SIZE", &scan.segment_size,
     "data in one segment (default 64M)", 0, 0, 0, SCAN_SEGMENT_MIN,
     SCAN_SEGMENT_MAX},
    {0, "fuzzy", OPT_FLAG, NULL, &scan.fuzzy,
     "read a device that is mounted; consistency is none then", 0, 0, 0, 0, 0},
    {0, "no-point", OPT_FLAG, NULL, &scan.no_point,
     "converge: send what differs, make no recovery point", 0, 0, 0, 0, 0},
    {0, "scrub", OPT_TEXT, "K/N", &scrub,
     "with --changed: read K Nths of the disk besides", 0, 0, 0, 0, 0},
    {0, "read-rate", OPT_RATE, "RATE", &scan.read_rate,
     "bytes per second read at most: 20M, 100Mbit", 0, 0, 0, 0, 0},
    {'j', "threads", OPT_NUMBER, "N", &threads,
     "threads that read and hash (default: by processors)", 0, 0, 0, 1, 256},
    {0, "held", OPT_FLAG, NULL, &scan.held,
     "a mounted source whose writers are held (fsfreeze)", 0, 0, 0, 0, 0},
    {0, "commit", OPT_FLAG, NULL, &do_commit,
     "read acknowledgements, commit them to the map", 0, 0, 0, 0, 0},
    {0, "settle", OPT_FLAG, NULL, &settle,
     "with --commit: each line states the other side's head", 0, 0, 0, 0, 0},
    {0, "restart", OPT_FLAG, NULL, &restart,
     "with --commit: if the head does not fit, begin a base behind it", 0, 0, 0,
     0, 0},
    {0, "adopt", OPT_FLAG, NULL, &do_adopt,
     "make the map from a digest map on standard input", 0, 0, 0, 0, 0},
    {0, "replace", OPT_FLAG, NULL, &replace,
     "with --adopt: in place of a map that is there", 0, 0, 0, 0, 0},
    {0, "merge", OPT_FLAG, NULL, &do_merge,
     "print the change list on standard input, merged and bounded", 0, 0, 0, 0,
     0},
    {0, "status", OPT_FLAG, NULL, &do_status, "print what the map knows", 0, 0,
     0, 0, 0},
    {0, "digest", OPT_FLAG, NULL, &do_digest, "print the disk digest of SOURCE",
     0, 0, 0, 0, 0},
    {0, "identify", OPT_FLAG, NULL, &do_identify,
     "print what SOURCE is known by", 0, 0, 0, 0, 0},
    {0, "json", OPT_FLAG, NULL, &json, "with --status: as JSON", 0, 0, 0, 0, 0},
    {0},
};

static const struct opt_tool tool = {
    .name = "ps-scan",
    .about = "Reads a disk and writes what has changed as a segment stream.",
    .synopsis =
	"--machine M --disk D --map FILE [options] SOURCE\n"
	"--commit --map FILE [--settle | --restart]\n"
	"--adopt --map FILE --machine M --disk D [--replace] <DIGESTMAP\n"
	"--status --map FILE [--json]\n"
	"--digest [--block-size SIZE] SOURCE\n"
	"--identify SOURCE\n"
	"--merge <LIST\n",
    .opts = opts,
    .operands = "file",
};

/* ---- what each mode does ---- */

/*
 * A change list that misses writes is the worst that can happen to a replica:
 * this is said under -q too.
 */
static void warn_scrub(const struct scrub_found *f)
{
	uint64_t i;

	if (f->unjudged > 0)
		fprintf(stderr,
			"ps-scan: scrub: %llu ranges differed while the disk "
			"was in use; this pass has no change list, so whether "
			"one had missed them stays unknown\n",
			(unsigned long long)f->unjudged);
	if (f->blocks == 0)
		return;
	fprintf(stderr,
		"ps-scan: scrub: %llu blocks differ that no change list has "
		"named; they are sent now. START LENGTH:\n",
		(unsigned long long)f->blocks);
	for (i = 0; i < f->ranges && i < SCRUB_SHOWN; i++)
		fprintf(stderr, "ps-scan: scrub: %llu %llu\n",
			(unsigned long long)f->at[i].start,
			(unsigned long long)(f->at[i].end - f->at[i].start));
	if (f->ranges > SCRUB_SHOWN)
		fprintf(stderr, "ps-scan: scrub: and %llu ranges more\n",
			(unsigned long long)(f->ranges - SCRUB_SHOWN));
	fprintf(stderr, "ps-scan: hint: find out what writes past the change "
			"list; a pass without --changed reads everything\n");
}

static int run_scan(void)
{
	char data[32], zero[32];
	struct scan_totals t = {0};
	struct io_out out;
	struct err e = {0};
	int rc = io_out_open_fd(&out, STDOUT_FILENO, "standard output", &e);

	if (rc == 0)
		rc = scan_run(&scan, &out, &t, &e);
	io_out_close(&out);
	warn_scrub(&t.scrub);
	if (rc < 0)
		return tool_fail(&e);
	if (t.last_seq < t.first_seq) {
		tool_note("nothing differs: nothing sent");
		return PS_OK;
	}
	format_size(t.data_bytes, data, sizeof(data));
	format_size(t.zero_bytes, zero, sizeof(zero));
	tool_note("%s: segments %llu to %llu, %s data, %s zero", t.bookmark,
		  (unsigned long long)t.first_seq,
		  (unsigned long long)t.last_seq, data, zero);
	return PS_OK;
}

static int run_commit(void)
{
	const struct commit c = {.map = scan.map,
				 .settle = settle,
				 .restart = restart,
				 .machine = scan.machine,
				 .disk = scan.disk,
				 .block_size = scan.block_size};
	struct err e = {0};

	return commit_run(&c, stdin, stdout, &e) < 0 ? tool_fail(&e) : PS_OK;
}

static int run_adopt(void)
{
	struct digestmap_head h;
	struct io_in in = {0};
	struct err e = {0};
	int rc = io_in_open_fd(&in, STDIN_FILENO, "standard input", &e);

	if (rc == 0)
		rc = digestmap_adopt(&in, scan.map, scan.machine, scan.disk,
				     replace, &h, &e);
	io_in_close(&in);
	if (rc < 0)
		return tool_fail(&e);
	tool_note("%s: %s/%s after segment %llu", scan.map, h.machine, h.disk,
		  (unsigned long long)h.seq);
	return PS_OK;
}

static int run_merge(void)
{
	struct err e = {0};

	return changes_merge(stdin, "standard input", stdout, &e) < 0
		   ? tool_fail(&e)
		   : PS_OK;
}

static int run_digest(void)
{
	uint8_t digest[SHA256_LEN];
	char hex[SHA256_HEX];
	struct err e = {0};

	if (scan_digest(&scan, digest, &e) < 0)
		return tool_fail(&e);
	hex_encode(digest, SHA256_LEN, hex);
	puts(hex);
	return PS_OK;
}

static int run_identify(void)
{
	struct identity id;
	struct err e = {0};

	if (identity_find(scan.source, &id, &e) < 0)
		return tool_fail(&e);
	printf("%s\t%s\n", id.key, id.known ? id.text : "?");
	return PS_OK;
}

static void print_json(const struct map_status *st, const char *hex)
{
	const struct map_head *h = &st->head;
	json_t *o = json_pack(
	    "{s:s, s:s, s:I, s:I, s:I, s:s, s:b, s:b, s:I, s:I, s:I, s:b, "
	    "s:I, s:I, s:I}",
	    "machine", h->machine, "disk", h->disk, "size",
	    (json_int_t)h->disk_size, "block_size", (json_int_t)h->block_size,
	    "seq", (json_int_t)h->seq, "digest", hex, "point", h->has_point,
	    "new_base", h->restart || h->seq == 0, "sent_seq",
	    (json_int_t)st->sent_seq, "journal",
	    (json_int_t)st->journal_entries, "dirty_bytes",
	    (json_int_t)st->dirty_bytes, "scanning", st->scanning,
	    "scrub_found", (json_int_t)st->scrub.found, "scrub_position",
	    (json_int_t)st->scrub.position, "scrub_rounds",
	    (json_int_t)st->scrub.rounds);

	json_dumpf(o, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(o);
}

static void print_text(const struct map_status *st, const char *hex)
{
	const struct map_head *h = &st->head;
	char size[32], block[32], dirty[32];

	format_size(h->disk_size, size, sizeof(size));
	format_size(h->block_size, block, sizeof(block));
	format_size(st->dirty_bytes, dirty, sizeof(dirty));
	printf("disk      %s/%s, %s in blocks of %s\n", h->machine, h->disk,
	       size, block);
	printf("segment   %llu %s\n", (unsigned long long)h->seq, hex);
	printf("point     %s\n", h->has_point ? "yes"
					      : "no: initial replication has "
						"not ended");
	if (h->restart)
		puts("next      a new base");
	if (st->sent_seq > h->seq)
		printf("unsettled segments %llu to %llu\n",
		       (unsigned long long)h->seq + 1,
		       (unsigned long long)st->sent_seq);
	printf("journal   %llu segments not known to be stored\n",
	       (unsigned long long)st->journal_entries);
	printf("dirty     %s\n", dirty);
	if (st->scrub.position > 0 || st->scrub.rounds > 0)
		printf("scrub     %llu rounds, at byte %llu, %llu blocks found "
		       "that change lists had missed\n",
		       (unsigned long long)st->scrub.rounds,
		       (unsigned long long)st->scrub.position,
		       (unsigned long long)st->scrub.found);
	printf("scan      %s\n", st->scanning ? "running" : "not running");
}

static int run_status(void)
{
	char hex[SHA256_HEX];
	struct map_status st;
	struct err e = {0};

	if (map_status(scan.map, &st, &e) < 0)
		return tool_fail(&e);
	hex_encode(st.head.digest, SHA256_LEN, hex);
	if (json)
		print_json(&st, hex);
	else
		print_text(&st, hex);
	return PS_OK;
}

/* ---- checks ---- */

static void check_mode(int operands)
{
	bool reads = !do_commit && !do_status && !do_adopt && !do_merge;

	if (do_commit + do_status + do_digest + do_adopt + do_merge +
		do_identify >
	    1)
		opt_misuse("--commit, --status, --digest, --identify, --adopt "
			   "and --merge exclude each other");
	if (replace && !do_adopt)
		opt_misuse("--replace goes with --adopt");
	if (do_adopt && (scan.machine == NULL || scan.disk == NULL))
		opt_misuse("--machine and --disk are needed");
	if ((settle || restart) && !do_commit)
		opt_misuse("--settle and --restart go with --commit");
	if (settle && restart)
		opt_misuse("--restart settles already");
	if (json && !do_status)
		opt_misuse("--json goes with --status");
	if (!do_digest && !do_merge && !do_identify && scan.map == NULL)
		opt_misuse("--map is missing");
	if (operands != (reads ? 1 : 0))
		opt_misuse(reads ? "exactly one SOURCE is needed"
				 : "there is no operand");
	if (scan.block_size != 0 && !seg_block_size_ok(scan.block_size))
		opt_misuse("--block-size: not a power of two");
}

static void check_scan(void)
{
	if (scan.machine == NULL || scan.disk == NULL)
		opt_misuse("--machine and --disk are needed");
	if (scan.no_point && scan.bookmark != NULL)
		opt_misuse("--no-point makes no point: no --bookmark");
	if (scrub != NULL && !scrub_parse(scrub, &scan.scrub_k, &scan.scrub_n))
		opt_misuse("--scrub: '%s' is not K/N, such as 1/30", scrub);
	if (scan.full && scan.changed != NULL)
		opt_misuse("--full reads everything: no --changed");
	tool_no_terminal(STDOUT_FILENO, "a segment stream");
}

int main(int argc, char **argv)
{
	int first;

	tool_init("ps-scan");
	first = opt_parse(&tool, argc, argv);
	check_mode(argc - first);
	scan.threads = (unsigned)threads;
	scan.source = argv[first];
	if (do_commit)
		return tool_finish(run_commit());
	if (do_adopt)
		return tool_finish(run_adopt());
	if (do_status)
		return tool_finish(run_status());
	if (do_digest)
		return tool_finish(run_digest());
	if (do_merge)
		return tool_finish(run_merge());
	if (do_identify)
		return tool_finish(run_identify());
	check_scan();
	return tool_finish(run_scan());
}
