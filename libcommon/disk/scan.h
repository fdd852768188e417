/* One pass over a disk: from its map and dirty list to a stream of segments. */
#ifndef PS_DISK_SCAN_H
#define PS_DISK_SCAN_H

#include <stdbool.h>

#include "base/io.h"
#include "disk/scrub.h"
#include "segment/format.h"

/* Least data in a segment, so that a disk does not fall to pieces. */
#define SCAN_SEGMENT_MIN (1024 * 1024u)
#define SCAN_SEGMENT_MAX (1024 * 1024 * 1024u)

struct scan {
	const char *source;
	const char *map;
	const char *machine, *disk;
	const char *changed;	 /* file, "-", or NULL: read all */
	const char *bookmark;	 /* NULL: UTC time and random */
	const char *consistency; /* none, crash, app */
	const char *members;	 /* "M/D,..." or NULL: this disk */
	uint64_t block_size;	 /* 0: of the map, or the default */
	uint64_t segment_size;
	uint64_t scrub_k, scrub_n; /* read so much more of it; 0: nothing */
	bool full;		   /* begin a new base */
	bool fuzzy;		   /* a mounted source is allowed */
	bool no_point;		   /* end without a point */
	unsigned threads;	   /* 0: by the processors */
	uint64_t read_rate;	   /* bytes per second; 0: no limit */
};

struct scan_totals {
	uint64_t first_seq, last_seq; /* last < first: nothing was sent */
	uint64_t data_bytes, zero_bytes, read_bytes;
	char bookmark[NAME_SIZE];
	uint8_t disk_digest[SHA256_LEN];
	struct scrub_found scrub; /* also after a failure */
};

/*
 * Makes one pass and writes it to `out`. Nothing is written, and no change
 * list is taken, before every check has passed. -PS_TEMPFAIL: another scan
 * runs, or the last pass is not settled (the hint tells how); -PS_DATA: map
 * and call do not fit, the source has shrunk, a bad change list; -PS_IOERR: the
 * source cannot be read: the stream ends inside a segment then.
 */
int scan_run(const struct scan *s, struct io_out *out, struct scan_totals *ret,
	     struct err *e);

/* The disk digest of s->source; of s also block size, threads, rate. */
int scan_digest(const struct scan *s, uint8_t ret[SHA256_LEN], struct err *e);

#endif
