/*
 * Do the segments of a stream go on from each other? Remembers the last
 * segment of each disk that passed; bounded.
 */
#ifndef PS_SEGMENT_LINKS_H
#define PS_SEGMENT_LINKS_H

#include "segment/format.h"

#define SEG_LINKS_MAX 16384u /* disks in one stream */

struct seg_links {
	void *tree; /* of disks, private */
	unsigned n; /* disks so far */
};

/*
 * Notes a complete segment. 0; -PS_DATA when it does not go on from the
 * disk's one before in this stream (the same segment again does), or when
 * there are too many disks.
 */
int seg_links_note(struct seg_links *l, const struct seg_header *h,
		   const uint8_t digest[SHA256_LEN], struct err *e);
void seg_links_free(struct seg_links *l);

#endif
