/*
 * The cache of a process server: segments that arrived and are not yet in the
 * vault, and for each disk a small durable head that outlives them. There is
 * no database: the state is the folder.
 *
 *	CACHE/cache.json		what it is
 *	CACHE/MACHINE/DISK/SEQ		a segment (20 digits)
 *	CACHE/MACHINE/DISK/head		last sequence and digest accepted and
 *					stored, followers, hold
 *	CACHE/MACHINE/DISK/.tally	what was accepted, for ps-health
 *	CACHE/MACHINE/.moved		the server that it moves to (move.h)
 *	CACHE/followers/NAME		for whom segments are kept
 *	CACHE/failed			stable storage failed: no more writes
 *
 * A put writes one file and syncs it and its folder; the head file is a floor
 * that is rewritten before a segment goes which it must outlive. One process
 * at a time adds to a disk: the holder of its lease. Leases belong to a
 * process and are not inherited by fork: a child takes its own. A process opens
 * a cache only once. The manual is ps-cache(1).
 */
#ifndef PS_CACHE_CACHE_H
#define PS_CACHE_CACHE_H

#include <stdbool.h>
#include <sys/types.h>

#include "segment/ack.h"
#include "segment/reader.h"

struct cache;

/* What cache.json says beside the version. */
struct cache_limits {
	unsigned keep_free;	    /* %: under it nothing is taken */
	unsigned keep_free_initial; /* %: no initial replication */
	uint64_t disk_bytes;	    /* of one disk's segments; 0: no limit */
	/* Followers that must have a segment before it counts as stored; 0, or
	 * more than there are: all. */
	unsigned stored_after;
};

#define CACHE_KEEP_FREE 20
#define CACHE_KEEP_FREE_INITIAL 25
/* Of one machine: it names them itself, and each is looked at again and again
 */
#define CACHE_DISKS_MAX 1024

/*
 * Makes a cache (the folder too), or sets the limits of the one that is
 * there; `limits` NULL: the usual ones, or those that it has.
 */
int cache_init(const char *dir, const struct cache_limits *limits,
	       struct err *e);
/* The limits of a cache. */
int cache_limits(const char *dir, struct cache_limits *ret, struct err *e);
/* -PS_CONFIG: not a cache; -PS_STORAGE: marked failed. */
int cache_open(struct cache **ret, const char *dir, struct err *e);
void cache_close(struct cache *c);

/*
 * For a process that may do nothing outside of its machine's folder: who does
 * for it what it must not. `end_holder` ends who holds the disk's lease (of
 * this process's machine); `failed` marks the cache.
 */
struct cache_help {
	void *ctx;
	int (*end_holder)(void *ctx, const char *disk, bool force,
			  struct err *e);
	void (*failed)(void *ctx, const char *words);
};
void cache_help(struct cache *c, const struct cache_help *help);

/*
 * A descriptor of a machine's folder, which is made when it is missing; of
 * the whole cache when `machine` is NULL.
 */
int cache_folder(struct cache *c, const char *machine, struct err *e);

/* Marks a cache failed: nothing more is taken. */
void cache_mark_failed(struct cache *c, const char *words);

/* What a process server knows of a disk. */
struct cache_head {
	bool seated; /* the sequence it has to go on from is known */
	bool held;   /* refused by a later stage: nothing more is taken */
	char reason[ACK_REASON_SIZE]; /* of the hold */
	uint64_t seq;		      /* last accepted: durable */
	uint8_t digest[SHA256_LEN];
	uint64_t stored_seq; /* last stored, by as many as have to */
	uint8_t stored_digest[SHA256_LEN];
	bool initial;	     /* no point accepted yet since the newest base */
	unsigned refused_by; /* followers on hold for themselves */
};

/* Also for a disk that nobody sent yet: seated = false, seq 0. */
int cache_head(struct cache *c, const char *machine, const char *disk,
	       struct cache_head *ret, struct err *e);

