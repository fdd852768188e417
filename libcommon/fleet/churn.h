/*
 * Measured churn: what each disk of each machine wrote, by the minute, read
 * from CSV as `ps-plan profile` writes it (ps-plan(1) has the form).
 */
#ifndef PS_FLEET_CHURN_H
#define PS_FLEET_CHURN_H

#include <stdbool.h>
#include <stdio.h>

#include "base/name.h"
#include "fleet/series.h"

/*
 * How it was counted. What replication sends is each changed block once in an
 * interval, so where that was measured it is what counts, else each write.
 */
enum churn_by {
	CHURN_WRITES, /* every write, /proc/diskstats */
	CHURN_TRACE,  /* changed blocks, by a trace of writes */
	CHURN_AGENTS, /* changed blocks, as agents' passes brought them */
	CHURN_OTHER,  /* changed blocks; the rows do not say how */
	CHURN_BYS
};

/* "writes", "trace", "agents", "changed" */
const char *churn_by_name(enum churn_by by);

/* What a write is taken for where nobody counted them, as tables do. */
#define CHURN_WRITE 8192

struct disk_churn {
	char name[NAME_SIZE];
	uint64_t size;	       /* bytes, the last that was said; 0: unknown */
	struct spread rate;    /* bytes a second */
	struct spread writes;  /* a second */
	struct series hours;   /* bytes, by the hour instead of the minute */
	struct series seconds; /* of each hour that rows cover */
	int64_t from, to;      /* ns since 1970: first and last of them */
	double written;	       /* bytes of the writes that were counted */
	double nwrites;	       /* those writes */
};

struct machine_churn {
	char name[NAME_SIZE];
	struct disk_churn *disks;
	size_t ndisks;
	struct series bytes;  /* in each minute, all disks */
	struct series writes; /* their number */
	uint64_t rows[CHURN_BYS];
	uint64_t guessed; /* rows without a number of writes */
};

struct churn {
	struct machine_churn *machines;
	size_t nmachines;
	struct series bytes;  /* of all machines */
	struct series writes; /* the same */
};

/*
 * Adds all rows of a stream: RFC 4180, with or without a byte order mark.
 * -PS_DATA with name and line for a row that makes no sense, more than 20,000
 * disks, or times more than a year apart.
 */
int churn_read(struct churn *c, FILE *in, const char *name, struct err *e);
/* After the last file: what concerns all machines. */
int churn_total(struct churn *c, struct err *e);
void churn_free(struct churn *c);

/* Rows of this disk overlap: the same samples twice, or a clock that jumps. */
bool churn_overlaps(const struct disk_churn *d);

#endif
