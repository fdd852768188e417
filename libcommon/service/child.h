/* The process of a service: how it is started, and what it says of itself. */
#ifndef PS_SERVICE_CHILD_H
#define PS_SERVICE_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "service/place.h"
#include "service/unit.h"

struct child_pipes {
	int log_in, log_out;  /* what it prints */
	int notify;	      /* socket that hears sd_notify(3) */
	char notify_name[24]; /* "@..." for NOTIFY_SOCKET */
};

int child_pipes_open(struct child_pipes *c, struct err *e);

/*
 * Forks the process. It waits for child_release() before it runs anything, so
 * that its id can be written down first, and ends when nobody releases it.
 */
int child_fork(const struct place *p, const struct unit *u,
	       const struct child_pipes *c, pid_t *ret, int *ret_gate,
	       struct err *e);
void child_release(int gate);

struct child_news {
	bool ready, alive; /* READY=1, WATCHDOG=1 */
	char words[160];   /* STATUS=; empty: nothing new */
};

/* Takes what has come from `pid`; what others send is dropped. */
void child_hear(int notify, pid_t pid, struct child_news *ret);

/* job_due_ns(), asked as the user who the job runs as. */
int64_t child_due_ns(const struct place *p, const struct unit *u);

#endif
