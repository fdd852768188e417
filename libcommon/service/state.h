/*
 * What is known of a service beside the process that supervises it: files in
 * a folder (/run/ps-toolkit/service).
 *
 *	NAME.lock	locked (fcntl) by its supervisor as long as that lives;
 *			the kernel says by whom, so no file tells a process id
 *			that somebody else has by now
 *	NAME.state	what status shows, replaced as a whole; it also names
 *			the process by id and time of start, for what a killed
 *			supervisor left behind
 */
#ifndef PS_SERVICE_STATE_H
#define PS_SERVICE_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct service_state {
	char state[16]; /* starting, running, waiting, stopping, failed,
			 * stopped; of a job: idle between its runs */
	pid_t pid;	/* its main process, which leads a session; 0: none */
	uint64_t pid_start; /* when that began, as proc(5) has it */
	int64_t since_ns;   /* since when it is in this state */
	int64_t exit_ns;    /* 0: none has ended yet */
	int exit_code;	    /* of the last one, or 128 + signal */
	unsigned restarts;  /* since the supervisor began */
	int64_t next_ns;    /* waiting, idle: the next start; else 0 */
	char words[160];    /* what it said of itself, one line */
};

/* No such file: all zero. */
int service_read(int dirfd, const char *name, struct service_state *ret,
		 struct err *e);
int service_write(int dirfd, const char *name, const struct service_state *s,
		  struct err *e);

/*
 * Takes the lock, for as long as this process lives (a child does not have
 * it). -PS_NO: another process has it.
 */
int service_lock(int dirfd, const char *name, struct err *e);

/*
 * A descriptor (pidfd_open(2)) of the process that has the lock, and its id;
 * -PS_NO when there is none.
 */
int service_holder(int dirfd, const char *name, int *ret_pidfd, pid_t *ret_pid,
		   struct err *e);

/* When a process began, in ticks since boot; 0: there is none. */
uint64_t process_start(pid_t pid);

/* Does the process that `s` names still run? */
bool service_alive(const struct service_state *s);

/*
 * Sends a signal to all processes of the session that `pid` leads or led.
 * Returns how many there were.
 */
unsigned session_signal(pid_t pid, int sig);

/* Waits until a process has ended; false: it has not within the time. */
bool process_wait(int pidfd, unsigned seconds);

/*
 * Ends what an earlier supervisor that was killed has left: the process and
 * (unless `main_only`) its session. It was told to end when its supervisor
 * died and has `stop_s` for that, then it is killed.
 */
void service_end_leftovers(const struct service_state *s, bool main_only,
			   unsigned stop_s);

#endif
