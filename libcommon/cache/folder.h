/*
 * Inside of the cache: the open cache, the folder of one disk with its lock,
 * and what its head and its segments together say.
 *
 * Two locks for each disk. The lease (.lease, fcntl) belongs to the one
 * process that adds segments; it names its holder, who can be ended. The lock
 * (.lock, flock) is held for moments, by whoever rewrites the head or removes
 * segments, and shared by whoever reads both together. Temporary files of the
 * dead are swept by who has the lease.
 */
#ifndef PS_CACHE_FOLDER_H
#define PS_CACHE_FOLDER_H

#include <stdatomic.h>

#include "cache/cache.h"
#include "cache/head.h"
#include "cache/spool.h"

#define FOLLOWERS_DIR "followers"

struct cache {
	int dirfd;
	char *path;
	struct cache_limits limits;
	bool failed;
	int64_t opened_ns; /* mono_now_ns(): who opened later, may take over */
	_Atomic uint64_t *counters; /* counters.h; NULL: none */
	bool counting;		    /* they may be written */
	struct cache_lease *leases; /* of this process, last used first */
	struct cache_help help;	    /* zero: we do all ourselves */
	uint64_t excess;	    /* bytes that keep the last put waiting */
};

/*
 * Opens a cache to look at, or to work with when it is not marked failed:
 * cache->failed tells.
 */
int cache_open_any(struct cache **ret, const char *dir, bool look,
		   struct err *e);
/* -PS_STORAGE when another process has marked it failed since. */
int cache_check_failed(struct cache *c, struct err *e);
/* Passes rc on; -PS_STORAGE marks the cache failed. */
int cache_note_failure(struct cache *c, int rc, struct err *e);

/* Bytes that are missing until `keep` percent are free. */
uint64_t cache_missing(struct cache *c, unsigned keep);
/* Bytes that segments could have if there were none, `keep` percent free. */
uint64_t cache_room(struct cache *c, unsigned keep);

/* True for a name that a machine may have: "followers" is ours. */
bool cache_machine_ok(const char *machine);

/* The folder of one disk. */
struct folder {
	struct cache *c;
	char machine[NAME_SIZE], disk[NAME_SIZE];
	int dirfd;
	int lockfd;
};

/* 1, or 0 when there is no such disk (`create` makes it: always 1). */
int folder_open(struct folder *ret, struct cache *c, const char *machine,
		const char *disk, bool create, struct err *e);
void folder_close(struct folder *f);
/* Waits at most a minute; -PS_TEMPFAIL after that. */
int folder_lock(struct folder *f, bool exclusive, struct err *e);
void folder_unlock(struct folder *f);

/* Head and segments read together. */
struct folder_state {
	bool known;	  /* a head or a segment is there */
	bool seated;	  /* `last` is what the next segment continues */
	struct head head; /* zero when there is no file */
	struct mark last; /* last accepted */
	bool initial;	  /* of `last` */
	struct spool_list list;
};

/*
 * Call with the lock held. A last segment that cannot be read shows as a
 * hold (in `head`, not in the file). Free with folder_state_free.
 */
int folder_state(struct folder *f, struct folder_state *ret, struct err *e);
void folder_state_free(struct folder_state *s);

/*
 * The digest that the disk's chain has at `seq`: from the head, a file, or
 * the link of a successor. 1, 0 when nothing here knows it any more, -CODE.
 */
int folder_digest_at(struct folder *f, const struct folder_state *s,
		     uint64_t seq, uint8_t ret[SHA256_LEN], struct err *e);

/* Bytes of all segments in the folder. */
int folder_bytes(const struct folder *f, const struct spool_list *l,
		 uint64_t *ret, struct err *e);

/* Makes sure that the name of the folder itself is on stable storage. */
int folder_sync_path(const struct folder *f, struct err *e);

/* Calls fn for each machine that has a folder, in order of names. */
typedef int folder_machine_fn(void *ctx, const char *machine, struct err *e);
int folder_machines(struct cache *c, folder_machine_fn *fn, void *ctx,
		    struct err *e);

/* Calls fn for each disk (of one machine, or NULL), in order of names. */
typedef int folder_fn(void *ctx, struct folder *f, struct err *e);
int folder_each(struct cache *c, const char *machine, folder_fn *fn, void *ctx,
		struct err *e);

/* The lease of this process on a disk; NULL when it has none. */
struct cache_lease {
	struct folder f;
	int fd;
	bool own; /* taken by cache_put itself */
	/* What the folder says, kept while nobody else may add to it. */
	bool known;
	struct mark last;
	bool initial;
	uint64_t bytes;
	struct cache_lease *next;
};
struct cache_lease *lease_find(struct cache *c, const char *machine,
			       const char *disk);
/* The same, taken now when it is missing; released with the cache. */
int lease_get(struct cache *c, const char *machine, const char *disk,
	      struct cache_lease **ret, struct err *e);
/* This run of the kernel; empty when it is not to be had. */
const char *lease_boot_id(void);
/* Reads the folder anew. */
int lease_refresh(struct cache_lease *l, struct err *e);

#endif
