/*
 * The writer of a vault: reads a stream of segments, stores each by the rule
 * of the fence, acknowledges each. One thread reads segments and writes them;
 * others put what is written on stable storage and give it its name: those of
 * a disk in the order of the stream, several disks at a time. So a segment is
 * never visible before an earlier one of its disk. Acknowledgements keep the
 * order of the stream.
 */
#ifndef PS_VAULT_UPLOAD_H
#define PS_VAULT_UPLOAD_H

#include "base/rate.h"
#include "vault/upload-report.h"
#include "vault/vault.h"

/* Called for each segment, one call at a time, in the order of the stream. */
typedef int upload_ack_fn(void *ctx, const struct ack *a, struct err *e);

struct upload {
	struct rate *rate; /* into the vault; NULL: none, or a paced store */
	uint64_t before;   /* bytes of earlier calls, for the progress line */
	upload_ack_fn *ack;
	void *ctx;
	struct upload_report *report; /* NULL: none */
};

struct upload_totals {
	uint64_t stored, refused; /* segments */
	uint64_t bytes;		  /* written into the vault */
};

/*
 * Stores what comes from the descriptor until its end. A segment that is
 * refused holds its disk: what follows of it in this stream is refused, too;
 * all other disks go on. *ret is set on failure, too: what was acknowledged
 * before holds. Nothing of a segment that was not finished stays. `name` is
 * that of the input, for messages.
 *
 * -PS_DATA: damaged input; -PS_TEMPFAIL: no room in the vault; -PS_STORAGE:
 * stable storage failed; or what the acknowledgement returned.
 */
int upload_run(struct vault *v, int fd, const char *name,
	       const struct upload *u, struct upload_totals *ret,
	       struct err *e);

#endif
