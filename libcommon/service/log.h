/*
 * The log of a service where no systemd keeps a journal: what comes out of a
 * pipe, each line with its time before it, in a file that is rotated, so that
 * NAME.log and NAME.log.1 .. .5 are all there ever is.
 */
#ifndef PS_SERVICE_LOG_H
#define PS_SERVICE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define LOG_SIZE (4u << 20)
#define LOG_OLD 5

struct service_log {
	int dirfd; /* borrowed */
	char name[64];
	int fd;
	uint64_t size;
	bool inside; /* of a line */
};

int service_log_open(struct service_log *l, int dirfd, const char *name,
		     struct err *e);
/* Appends; what cannot be written (a full disk) is lost, silently. */
void service_log_put(struct service_log *l, const char *text, size_t n);
/* A line of the supervisor's own. */
void service_log_say(struct service_log *l, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/*
 * The last line that a program wrote and that is no hint, without its time;
 * "" when there is none.
 */
void service_log_last(int dirfd, const char *name, char *out, size_t size);

#endif
