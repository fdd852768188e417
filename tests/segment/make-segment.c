/*
 * make-segment: writes a stream of segments for tests, from a model of disks
 * that it makes up as it goes.
 *
 * usage: make-segment [options] >STREAM
 *
 *	-m MACHINE	name of the machine (web01)
 *	-d DISK,...	names of its disks (root); all share each bookmark
 *	-s SIZE		of each disk (1M); units K, M, G, T
 *	-b SIZE		of a block (64K)
 *	-p PASSES	(1); the first writes the whole disk, later ones change
 *			some blocks; each pass ends in a point
 *	-c PERCENT	of the blocks that each later pass changes (10)
 *	-z PERCENT	of the blocks that are zero (25)
 *	-t KIND		of content: text, random, mixed, zero (mixed)
 *	-n SIZE		data in one segment (64M)
 *	-r SIZE		data in one record (1M)
 *	-k CONSISTENCY	none, crash, app (crash)
 *	-B NAME		bookmarks are NAME1, NAME2 ... by pass (p)
 *	-f SEQ:DIGEST	goes on behind that segment, as deltas
 *	-F PASS		this pass is a new base again
 *	-u		the last pass stays unfinished: no last part
 *	-x SEED		other content (1)
 *	-o PREFIX	writes what each disk holds after each pass into
 *			PREFIX.DISK.PASS (sparse)
 *
 * Content depends on the options alone; digests do not, because every segment
 * holds 16 random bytes. Times: the bookmark of pass N is N hours after
 * 2026-01-01T00:00:00Z.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/io.h"
#include "base/units.h"
#include "disk/digest.h"
#include "segment/writer.h"

#define DISKS_MAX 16
#define EPOCH_NS (1767225600 * NS_PER_S) /* 2026-01-01 */

enum content { TEXT, RANDOM, MIXED, ZERO };

struct options {
	const char *machine, *bookmark, *prefix;
	char *disks[DISKS_MAX];
	unsigned ndisks;
	uint64_t size, block, passes, percent, zeros, data, record, seed;
	uint64_t first, full;
	uint8_t prev[SHA256_LEN], consistency;
	enum content content;
	bool unfinished;
};

/* A disk: the pass that wrote each block last; 0 for never. */
struct disk {
	const char *name;
	unsigned number;
	uint8_t *version;
	uint64_t blocks, seq;
	uint8_t prev[SHA256_LEN];
};

static struct options opt = {
    .machine = "web01",
    .bookmark = "p",
    .size = 1024 * 1024,
    .block = SEG_BLOCK_DEFAULT,
    .passes = 1,
    .percent = 10,
    .zeros = 25,
    .data = SEG_DATA_DEFAULT,
    .record = SEG_RECORD_RAW_MAX,
    .seed = 1,
    .consistency = SEG_CONSISTENCY_CRASH,
    .content = MIXED,
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "make-segment: %s\n", what);
	exit(PS_USAGE);
}

static void check(int rc, const struct err *e)
{
	if (rc < 0)
		die(e->msg);
}

/* ---- what is in a block ---- */

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static uint64_t key_of(const struct disk *d, uint64_t block, unsigned version)
{
	return mix(mix(mix(opt.seed) + d->number) + block) + version;
}

static void fill_random(uint64_t key, uint8_t *out, size_t n)
{
	uint8_t word[8];
	size_t i;

	for (i = 0; i < n; i++) {
		if (i % 8 == 0)
			put_le64(word, mix(key + i / 8));
		out[i] = word[i % 8];
	}
}

static void fill_text(uint64_t key, uint8_t *out, size_t n)
{
	static const char *const words[] = {
	    "disk ",  "segment ", "of ",       "the ", "replica\n", "and ",
	    "time\t", "0x1f ",	  "recovery ", "is ",  "block ",    "map\n"};
	size_t i = 0;

	while (i < n) {
		const char *w;

		key = mix(key);
		w = words[key % 12];
		while (*w != '\0' && i < n)
			out[i++] = (uint8_t)*w++;
		if (key % 7 == 0 && i < n)
			out[i++] = (uint8_t)(key >> 32);
	}
}

static bool zero_block(const struct disk *d, uint64_t block, unsigned version)
{
	/* By four, so that there are runs. */
	return version == 0 || opt.content == ZERO ||
	       mix(key_of(d, block / 4, version) + 77) % 100 < opt.zeros;
}

