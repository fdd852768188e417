/*
 * One disk on its way through a bookmark: settled with the server, snapshot
 * taken, scanned and sent, old snapshot removed. Each phase is one task; its
 * end chooses the next.
 */
#ifndef PS_AGENT_DISK_H
#define PS_AGENT_DISK_H

#include "agent/backoff.h"
#include "agent/control.h"
#include "agent/report.h"
#include "agent/state.h"
#include "agent/task.h"

struct agent;
struct mark;

enum disk_phase {
	DISK_IDLE,
	DISK_IDENTIFY, /* which one is it? */
	DISK_TRAITS,   /* what can the provider do? */
	DISK_LIST,     /* snapshots that a crash left over */
	DISK_SETTLE,   /* what does the server have? */
	DISK_MAP,      /* fetch the digest map */
	DISK_ADOPT,    /* make a map of it */
	DISK_RESTART,  /* no map to be had: a new base */
	DISK_LOOK,     /* what does the map know? */
	DISK_CONVERGE, /* a change list for the next of these */
	DISK_SHRINK,   /* converging passes before writers are held */
	DISK_READY,    /* waits for the others of the bookmark */
	DISK_CREATE,
	DISK_CREATED, /* waits for the others */
	DISK_QUEUED,  /* may be sent as soon as there is room */
	DISK_CHANGES,
	DISK_WINDOW, /* a pass without its last part, writers held */
	DISK_CHECK,  /* were they, to the end? */
	DISK_LAST,   /* the pass that makes the point */
	DISK_DELETE,
};

#define DISK_DOOMED 16
/*
 * So often the server may have segments behind our last point that we did not
 * send: once a map may have been damaged after a pass that was cut. That is
 * forgotten when so many points of ours came with nothing between them; it is
 * kept across runs, for `once` makes one point in each.
 */
#define RIVALS 2
#define RIVALS_FORGET 10

struct disk {
	struct agent *agent;
	const struct agent_disk_conf *conf;
	struct disk_state *st;
	struct mark *mark; /* NULL: idle */
	enum disk_phase phase;
	struct task task;
	struct gauge gauge; /* of its passes */

	/* Of the disk as it is now; see disk-lock.c. */
	char key[IDENTITY_KEY + 16];
	char found[IDENTITY_SIZE]; /* what it is known by */
	bool looked;		   /* `found` is true */
	int lockfd, lockdir;	   /* -1: it is not ours */

	/* Paths and words that never change; see disk_open(). */
	char *folder, *map, *report, *changes, *digests, *provider;
	char **env;
	char env_snapshot[16 + SNAPSHOT_SIZE], env_base[16 + SNAPSHOT_SIZE];

	/* Of the provider. */
	bool traits_known, swept, sweeping, base_seen;
	bool has_changes, keeps, crash_consistent;
	bool converges;	   /* the base is a name, lists go from pass to pass */
	uint64_t window_s; /* 0: writers are not held */

	/* Of the bookmark under way. */
	char snapshot[SNAPSHOT_SIZE]; /* empty: none */
	char *source;		      /* what is scanned */
	bool listed;		      /* a change list was got */
	bool begun;		      /* the pass may have reached the server */
	bool full;		      /* the whole disk is read */
	struct control_ask asked;     /* by whom; when `full` */
	bool resync;		      /* the map is being made anew */
	bool resynced;		      /* that was tried in this round */
	bool failed, lost;	      /* in this round: a failure, the window */
	enum consistency_word reached;
	unsigned shrinks;	  /* converging passes so far */
	uint64_t last_shrink;	  /* bytes of the one before */
	char step[SNAPSHOT_SIZE]; /* the base that this one will be; or empty */
	uint64_t seq;		  /* newest acknowledgement of this pass */
	struct scan_status scan;
	char text[1024]; /* small output of a program */
	size_t ntext;

	char doomed[DISK_DOOMED][SNAPSHOT_SIZE]; /* to be deleted */
	unsigned ndoomed;
	struct backoff wait; /* it is not tried before that */
	bool missed;	     /* the last round failed */
	bool tried;	     /* `once`: had its turn */
};

/* Makes the disk's folder and what never changes. */
int disk_open(struct disk *d, struct agent *a,
	      const struct agent_disk_conf *conf, struct disk_state *st,
	      struct err *e);
void disk_close(struct disk *d);
/* Where the program of its provider is; for free(3), NULL without memory. */
char *disk_provider_path(const struct agent_disk_conf *conf);

/* For a bookmark: runs on to DISK_READY, or fails and is idle again. */
void disk_begin(struct disk *d, struct mark *m);
/* From DISK_READY on to DISK_CREATED. */
void disk_create(struct disk *d);
/* From DISK_QUEUED to the end. */
void disk_send(struct disk *d);
/* From a phase that waits to the end, without a pass. */
void disk_release(struct disk *d);
/*
 * Ends what it does; its snapshot is deleted. A pass is given `drain_s` to
 * finish the segments that it has begun.
 */
void disk_interrupt(struct disk *d, uint64_t drain_s);
/* Has it been let go by its bookmark, to send? */
bool disk_sends(const struct disk *d);

/* ---- between the files of this room ---- */

/*
 * Is it the disk, in the machine, that the replica is of? Else the round fails
 * (disk-same.c).
 */
bool disk_same(struct disk *d);
/*
 * No other agent of this machine works on the disk from here to the end of the
 * round, whatever its state folder is (disk-lock.c). `line` is what ps-scan
 * --identify said. -PS_TEMPFAIL: somebody else does; -PS_CONFIG: another disk
 * of this agent is the same one.
 */
int disk_lock(struct disk *d, const char *line, struct err *e);
void disk_unlock(struct disk *d);
/*
 * The server's head is none that the map can be brought to. Does somebody else
 * send this disk? Then the round fails.
 */
bool disk_is_ours(struct disk *d);
/* A point of ours was made. */
void disk_own_point(struct disk *d);
/* Is what is scanned smaller than what was sent before? */
bool disk_has_shrunk(const struct disk *d);
void disk_set_word(struct disk *d, enum disk_word word);
/* Does a scan run, with all the programs behind it? */
bool disk_passes(const struct disk *d);

void disk_run(struct disk *d, enum disk_phase phase, uint64_t limit_s);
void disk_fail(struct disk *d, const struct task_result *r);
void disk_settle(struct disk *d);
void disk_traits(struct disk *d);
/* Asks for the change list of a converging pass, then goes on to it. */
void disk_converge(struct disk *d);
void disk_shrink(struct disk *d);
/* What that pass has read is what the next list begins at. */
void disk_base_moves(struct disk *d);
/* Deletes what is doomed, then goes on, or ends the round. */
void disk_cleanup(struct disk *d);
void disk_doom(struct disk *d, const char *snapshot);
/* After a failure: the base, and perhaps the map (disk-doubt.c). */
void disk_distrust_base(struct disk *d);
void disk_distrust_map(struct disk *d, const struct task_result *r);
void disk_trust_map(const struct disk *d);
void disk_end(struct disk *d);
void disk_provider_line(struct disk *d, const char *line);
void disk_provider_done(struct disk *d, const struct task_result *r);
/* What went wrong, for status; and for whoever reads what the agent says. */
void disk_error(struct disk *d, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The same for status only: it has been said. */
void disk_note_error(struct disk *d, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
bool disk_has_provider(const struct disk *d);

#endif
