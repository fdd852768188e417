/*
 * The segments of one pass: opens them, fills them, closes them when they are
 * full, and puts each into the journal before its trailer goes out. Used by
 * scan.c only.
 */
#ifndef PS_DISK_PASS_H
#define PS_DISK_PASS_H

#include "disk/journal.h"
#include "segment/writer.h"

struct pass {
	struct journal *journal;
	struct seg_writer *writer;
	struct seg_header
	    header;	     /* of the segment that comes next or is open */
	uint64_t generation; /* of the dirty list */
	uint64_t segment_size;
	struct seg_member *members;
	uint32_t nmembers;
	bool no_point; /* the pass ends without the last-part flag */
	bool open;
	uint64_t zero_at, zero_len; /* gathered and not yet written */
	uint64_t data_bytes, zero_bytes;
	/* Called before a segment may leave; NULL: nobody. */
	int (*leaving)(void *ctx, struct err *e);
	void *leaving_ctx;
};

/* For sweep: ctx is a struct pass. */
int pass_data(void *ctx, uint64_t offset, uint32_t len, const void *bytes,
	      const uint8_t *digests, struct err *e);
int pass_zero(void *ctx, uint64_t offset, uint64_t len, struct err *e);

/*
 * The last part, which may be empty. A pass without point ends with the
 * segment that is open; when none is, nothing is written, unless the pass
 * begins a base: the other side must hear of that.
 */
int pass_end(struct pass *p, const uint8_t disk_digest[SHA256_LEN],
	     struct err *e);

/*
 * "M/D,M/D,...", among them this disk; NULL: this disk alone. *ret is
 * malloc'ed. -PS_USAGE.
 */
int members_parse(const char *text, const char *machine, const char *disk,
		  struct seg_member **ret, uint32_t *ret_n, struct err *e);

#endif