/* Length of a block: the last one may be partial. */
static size_t block_len(uint64_t block)
{
	uint64_t left = opt.size - block * opt.block;

	return left < opt.block ? (size_t)left : (size_t)opt.block;
}

static void fill_block(const struct disk *d, uint64_t block, uint8_t *out)
{
	unsigned version = d->version[block];
	uint64_t key = key_of(d, block, version);
	enum content c = opt.content;

	if (c == MIXED)
		c = mix(key + 5) % 4 == 0 ? RANDOM : TEXT;
	if (zero_block(d, block, version))
		memset(out, 0, block_len(block));
	else if (c == RANDOM)
		fill_random(key, out, block_len(block));
	else
		fill_text(key, out, block_len(block));
}

/* ---- digests and images ---- */

static void disk_digest(const struct disk *d, uint8_t out[SHA256_LEN])
{
	uint64_t groups = disk_groups(opt.size), g, b = 0;
	uint32_t per = disk_group_blocks((uint32_t)opt.block);
	uint8_t *sums = malloc((groups + 1) * SHA256_LEN);
	uint8_t *entries = malloc((size_t)per * BLOCK_DIGEST_LEN);
	uint8_t *buf = malloc(opt.block);

	if (sums == NULL || entries == NULL || buf == NULL)
		die("no memory");
	for (g = 0; g < groups; g++) {
		uint32_t n =
		    disk_blocks_in_group(opt.size, (uint32_t)opt.block, g);
		uint32_t i;

		if (bytes_all_zero(d->version + b, n)) {
			disk_group_zero(n, sums + g * SHA256_LEN);
			b += n;
			continue;
		}
		for (i = 0; i < n; i++, b++) {
			fill_block(d, b, buf);
			block_digest(buf, block_len(b), opt.block,
				     entries + (size_t)i * BLOCK_DIGEST_LEN);
		}
		disk_group_digest(entries, n, sums + g * SHA256_LEN);
	}
	disk_digest_of(opt.size, (uint32_t)opt.block, sums, out);
	free(sums);
	free(entries);
	free(buf);
}

static void write_image(const struct disk *d, unsigned pass)
{
	uint8_t *buf = malloc(opt.block);
	char name[4096];
	uint64_t b;
	int fd;

	snprintf(name, sizeof(name), "%s.%s.%u", opt.prefix, d->name, pass);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0666);
	if (buf == NULL || fd < 0 || ftruncate(fd, (off_t)opt.size) < 0)
		die(name);
	for (b = 0; b < d->blocks; b++) {
		if (zero_block(d, b, d->version[b]))
			continue;
		fill_block(d, b, buf);
		if (io_pwrite_full(fd, buf, block_len(b), b * opt.block) < 0)
			die(name);
	}
	if (close(fd) < 0)
		die(name);
	free(buf);
}

/* ---- passes ---- */

struct pass {
	struct seg_writer *w;
	struct disk *d;
	unsigned number;
	uint32_t part;
	uint8_t *data, *digests; /* of the record that is being filled */
	size_t n, nblocks;
	uint64_t offset;
};

static void begin_segment(struct pass *p)
{
	struct seg_header h = {
	    .kind = SEG_DELTA,
	    .consistency = opt.consistency,
	    .initial = opt.first == 1 && p->number == 1,
	    .part = ++p->part,
	    .block_size = (uint32_t)opt.block,
	    .disk_size = opt.size,
	    .first_seq = p->d->seq,
	    .seq = p->d->seq,
	    .bookmark_time = EPOCH_NS + p->number * 3600 * NS_PER_S,
	};
	struct err e;

	if (p->part == 1 && (p->d->seq == 1 || p->number == opt.full))
		h.kind = SEG_BASE;
	memcpy(h.prev, p->d->prev, SHA256_LEN);
	put_le64(h.pass, mix(opt.seed + p->number));
	snprintf(h.machine, sizeof(h.machine), "%s", opt.machine);
	snprintf(h.disk, sizeof(h.disk), "%s", p->d->name);
	snprintf(h.bookmark, sizeof(h.bookmark), "%.40s%u", opt.bookmark,
		 p->number);
	check(seg_writer_begin(p->w, &h, &e), &e);
}

