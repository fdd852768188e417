/* The decision about a segment, from its header alone. */
#ifndef PS_CACHE_PUT_H
#define PS_CACHE_PUT_H

#include "cache/cache.h"
#include "cache/head.h"

enum put_case {
	PUT_TAKE,     /* continues the chain */
	PUT_SEEN,     /* at or under the head: its digest decides */
	PUT_REFUSED,  /* does not continue the head */
	PUT_UNSEATED, /* nothing to continue */
	PUT_HELD,
};

struct put_disk {
	bool known, seated;
	const struct head *head; /* zero when there is none */
	struct mark last;
};

/* `reason` is set unless the segment can be taken or was seen. */
enum put_case put_judge(const struct put_disk *d, const struct seg_header *h,
			char reason[ACK_REASON_SIZE]);

#endif
