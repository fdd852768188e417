/*
 * What the process of a connection says to the listener, and asks of it: the
 * few things that it may not do itself. One channel for each process, so the
 * listener knows who speaks and believes nothing else about it.
 */
#ifndef PS_NET_CHANNEL_H
#define PS_NET_CHANNEL_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum channel_kind {
	CHANNEL_ERR = 1, /* a line for cxps.err, of the kind `number` */
	CHANNEL_XFER,	 /* a line for cxps.xfer, from the machine's field on */
	/* These are answered, and for workers only. */
	CHANNEL_END_HOLDER, /* of the disk `text`; number 1: by force */
	CHANNEL_FAILED,	    /* stable storage failed: `text` */
	CHANNEL_PROBES,	    /* probes of `number` bytes in all, please */
};

#define CHANNEL_TEXT 1800

struct channel_msg {
	uint32_t kind;
	uint32_t len; /* of the text */
	uint64_t number;
	char text[CHANNEL_TEXT + 1];
};

/* A line; what cannot be sent within a second is lost. */
void channel_say(int fd, enum channel_kind kind, uint64_t number,
		 const char *text);
/* 0, or -CODE with the listener's words. */
int channel_ask(int fd, enum channel_kind kind, uint64_t number,
		const char *text, struct err *e);

/*
 * The listener's side: 1 and a message with a NUL behind its text, 0 when
 * there is none, -1 when the channel has ended or speaks nonsense.
 */
int channel_hear(int fd, struct channel_msg *ret);
void channel_reply(int fd, const struct err *e);

/* ---- a channel of one's own to a process that serves many ---- */

/*
 * Makes a pair of sockets (SOCK_SEQPACKET, SOCK_STREAM), and passes one of
 * them over `over`, a channel that keeps messages apart, with n bytes of
 * words. Our end, or -CODE.
 */
int channel_pass(int over, int type, const void *words, size_t n,
		 struct err *e);
/* The other side: 1 and both, 0 when nothing of use came, -1 at the end. */
int channel_taken(int over, void *words, size_t n, int *ret_fd);

#endif