static void end_segment(struct pass *p, bool last)
{
	struct seg_member members[DISKS_MAX] = {0};
	struct seg_trailer t = {.last_part = last};
	uint8_t sum[SHA256_LEN];
	const uint8_t *tail;
	struct err e;
	unsigned i;
	size_t n;

	t.change_time = EPOCH_NS + p->number * 3600 * NS_PER_S;
	if (last) {
		for (i = 0; i < opt.ndisks; i++) {
			snprintf(members[i].machine, NAME_SIZE, "%s",
				 opt.machine);
			snprintf(members[i].disk, NAME_SIZE, "%s",
				 opt.disks[i]);
		}
		t.members = members;
		t.nmembers = opt.ndisks;
		disk_digest(p->d, sum);
	}
	check(seg_writer_tail(p->w, &t, last ? sum : NULL, &tail, &n, &e), &e);
	check(seg_writer_end(p->w, &e), &e);
	memcpy(p->d->prev, t.digest, SHA256_LEN);
	p->d->seq++;
}

static void flush_record(struct pass *p)
{
	struct err e;

	if (p->n == 0)
		return;
	check(seg_writer_data(p->w, p->offset, p->n, SEG_STORE, p->data,
			      (uint32_t)p->n, p->digests, &e),
	      &e);
	p->n = p->nblocks = 0;
	if (seg_writer_data_bytes(p->w) >= opt.data) {
		end_segment(p, false);
		begin_segment(p);
	}
}

static void add_block(struct pass *p, uint64_t b)
{
	size_t len = block_len(b);

	if (p->n > 0 &&
	    (p->offset + p->n != b * opt.block || p->n + len > opt.record))
		flush_record(p);
	if (p->n == 0)
		p->offset = b * opt.block;
	fill_block(p->d, b, p->data + p->n);
	block_digest(p->data + p->n, len, opt.block,
		     p->digests + p->nblocks++ * BLOCK_DIGEST_LEN);
	p->n += len;
}

/* The run of zero blocks from b to end. */
static void add_zeros(struct pass *p, uint64_t b, uint64_t end)
{
	uint64_t to = end * opt.block < opt.size ? end * opt.block : opt.size;
	struct err e;

	flush_record(p);
	if (seg_writer_records(p->w) >= SEG_SCAN_RECORDS_MAX) {
		end_segment(p, false);
		begin_segment(p);
	}
	check(seg_writer_zero(p->w, b * opt.block, to - b * opt.block, &e), &e);
}

/* Chooses what this pass changes; one that writes nothing costs no time. */
static bool changes(const struct pass *p, uint64_t b)
{
	if (p->number == 1 || p->number == opt.full)
		return true;
	return mix(key_of(p->d, b / 2, p->number) + 99) % 100 < opt.percent;
}

static void run_pass(struct pass *p)
{
	bool whole = p->number == 1 || p->number == opt.full;
	struct disk *d = p->d;
	uint64_t b, zero_from = 0;
	bool zeros = false;

	p->part = 0;
	begin_segment(p);
	if (whole && opt.content == ZERO && d->blocks > 0) {
		add_zeros(p, 0, d->blocks);
		end_segment(p, !opt.unfinished || p->number < opt.passes);
		return;
	}
	for (b = 0; b < d->blocks; b++) {
		bool changed = changes(p, b), zero;

		if (changed)
			d->version[b] = (uint8_t)p->number;
		zero = changed && zero_block(d, b, p->number);
		if (zeros && !zero)
			add_zeros(p, zero_from, b);
		if (zero && !zeros)
			zero_from = b;
		zeros = zero;
		if (changed && !zero)
			add_block(p, b);
	}
	if (zeros)
		add_zeros(p, zero_from, d->blocks);
	flush_record(p);
	end_segment(p, !opt.unfinished || p->number < opt.passes);
}

