/*
 * The other side, in one small program: applies a clear segment stream from
 * standard input to DIR/image and prints acknowledgements. It keeps its head
 * in DIR/head and the last point in DIR/point, and refuses what a server
 * would refuse. A segment counts only when its trailer has arrived.
 *
 *	apply-stream [--acks N] [--stop N] DIR MACHINE DISK
 *	apply-stream --head DIR MACHINE DISK
 *
 * --acks N: the acknowledgements behind the first N get lost. --stop N: dies
 * after N segments, without an acknowledgement for the last of them.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/io.h"
#include "base/tool.h"
#include "segment/ack.h"
#include "segment/reader.h"

struct record {
	bool zero;
	uint64_t offset, len;
	uint8_t *bytes;
};

static const char *dir;
static struct record *records;
static size_t nrecords, checked, cap;
static uint8_t disk_digest[SHA256_LEN];
static struct ack head = {.level = ACK_DURABLE};
static long acks = -1, stop = -1;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "apply-stream: %s\n", what);
	exit(1);
}

static const char *in_dir(const char *name)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static int rename_in_dir(const char *from, const char *to)
{
	char *old = strdup(in_dir(from));
	int rc = rename(old, in_dir(to));

	free(old);
	return rc;
}

/* ---- head ---- */

static void head_load(void)
{
	FILE *f = fopen(in_dir("head"), "r");
	char line[ACK_LINE_SIZE];

	if (f == NULL)
		return;
	if (fgets(line, sizeof(line), f) == NULL ||
	    ack_parse(&head, line, NULL) < 0)
		die("bad head");
	fclose(f);
	head.head = false;
}

static void head_save(void)
{
	FILE *f = fopen(in_dir("head.new"), "w");
	char line[ACK_LINE_SIZE];

	ack_format(&head, line);
	if (f == NULL || fputs(line, f) == EOF || fclose(f) != 0)
		die("cannot write the head");
	if (rename_in_dir("head.new", "head") < 0)
		die("cannot rename the head");
}

/* ---- records ---- */

static void records_clear(void)
{
	while (nrecords > 0)
		free(records[--nrecords].bytes);
	checked = 0;
	memset(disk_digest, 0, sizeof(disk_digest));
}

static void keep_record(const struct seg_item *item)
{
	const struct seg_record *r = &item->record;
	struct record *n;

	if (nrecords == cap) {
		cap = 2 * cap + 64;
		records = realloc(records, cap * sizeof(*records));
	}
	n = &records[nrecords++];
	*n = (struct record){r->zero, r->offset, r->raw_len, NULL};
	if (r->zero)
		return;
	n->bytes = malloc(r->raw_len);
	memcpy(n->bytes, item->payload, r->raw_len);
}

/* The index must name the digests of the very bytes that came. */
static void check_page(const struct seg_reader *r, const struct seg_item *item)
{
	uint32_t bs = r->header.block_size;
	struct seg_entry en;
	const uint8_t *digests;
	size_t pos = 0;

	while (seg_page_walk(&r->header, item->payload, item->page.stored_len,
			     &pos, &en, &digests, NULL) > 0) {
		const struct record *rec = &records[checked++];
		uint64_t at;

		for (at = 0; !rec->zero && at < rec->len; at += bs) {
			uint8_t d[BLOCK_DIGEST_LEN];
			size_t n = rec->len - at < bs ? rec->len - at : bs;

			block_digest(rec->bytes + at, n, bs, d);
			if (memcmp(d, digests + at / bs * BLOCK_DIGEST_LEN,
				   sizeof(d)) != 0)
				die("block digest");
		}
	}
}

static void apply(const struct seg_reader *r)
{
	int fd = open(in_dir("image"), O_RDWR | O_CREAT, 0600);
	size_t i;

	if (fd < 0 || (r->header.kind == SEG_BASE && ftruncate(fd, 0) < 0) ||
	    ftruncate(fd, (off_t)r->header.disk_size) < 0)
		die("image");
	for (i = 0; i < nrecords; i++) {
		const struct record *rec = &records[i];

		if (rec->zero &&
		    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      (off_t)rec->offset, (off_t)rec->len) < 0)
			die("punch");
		if (!rec->zero &&
		    io_pwrite_full(fd, rec->bytes, rec->len, rec->offset) < 0)
			die("write");
	}
	close(fd);
}

