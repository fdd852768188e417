/*
 * The mobility service (ps-agent(8)): protects the disks of one machine.
 *
 * One process and no threads: programs do the work (task.h), each disk steps
 * through its phases (disk.h), and a bookmark (mark.h) brings disks together
 * whose snapshots are taken at one time.
 */
#ifndef PS_AGENT_AGENT_H
#define PS_AGENT_AGENT_H

#include "agent/agent-conf.h"
#include "agent/control.h"
#include "agent/disk.h"
#include "agent/limits.h"
#include "agent/lock.h"
#include "agent/mark.h"
#include "agent/state.h"
#include "agent/task.h"
#include "agent/where.h"

struct agent {
	const struct agent_conf *conf;
	const char *ps_config; /* for the programs; NULL: their default */
	bool once;
	struct loop loop;
	struct agent_state *state;
	struct control control;
	struct limits limits;
	int dirfd, lockfd;
	char *share; /* the file of the common send rate */
	char timeout[24];
	struct where where; /* is the process server? */
	struct disk *disks;
	unsigned ndisks;
	struct mark *marks;
	struct backoff server; /* nobody is asked before that */
	int64_t group_next;    /* the next bookmark of all disks */
	struct task heads;     /* asks what is stored */
	struct backoff heads_wait;
	struct task thaw;  /* post hook left over by a crash */
	int64_t saved;	   /* when the state was last written */
	bool changed;	   /* state to be written, soon */
	int trouble;	   /* errno of the last try; 0: it was saved */
	bool wants_reload; /* when no pass is under way any more */
	bool stopping, reload, hurry;
	bool asked; /* once: what is stored was asked for at the end */
	int code;   /* worst of once */
};

/*
 * Runs until asked to end (or, with `once`, one pass over all disks). Returns
 * the exit code, AGENT_RELOAD_CODE when the configuration is to be read
 * again, -CODE when it could not begin: -PS_TEMPFAIL when another agent has
 * the state folder.
 */
#define AGENT_RELOAD_CODE 256
struct agent_run {
	const struct agent_conf *conf;
	const char *ps_config;
	bool once;
	/* On SIGHUP: may the new configuration be used? */
	bool (*reload)(void);
	/* For people; `who` may be NULL. The second one: what went wrong. */
	void (*say)(void *ctx, const char *who, const char *words);
	void (*complain)(void *ctx, const char *who, const char *words);
};
int agent_run(const struct agent_run *run, struct err *e);

/* ---- for the other parts of the room ---- */

/* Makes the state durable now, before something depends on it. */
void agent_save(struct agent *a);
/* A message for people about a disk (NULL: about all). */
void agent_say(struct agent *a, const char *who, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same about what went wrong. */
void agent_complain(struct agent *a, const char *who, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Is this disk not to be touched now? */
bool agent_paused(const struct agent *a, const char *disk);
/* Counts what one disk came to, for the exit code of `once`. */
void agent_count(struct agent *a, int code);
/* A time of mono_now_ns() as one of time_now_ns(). */
int64_t wall_of(int64_t mono);

#endif