static void run(struct seg_writer *w)
{
	struct disk disks[DISKS_MAX] = {0};
	struct pass p = {.w = w};
	unsigned i, pass;

	p.data = malloc(SEG_RECORD_RAW_MAX);
	p.digests =
	    malloc(SEG_RECORD_RAW_MAX / SEG_BLOCK_MIN * BLOCK_DIGEST_LEN);
	for (i = 0; i < opt.ndisks; i++) {
		struct disk *d = &disks[i];

		d->name = opt.disks[i];
		d->number = i;
		d->blocks = seg_blocks(opt.size, (uint32_t)opt.block);
		d->version = calloc(d->blocks + 1, 1);
		d->seq = opt.first;
		memcpy(d->prev, opt.prev, SHA256_LEN);
		if (d->version == NULL || p.data == NULL || p.digests == NULL)
			die("no memory");
	}
	for (pass = 1; pass <= opt.passes; pass++)
		for (i = 0; i < opt.ndisks; i++) {
			p.d = &disks[i];
			p.number = pass;
			run_pass(&p);
			if (opt.prefix != NULL)
				write_image(&disks[i], pass);
		}
	for (i = 0; i < opt.ndisks; i++)
		free(disks[i].version);
	free(p.data);
	free(p.digests);
}

/* ---- options ---- */

static uint64_t size_arg(const char *text)
{
	uint64_t v;

	if (!parse_size(text, &v))
		die("not a size");
	return v;
}

static void start_arg(char *text)
{
	char *colon = strchr(text, ':');
	uint64_t seq;

	if (colon == NULL)
		die("-f SEQ:DIGEST");
	*colon = '\0';
	if (!parse_u64(text, UINT64_MAX - 1, &seq) ||
	    !hex_decode(colon + 1, opt.prev, SHA256_LEN))
		die("-f SEQ:DIGEST");
	opt.first = seq + 1;
}

static void content_arg(const char *text)
{
	static const char *const names[] = {"text", "random", "mixed", "zero"};
	unsigned i;

	for (i = 0; i < 4; i++)
		if (strcmp(text, names[i]) == 0) {
			opt.content = (enum content)i;
			return;
		}
	die("-t text|random|mixed|zero");
}

static void disks_arg(char *text)
{
	char *name;

	opt.ndisks = 0;
	while ((name = strsep(&text, ",")) != NULL)
		if (opt.ndisks < DISKS_MAX)
			opt.disks[opt.ndisks++] = name;
}

static void parse(int argc, char **argv)
{
	static char root[] = "root";
	int c;

	opt.disks[0] = root;
	opt.ndisks = 1;
	opt.first = 1;
	while ((c = getopt(argc, argv, "m:d:s:b:p:c:z:t:n:r:k:B:f:F:ux:o:")) !=
	       -1) {
		switch (c) {
		case 'm':
			opt.machine = optarg;
			break;
		case 'd':
			disks_arg(optarg);
			break;
		case 's':
			opt.size = size_arg(optarg);
			break;
		case 'b':
			opt.block = size_arg(optarg);
			break;
		case 'p':
			opt.passes = size_arg(optarg);
			break;
		case 'c':
			opt.percent = size_arg(optarg);
			break;
		case 'z':
			opt.zeros = size_arg(optarg);
			break;
		case 't':
			content_arg(optarg);
			break;
		case 'n':
			opt.data = size_arg(optarg);
			break;
		case 'r':
			opt.record = size_arg(optarg);
			break;
		case 'k':
			if (!seg_consistency_parse(optarg, &opt.consistency))
				die("-k none|crash|app");
			break;
		case 'B':
			opt.bookmark = optarg;
			break;
		case 'f':
			start_arg(optarg);
			break;
		case 'F':
			opt.full = size_arg(optarg);
			break;
		case 'u':
			opt.unfinished = true;
			break;
		case 'x':
			opt.seed = size_arg(optarg);
			break;
		case 'o':
			opt.prefix = optarg;
			break;
		default:
			die("see the head of make-segment.c for its options");
		}
	}
}

int main(int argc, char **argv)
{
	struct seg_writer *w;
	struct io_out out;
	struct err e;

	parse(argc, argv);
	check(seg_geometry_check(opt.size, opt.block, PS_USAGE, &e), &e);
	if (opt.record < opt.block || opt.record > SEG_RECORD_RAW_MAX ||
	    opt.passes > 255)
		die("a record holds one block to 1M, and 255 passes at most");
	check(io_out_open_fd(&out, STDOUT_FILENO, "standard output", &e), &e);
	check(seg_writer_new(&w, &out, &e), &e);
	run(w);
	check(io_out_flush(&out, &e), &e);
	seg_writer_free(w);
	io_out_close(&out);
	return 0;
}
