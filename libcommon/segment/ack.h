/*
 * Acknowledgement lines: LEVEL MACHINE DISK SEQ DIGEST [REASON], separated by
 * tabs, one on a line. They flow back from the last stage to the source.
 */
#ifndef PS_SEGMENT_ACK_H
#define PS_SEGMENT_ACK_H

#include <stdio.h>

#include "segment/format.h"

enum ack_level {
	ACK_DURABLE, /* in the cache, on stable storage */
	ACK_STORED,  /* in the vault, confirmed */
	ACK_REFUSED, /* not taken; the disk is held until someone looks */
};

#define ACK_REASON_SIZE 256
#define ACK_LINE_SIZE 512

struct ack {
	enum ack_level level;
	char machine[NAME_SIZE];
	char disk[NAME_SIZE];
	uint64_t seq; /* 0: nothing yet */
	uint8_t digest[SHA256_LEN];
	char reason[ACK_REASON_SIZE]; /* empty but for ACK_REFUSED */
	/*
	 * A statement about the disk, not about one segment: seq is the last
	 * one that the other side has, and it has nothing behind it. Written
	 * as the word "head" in the place of the reason. Only such a line may
	 * make a source take back what it had committed.
	 */
	bool head;
};

const char *ack_level_name(enum ack_level level);

/* Makes the line, with its newline; control characters become spaces. */
void ack_format(const struct ack *a, char out[ACK_LINE_SIZE]);
/* Reads a line with or without its newline; -PS_DATA when it is none. */
int ack_parse(struct ack *a, const char *line, struct err *e);

/* Prints the line at once (flushed): -CODE when it cannot be written. */
int ack_print(FILE *f, const struct ack *a, struct err *e);
/* The next line: 1, 0 at the end of the input, -CODE. */
int ack_read(FILE *f, struct ack *a, struct err *e);

#endif
