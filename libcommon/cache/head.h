/*
 * The head of a disk: the small file that outlives its segments.
 *
 *	ps-cache-head 1
 *	epoch 2
 *	accepted 12 DIGEST point|initial
 *	stored 10 DIGEST
 *	follower default 10 DIGEST
 *	recent 9 DIGEST
 *	hold 11 REASON
 *	hold-for site2 11 REASON
 *	crc 1a2b3c4d
 *
 * It is a floor, not the truth: a put does not rewrite it, so the segments in
 * the folder may go on behind `accepted`. It is always written before a
 * segment that it must outlive is removed.
 */
#ifndef PS_CACHE_HEAD_H
#define PS_CACHE_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#include "segment/ack.h"

#define HEAD_FOLLOWERS_MAX 16
#define HEAD_RECENT_MAX 16
#define HEAD_TEXT_MAX 16384

/* A place in the chain of a disk; seq 0: before the first segment. */
struct mark {
	uint64_t seq;
	uint8_t digest[SHA256_LEN];
};

struct head_follower {
	char name[NAME_SIZE];
	struct mark at; /* the last segment that it has acknowledged */
};

/* A follower whose later stage refused a segment: only it is left out. */
struct head_refusal {
	char name[NAME_SIZE];
	uint64_t seq; /* the segment that is to blame; 0: none */
	char reason[ACK_REASON_SIZE];
};

struct head {
	/* Counts seatings: what was sent in an older epoch does not count. */
	uint64_t epoch;
	bool unseated; /* a seating began and did not end */
	struct mark accepted;
	bool initial;	    /* of `accepted`: no point yet since the base */
	struct mark stored; /* what enough followers had acknowledged */
	struct head_follower followers[HEAD_FOLLOWERS_MAX];
	unsigned nfollowers;
	/* Of removed segments, newest first: for what is sent again late. */
	struct mark recent[HEAD_RECENT_MAX];
	unsigned nrecent;
	struct head_refusal refusals[HEAD_FOLLOWERS_MAX];
	unsigned nrefusals;
	bool held;	   /* for all followers */
	uint64_t held_seq; /* the segment that is to blame; 0: none */
	char reason[ACK_REASON_SIZE];
	bool damaged; /* there was a file, and it was no head */
};

bool mark_equal(const struct mark *a, const struct mark *b);

/* Writes the text with its CRC; returns its length. */
size_t head_format(const struct head *h, char out[HEAD_TEXT_MAX]);
/* -PS_DATA when the text is not exactly what head_format() makes. */
int head_parse(struct head *ret, const char *text, size_t n, struct err *e);

/*
 * Reads the head in the folder of a disk: 1, or 0 when there is none. A
 * damaged one is no failure: it comes back unseated and held with a reason,
 * which is what the disk then is.
 */
int head_read(int dirfd, struct head *ret, struct err *e);
/* Replaces it durably. The caller holds the disk's lock. */
int head_write(int dirfd, const struct head *h, struct err *e);

/* Position of a follower; NULL when it has none yet. */
const struct mark *head_position(const struct head *h, const char *follower);
/* -PS_CONFIG when there are HEAD_FOLLOWERS_MAX already. */
int head_set_position(struct head *h, const char *follower,
		      const struct mark *at, struct err *e);
/* Its position, and its hold. */
void head_drop_follower(struct head *h, const char *follower);

/* The hold of one follower; NULL when there is none. */
const struct head_refusal *head_refusal(const struct head *h,
					const char *follower);
/* Sets it; the reason of an earlier one stays. -PS_CONFIG as above. */
int head_refuse(struct head *h, const char *follower, uint64_t seq,
		const char *reason, struct err *e);
void head_lift(struct head *h, const char *follower);
/* Why this follower gets nothing of the disk now; NULL when it does. */
const char *head_left_out(const struct head *h, const char *follower);

/* Remembers the digest of a segment that is about to be removed. */
void head_remember(struct head *h, const struct mark *m);

/* Sets the hold; the reason of an earlier one stays. */
void head_hold(struct head *h, uint64_t seq, const char *reason);

#endif
