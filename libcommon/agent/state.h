/*
 * What an agent remembers of its disks, and what `ps-agent status` reads: one
 * small file, replaced durably. What is not in it is asked again; losing it
 * costs knowledge of points and of which disks these were, never a replica.
 */
#ifndef PS_AGENT_STATE_H
#define PS_AGENT_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "agent/agent-conf.h"
#include "disk/identity.h"

#define STATE_POINTS 64
#define STATE_FILE "state.json"
#define LOCK_FILE "lock" /* held by the agent of this folder (F_OFD_SETLK) */
#define SNAPSHOT_SIZE (NAME_SIZE + 8)
#define STATE_ERROR 400

/* The words of status. */
enum disk_word {
	WORD_INITIATING,
	WORD_INITIAL_SYNC,
	WORD_CONTINUOUS,
	WORD_BACKLOG,
	WORD_RESCAN,
	WORD_RESYNC,
	WORD_PAUSED,
	WORD_STALLED,
	WORD_DISCONNECTED,
	WORD_THROTTLED,
	WORD_HELD,
};

const char *disk_word_name(enum disk_word w);

enum consistency_word { CONS_NONE, CONS_CRASH, CONS_APP };

const char *cons_name(enum consistency_word c);
enum consistency_word cons_parse(const char *text);

/* A recovery point of one disk, complete on the process server. */
struct agent_point {
	char bookmark[NAME_SIZE]; /* empty: none */
	int64_t time_ns;
	uint64_t seq;
	enum consistency_word consistency;
};

/* Points that a server had acknowledged and that were lost with its cache. */
struct agent_lost {
	unsigned n; /* that were known here; 0: none ever */
	struct agent_point first, last;
	int64_t noticed_ns;
};

struct disk_state {
	char name[NAME_SIZE];
	enum disk_word word;
	char error[STATE_ERROR]; /* of the last pass; empty: none */
	int64_t error_ns;
	char cause[32];	      /* what the server said, or "unreachable" */
	int64_t next_ns;      /* when it is tried again; 0: not planned */
	int64_t under_way_ns; /* since when a pass runs; 0: none does */
	bool complete;	      /* initial replication is done */
	bool alone; /* it could not be read: it spoils no bookmark of others */
	char base[SNAPSHOT_SIZE];   /* snapshot of the last completed pass */
	struct agent_point pending; /* of the pass under way */
	struct agent_point points[STATE_POINTS]; /* ascending */
	unsigned npoints;
	struct agent_lost lost;		/* the last time */
	uint64_t acked_seq, stored_seq; /* the server's heads */
	uint64_t backlog;		/* bytes to be read and compared */
	uint64_t size;
	uint64_t missed; /* blocks that scrubbing found */
	/* Of the first pass: the disk, the machine; empty: not known. */
	char identity[IDENTITY_SIZE], host[IDENTITY_SIZE];
	bool anew; /* another disk was accepted: it may be a smaller one */
	/* Does somebody else send this disk? See disk_is_ours(). */
	uint64_t own_seq;    /* the last point that we have made */
	uint64_t rival_seq;  /* the last of these behind which others were */
	uint64_t rivals;     /* how many there were */
	uint64_t unrivalled; /* points of ours since, with none between */
};

/* The process server, as far as it is known. */
struct agent_place {
	char name[NAME_SIZE]; /* empty: as agent.yaml says */
	char host[256];	      /* empty: not known */
	char port[8];
	bool off;	/* the machine is not to be protected any more */
	uint64_t app_s; /* of its policy, as bookmarks.app; 0: none */
};

struct agent_state {
	bool frozen;	     /* the pre hook was begun: post has to be run */
	int64_t app_ns;	     /* time of the last application bookmark */
	int64_t bookmark_ns; /* time of the last bookmark of all disks */
	struct agent_place place;
	char place_error[400]; /* why the configuration server does not say */
	char limits[200];      /* a limit that cannot be kept; or empty */
	struct disk_state disks[AGENT_DISKS];
	unsigned ndisks;
};

/* Reads the file; none at all is an empty state. -PS_DATA: damaged. */
int state_read(struct agent_state *s, int dirfd, struct err *e);
int state_write(const struct agent_state *s, int dirfd, struct err *e);

/* The entry of a disk; NULL when there is none. */
struct disk_state *state_disk(struct agent_state *s, const char *name);

/* The newest point at or below a sequence; NULL: none is known. */
const struct agent_point *state_point_at(const struct disk_state *d,
					 uint64_t seq);
/*
 * The other side has no segments from this one on: forgets the points there,
 * and notes them. How many there were.
 */
unsigned state_points_lose(struct disk_state *d, uint64_t from, int64_t now_ns);
/*
 * Adds a point behind all others. Of those that are stored only the newest is
 * kept; when there are too many all the same, every second of the older half
 * goes.
 */
void state_point_add(struct disk_state *d, const struct agent_point *p);

#endif
