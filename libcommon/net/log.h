/*
 * The two logs of a process server, as administrators know them: cxps.err
 * (what went wrong) and cxps.xfer (one tab-separated line for each request).
 *
 * The listener writes them, each line with one write; the processes of
 * connections, which may open no file there, send it their lines. A file that
 * has grown to its limit is renamed to NAME.1, .1 to .2 and so on, under a
 * lock.
 *
 * cxps.xfer: time, peer, machine, method, path, status, bytes in, bytes out,
 * seconds, then for a segment sequence and digest ("-" where there is none).
 */
#ifndef PS_NET_LOG_H
#define PS_NET_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define NETLOG_SIZE_DEFAULT (16 * 1024 * 1024u)
#define NETLOG_KEEP 5 /* rotated files of each log */

/* What a line of cxps.err is about; counted by it (hush.h). */
enum netlog_kind {
	NETLOG_OWN,	/* an error of the server's own: nobody was refused */
	NETLOG_LINE,	/* a connection was cut, or too slow */
	NETLOG_TALK,	/* neither our TLS nor our HTTP */
	NETLOG_LOGIN,	/* a login that failed */
	NETLOG_PLACE,	/* a path that is not for this login, or is no name */
	NETLOG_SEGMENT, /* a segment that was refused, or is damaged */
	NETLOG_BUSY,	/* later: others are at it */
	NETLOG_CROWD,	/* too many connections or logins */
	NETLOG_KINDS
};

struct netlog {
	int dirfd;	/* -1: no files */
	uint64_t limit; /* bytes of a file */
	int channel;	/* > 0: lines go to the listener (net/channel.h) */
};

/* Makes the folder when it is not there. */
int netlog_open(struct netlog *l, const char *dir, uint64_t limit,
		struct err *e);
void netlog_close(struct netlog *l);

/*
 * A line in cxps.err with time and process, and on standard error. What
 * cannot be written is lost: a log must not stop the work.
 */
void netlog_err(const struct netlog *l, const char *peer, enum netlog_kind kind,
		const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Whose fault an error is that ended what a peer asked for. */
enum netlog_kind netlog_kind(const struct err *e);

/* The same for a line that process `pid` has sent. */
void netlog_put_err(const struct netlog *l, pid_t pid, const char *peer,
		    const char *words);

struct netlog_xfer {
	const char *peer, *machine, *method, *path;
	unsigned status;
	uint64_t in_bytes, out_bytes;
	int64_t took_ns;
	uint64_t seq;	    /* 0: none */
	const char *digest; /* hexadecimal, or NULL */
};

void netlog_xfer(const struct netlog *l, const struct netlog_xfer *x);
/* A line that was sent, without time and peer. */
void netlog_put_xfer(const struct netlog *l, const char *peer,
		     const char *words);

#endif