static void note_point(const struct seg_reader *r)
{
	FILE *f = fopen(in_dir("point"), "w");
	char hex[SHA256_HEX];

	hex_encode(disk_digest, SHA256_LEN, hex);
	if (f == NULL ||
	    fprintf(f, "%s %s %u\n", hex, r->header.bookmark,
		    r->trailer.nmembers) < 0 ||
	    fclose(f) != 0)
		die("point");
}

/* ---- segments ---- */

static void answer(enum ack_level level, const struct seg_reader *r,
		   const char *reason)
{
	struct ack a = head;

	a.level = level;
	a.seq = r->header.seq;
	memcpy(a.digest, r->trailer.digest, SHA256_LEN);
	snprintf(a.reason, sizeof(a.reason), "%s", reason);
	if (level != ACK_REFUSED && acks == 0)
		return; /* lost on the way */
	if (acks > 0)
		acks--;
	ack_print(stdout, &a, NULL);
}

static void segment_done(const struct seg_reader *r)
{
	if (checked != nrecords)
		die("index and records differ");
	if (strcmp(r->header.machine, head.machine) != 0 ||
	    strcmp(r->header.disk, head.disk) != 0)
		die("segment of another disk");
	if (r->header.seq == head.seq &&
	    memcmp(r->trailer.digest, head.digest, SHA256_LEN) == 0) {
		answer(ACK_DURABLE, r, "");
		return;
	}
	if (r->header.seq != head.seq + 1 ||
	    memcmp(r->header.prev, head.digest, SHA256_LEN) != 0) {
		answer(ACK_REFUSED, r, "does not continue the head");
		exit(1);
	}
	apply(r);
	if (r->trailer.last_part)
		note_point(r);
	head.seq = r->header.seq;
	memcpy(head.digest, r->trailer.digest, SHA256_LEN);
	head_save();
	if (stop > 0 && --stop == 0)
		exit(75);
	answer(ACK_DURABLE, r, "");
}

static int run(void)
{
	struct seg_item item;
	struct seg_reader r;
	struct err e = {0};
	struct io_in in;
	int rc;

	if (io_in_open_fd(&in, STDIN_FILENO, "stream", &e) < 0 ||
	    seg_reader_open(&r, &in, &e) < 0)
		die(e.msg);
	while ((rc = seg_reader_next(&r, &item, &e)) > 0) {
		if (item.part == SEG_PART_HEADER)
			records_clear();
		else if (item.part == SEG_PART_RECORD)
			keep_record(&item);
		else if (item.part == SEG_PART_PAGE)
			check_page(&r, &item);
		else if (item.part == SEG_PART_DIR)
			memcpy(disk_digest, item.payload + SEG_RANDOM_LEN,
			       SHA256_LEN);
		else if (item.part == SEG_PART_TRAILER)
			segment_done(&r);
	}
	records_clear();
	free(records);
	seg_reader_close(&r);
	io_in_close(&in);
	if (rc < 0)
		fprintf(stderr, "apply-stream: %s\n", e.msg);
	return -rc;
}

int main(int argc, char **argv)
{
	bool show = false;

	tool_init("apply-stream");
	while (argc > 1 && argv[1][0] == '-') {
		if (strcmp(argv[1], "--head") == 0) {
			show = true;
			argc--, argv++;
			continue;
		}
		*(strcmp(argv[1], "--acks") == 0 ? &acks : &stop) =
		    atol(argv[2]);
		argc -= 2, argv += 2;
	}
	if (argc != 4)
		die("usage: apply-stream [options] DIR MACHINE DISK");
	dir = argv[1];
	mkdir(dir, 0700);
	snprintf(head.machine, sizeof(head.machine), "%s", argv[2]);
	snprintf(head.disk, sizeof(head.disk), "%s", argv[3]);
	head_load();
	if (!show)
		return run();
	head.head = true;
	return ack_print(stdout, &head, NULL) < 0;
}
