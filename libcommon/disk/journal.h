/*
 * The folder F.journal beside a map F:
 *
 *	SEQ	one sent segment, 20 digits: its header, index and trailer
 *	dirty	the dirty list (disk/dirty.h)
 *	scrub	where scrubbing stands (disk/scrub.h)
 *	lock	locks of scan, commit and state
 *
 * An entry is durable before the segment's trailer leaves ps-scan, so whatever
 * the other side accepted can be committed to the map later. It goes when the
 * other side says that the segment is stored, or has not taken it.
 */
#ifndef PS_DISK_JOURNAL_H
#define PS_DISK_JOURNAL_H

#include <stdbool.h>

#include "segment/format.h"

struct journal {
	int dirfd;
	int lockfd;
	char *path;
	uint64_t *seqs; /* at the time of journal_list(), ascending */
	size_t n;
};

/* Opens the folder that belongs to a map, and makes it when it is missing. */
int journal_open(struct journal *j, const char *map_path, struct err *e);
void journal_close(struct journal *j); /* one of zero bytes may be closed */

/* ---- locks ---- */

enum journal_lock {
	LOCK_SCAN,   /* a pass is running */
	LOCK_COMMIT, /* acknowledgements are being read */
	LOCK_STATE,  /* map header and dirty list; held for moments */
};

/*
 * Takes a lock; it goes with the descriptor, so also when the process dies.
 * SCAN and COMMIT: -PS_TEMPFAIL at once when somebody else has it. STATE is
 * waited for, at most a minute.
 */
int journal_lock(struct journal *j, enum journal_lock which, struct err *e);
void journal_unlock(struct journal *j, enum journal_lock which);
/* Has somebody else this lock? */
bool journal_locked(const struct journal *j, enum journal_lock which);

/* ---- entries ---- */

struct journal_entry {
	uint64_t generation; /* of the dirty list that its pass froze */
	bool ends; /* the last one of its pass, with a point or without */
	struct seg_header header;
	struct seg_trailer trailer;
	/* private: the whole file, and the pages in it */
	uint8_t *buf;
	const uint8_t *tail;
	size_t tail_len;
};

/*
 * Puts one entry on stable storage, replacing one of the same sequence.
 * `ends`: it is the last one of its pass.
 */
int journal_put(struct journal *j, uint64_t generation, bool ends,
		const struct seg_header *h, const uint8_t *tail, size_t len,
		struct err *e);
/* -PS_NOINPUT: no such entry; -PS_DATA: damaged. Free with entry_free. */
int journal_get(struct journal *j, uint64_t seq, struct journal_entry *ret,
		struct err *e);
void journal_entry_free(struct journal_entry *en);

/* Each record in order of offset; `digests` is NULL for ZERO. */
typedef int journal_record_fn(void *ctx, const struct seg_entry *rec,
			      const uint8_t *digests, struct err *e);
int journal_entry_walk(const struct journal_entry *en, journal_record_fn *fn,
		       void *ctx, struct err *e);

/* Fills j->seqs and j->n. */
int journal_list(struct journal *j, struct err *e);
/* Removes an entry; one that is not there is success. */
int journal_drop(struct journal *j, uint64_t seq, struct err *e);
/* Makes removals durable. */
int journal_sync(struct journal *j, struct err *e);

#endif
