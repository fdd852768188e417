/* One machine that is pushed to, as it is named and as it was found. */
#ifndef PS_PUSH_HOST_H
#define PS_PUSH_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/name.h"
#include "push/reason.h"

#define HOST_SIZE 256

struct push_host {
	char text[HOST_SIZE]; /* HOST or HOST:PORT, for people and files */
	char user[64];	      /* "": of the account, or ssh's own */
	char address[HOST_SIZE];
	char port[6];	      /* "": ssh's own */
	char name[NAME_SIZE]; /* of the machine; "": that of the host */
};

/*
 * Reads "[USER@]HOST[:PORT][=NAME]"; an IPv6 address with a port is in
 * brackets. -PS_USAGE. What passes can be a word of a command line anywhere.
 */
int push_host_read(struct push_host *ret, const char *text, struct err *e);

/* Can the text be a word of a shell's command as it is, and no option? */
bool push_word_ok(const char *text);

#define PUSH_WARNINGS 4

enum push_end {
	PUSH_FAILED,
	PUSH_READY,	 /* checked: it could be done */
	PUSH_SKIPPED,	 /* all is there */
	PUSH_REGISTERED, /* it was installed, and is registered now */
	PUSH_INSTALLED,
	PUSH_UPGRADED,
};
extern const char *const push_end_names[];

struct push_result {
	enum push_end end;
	enum push_reason reason;
	char words[512];  /* what failed, or a remark; may be empty */
	char version[32]; /* there now; "": none or not known */
	char was[32];	  /* before */
	char arch[32];	  /* "": not known */
	enum push_reason warnings[PUSH_WARNINGS];
	unsigned nwarnings;
	double seconds;
};

#endif
