/* What ps-stream prints, as text for people and scripts or as JSON lines. */
#ifndef PS_TOOLS_STREAM_PRINT_H
#define PS_TOOLS_STREAM_PRINT_H

#include "segment/links.h"
#include "segment/verify.h"

struct print_options {
	bool json;
};

/* The names of the columns, when people look on. */
void print_heading(const struct print_options *p);
void print_segment(const struct print_options *p, const struct seg_reader *r);
void print_record(const struct print_options *p, const struct seg_reader *r,
		  const struct seg_item *item);
void print_verdict(const struct print_options *p, const struct seg_verdict *v);

/* Totals of a stream; zero at first. */
struct totals {
	struct seg_links disks;
	uint64_t segments, points, compressed, sealed, bytes;
	struct seg_trailer sum; /* records and bytes */
	int64_t oldest, newest; /* bookmark times */
};

/* Adds a complete segment. */
int totals_add(struct totals *t, const struct seg_reader *r, struct err *e);
void totals_free(struct totals *t);
void print_totals(const struct print_options *p, const struct totals *t);

#endif