/*
 * Notes that a disk asks for its head, so that cache_disks() gives it as one
 * that waits to be seated. It stays unknown: a base may still begin it.
 */
int cache_want(struct cache *c, const char *machine, const char *disk,
	       struct err *e);

/* Each disk of a machine (NULL: of all), in order of names. */
typedef int cache_disk_fn(void *ctx, const char *machine, const char *disk,
			  const struct cache_head *head, struct err *e);
int cache_disks(struct cache *c, const char *machine, cache_disk_fn *fn,
		void *ctx, struct err *e);

/*
 * Takes a disk for writing. Who held it before (another process) is ended
 * with SIGTERM, then SIGKILL, before this returns; the lease goes with the
 * process. -PS_TEMPFAIL when the former holder cannot be ended.
 *
 * A disk goes from who opened the cache earlier to who opened it later, never
 * back: also a process that held nothing is kept out, when one that is younger
 * has had the disk since. So what an old connection has not yet put can not be
 * put later. -PS_TEMPFAIL for the older one.
 */
struct cache_lease;
int cache_take(struct cache *c, const char *machine, const char *disk,
	       struct cache_lease **ret, struct err *e);
void cache_release(struct cache_lease *l);
/*
 * Makes the head of a disk final: takes the disk unless this process has it,
 * and keeps it as cache_put does. Also for a disk that nobody sent yet,
 * as cache_want. -PS_TEMPFAIL as cache_take.
 */
int cache_fence(struct cache *c, const char *machine, const char *disk,
		struct err *e);

/*
 * Sends SIGTERM (`force`: SIGKILL) to the process that holds a disk's lease,
 * unless it is `except`. That nobody holds it is success.
 */
int cache_end_holder(struct cache *c, const char *machine, const char *disk,
		     bool force, pid_t except, struct err *e);

enum cache_verdict {
	CACHE_DURABLE,	 /* on stable storage, now or before */
	CACHE_STORED,	 /* was stored in the vault before */
	CACHE_REFUSED,	 /* does not continue the head; reason in the ack */
	CACHE_UNSEATED,	 /* no head: wait until the disk is seated */
	CACHE_HELD,	 /* the disk is on hold; reason in the ack */
	CACHE_THROTTLED, /* too little room for this kind of segment now */
	CACHE_LIMITED,	 /* the disk has as much here as one may have */
	CACHE_MOVING,	 /* the machine is leaving for another server */
	CACHE_MOVED,	 /* it has gone there */
};
/* Has the source to send it again later, when something has changed here? */
bool cache_must_wait(enum cache_verdict v);

/*
 * Reads one segment from `r` and puts it into the cache. Takes the disk when
 * this process has not taken it yet. `machine` and `disk` (or NULL) say what
 * it must be. Returns 1 with verdict and ack set; 0 at the
 * end of the stream; -CODE: PS_DATA damaged input, PS_TEMPFAIL no room (the
 * errno ENOSPC stands in e->sys), PS_STORAGE stable storage failed (the cache
 * is then marked failed). Nothing half-written stays in any case. A segment
 * that must wait is not read beyond its header, so that the source can be told
 * at once: cache_drop() reads the rest away. Otherwise all of it is read.
 */
int cache_put(struct cache *c, struct seg_reader *r, const char *machine,
	      const char *disk, enum cache_verdict *verdict, struct ack *ack,
	      struct err *e);

int cache_drop(struct seg_reader *r, struct err *e);

/*
 * Free share of the cache's file system, 0..100: of its bytes or of its
 * inodes, whichever is less.
 */
int cache_free_percent(struct cache *c, unsigned *ret, struct err *e);
/*
 * How many bytes have to go before what the last cache_put() answered with
 * CACHE_THROTTLED or CACHE_LIMITED is taken; else 0.
 */
uint64_t cache_excess(const struct cache *c);
/* Bytes that went from here to stable storage elsewhere since it was made. */
uint64_t cache_drained(const struct cache *c);

#endif
