/*
 * Why replication is behind: which stage holds it back, how long until it has
 * caught up, and how sure that is. Made from what is there now (the cache, what
 * ps-pipeline and ps-upload tell in it) and from the samples of ps-health.
 * Nothing is written.
 */
#ifndef PS_HEALTH_WHY_H
#define PS_HEALTH_WHY_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/name.h"
#include "health/disks.h"
#include "health/gather.h"
#include "health/ring.h"

/* In the order in which they are looked for. */
enum why_cause {
	WHY_NOTHING,
	WHY_CACHE_FAILED,
	WHY_PIPELINE_DOWN,
	WHY_PROXY,
	WHY_STORE_UNREACHABLE,
	WHY_CLOCK,
	WHY_DENIED,
	WHY_STORE_ERRORS,
	WHY_RATE_LIMIT,
	WHY_STORE_LATENCY,
	WHY_ENCRYPT,
	WHY_COMPRESS,
	WHY_CACHE_DISK,
	WHY_HELD,
	WHY_UNSEATED,
	WHY_RECEIVER_DOWN,
	WHY_CERTIFICATE,
	WHY_THROTTLE,
	WHY_SLOW_DISK,
	WHY_SOURCE_SILENT,
	/* Only at a source, by ps-agent (agent/why.h). */
	WHY_AGENT_DOWN,
	WHY_SERVER_UNREACHABLE,
	WHY_PASS_FAILED,
	WHY_READ_LIMIT,
	WHY_SEND_LIMIT,
	WHY_SERVER_SLOW,
	WHY_NETWORK_IN,
	WHY_SOURCE_READ,
	WHY_PAUSED,
	WHY_CAUSES
};

/* "rate-limit": the word of the manual, also in JSON. */
const char *why_word(enum why_cause c);

/* States of a disk, as far as a process server can know them. */
enum why_state {
	STATE_INITIATING,   /* nothing accepted yet, or not seated */
	STATE_INITIAL_SYNC, /* no point yet since the newest base */
	STATE_CONTINUOUS,
	STATE_BACKLOG, /* what is there waits for over a minute */
	STATE_RESYNC,  /* the source asks for the digest map */
	STATE_HELD,
	STATE_STALLED,	    /* it waits, and nothing of it was stored lately */
	STATE_DISCONNECTED, /* nothing came for long */
	/* only at a source */
	STATE_RESCAN,
	STATE_PAUSED,
	STATE_THROTTLED,
};
const char *why_state_name(enum why_state s);

#define WHY_STAGES 8
#define WHY_FOLLOWERS 16

/* A stage of a chain, from its file (see ps-pipeline(8)). */
struct why_stage {
	char name[32];
	double cpu, limits, starved, blocked;
	unsigned samples;
	uint64_t queue, queue_size;
	pid_t pid;
};

/* What one follower of the cache tells of itself. */
struct why_follower {
	char name[NAME_SIZE];
	bool supervised; /* its ps-pipeline lives */
	bool running;	 /* its stages do */
	struct why_stage stages[WHY_STAGES];
	unsigned n;
	int64_t since; /* of the chain, seconds; 0: not known */
	/* ps-upload --report; state "" when there is none */
	char state[16], cause[32], error[512];
	uint64_t rate, limit;
	double latency_ms;
	bool uploading; /* that process lives */
	bool clock_told;
	int64_t ahead;	    /* seconds, the store's clock of ours */
	bool single_writer; /* its store refuses no second create */
};

struct why_disk {
	char machine[NAME_SIZE], disk[NAME_SIZE];
	enum why_state state;
	enum why_cause cause;
	uint64_t accepted, stored, backlog;
	int64_t lag;	/* seconds, of the oldest that waits; 0: nothing */
	int64_t silent; /* seconds since something came; -1: not known */
	int64_t stored_at;
	bool held, seated, initial, asks_map;
	char reason[256]; /* of the hold */
};

struct why {
	int64_t now;
	enum why_cause cause;
	bool behind;
	char what[200], evidence[400];
	const char *next;
	double share;	  /* of the samples that agree; -1: it is no guess */
	unsigned samples; /* that were looked at */
	uint64_t backlog; /* bytes */
	int64_t lag;	  /* seconds */
	double intake, drain; /* bytes per second; -1: not known */
	int64_t eta; /* seconds; -1: never at this rate; -2: not known */
	struct why_disk *disks;
	size_t n;
	struct why_follower followers[WHY_FOLLOWERS];
	unsigned nfollowers;
	/* Of the server. */
	bool cache_failed;
	int64_t free_percent, keep_free; /* -1: not known */
	uint64_t cache_bytes;
	int receiver; /* runs: 1, 0, -1 not known */
	int64_t cert_days;
};

#define WHY_NEVER (-1)
#define WHY_UNKNOWN (-2)

struct why_input {
	const struct gather *gather; /* cache, listen, cert */
	const char *machine, *disk;  /* only these; NULL: all */
	struct ring *ring;	     /* NULL: there are no samples */
	const struct disks *disks;   /* NULL the same */
	int64_t silent_s; /* so long nothing may come: the limit disk-lag */
};

/*
 * -PS_NOINPUT: no such cache, or it has no such machine or disk. The result
 * is freed by why_free().
 */
int why_find(const struct why_input *in, int64_t now, struct why *ret,
	     struct err *e);
void why_free(struct why *w);

/* ---- parts of it, for tests ---- */

/* Reads what the followers tell in the cache's folder. */
void why_read_followers(const char *cache, struct why *w);
/*
 * One file of stages (see ps-pipeline(8)) that `program` writes: fills in
 * supervised, running, since and the stages, which are those of a chain that
 * runs now.
 */
void why_read_stages(int dirfd, const char *file, const char *program,
		     int64_t now, struct why_follower *f);
/*
 * The stage that holds a chain up, by its pipes; NULL: none is seen to. The
 * first one has nothing before it that could be full, and looks the same when
 * it has given all that there is: it is named when no other one is.
 */
const struct why_stage *why_narrowest(const struct why_follower *f);
/* Names the cause from all that has been read. */
void why_judge(struct why *w, int64_t silent_s);

void why_text(const struct why *w, FILE *f);
/* One line, for a log. */
void why_line(const struct why *w, FILE *f);
/* Stages with how full the pipe before each is, for a screen. */
void why_stages(const struct why *w, FILE *f);
int why_json(const struct why *w, FILE *f, struct err *e);

#endif
