/*
 * Recovery points. A point is no object: it exists exactly when, for every
 * disk that its bookmark names, the last segment of the pass is in the vault
 * with unbroken cover back to a base.
 */
#ifndef PS_VAULT_POINT_H
#define PS_VAULT_POINT_H

#include "vault/vault.h"

struct point_disk {
	char machine[NAME_SIZE];
	char disk[NAME_SIZE];
	uint64_t seq;  /* of the last part; 0: missing */
	uint64_t size; /* of the disk */
	bool covered;  /* an unbroken chain leads from it to a base */
};

struct point {
	char id[NAME_SIZE]; /* the bookmark */
	int64_t time;	    /* of the bookmark, ns since 1970 */
	int64_t change_time;
	uint8_t consistency;   /* the weakest of its disks */
	bool complete;	       /* every disk that it names is there */
	bool authenticated;    /* every trailer was opened with a key, or none
				  of the segments is sealed */
	bool sealed, unsealed; /* some of it is */
	struct point_disk *disks; /* this machine's own and other members, in
				     order of names */
	size_t ndisks;
};

struct points {
	struct point *items; /* by time, ascending */
	size_t n;
	size_t damaged;	  /* objects that could not be read; they count as
			     missing */
	char damage[256]; /* what is wrong with the first of them */
};

/*
 * The points of one machine (NULL: of all), found by reading tails only.
 * Incomplete ones are listed too, with complete = false. A bookmark that
 * several machines share is one point with the disks of all of them.
 *
 * A bookmark's name should be used once. Where it was used again, each use is
 * a point of its own: a disk that comes a second time begins the next one.
 */
int points_list(struct vault *v, const char *machine,
		const struct keyring *keys, struct points *ret, struct err *e);
void points_free(struct points *p);

/*
 * Chooses by what an administrator says: "latest" (complete), "latest-app",
 * or a point's id; `at` != 0 with what NULL: the complete one of the newest
 * time at or before that time. Latest is the one with the highest sequence of
 * the disks that are meant, whatever the clock of the source said; so it is of
 * several points with one id. For a single disk of an incomplete point give
 * its id. Only points that hold machine and disk count; either may be NULL:
 * any. -PS_NO when there is none.
 */
int points_choose(const struct points *p, const char *machine, const char *disk,
		  const char *what, int64_t at, const struct point **ret,
		  struct err *e);

#endif
