/*
 * Published limits as data: two generations of the capacity pages of Azure
 * Site Recovery, each with its sources. Bytes are by powers of 1024 ("2 MB/s =
 * 168 GB a day" is so), rates of lines are bits by powers of 1000.
 */
#ifndef PS_FLEET_TABLES_H
#define PS_FLEET_TABLES_H

#include "fleet/sizes.h"

/* What a disk of a class takes whose writes have at least this mean size. */
struct disk_limit {
	const char *name;
	double write_size;
	double rate;   /* bytes a second; 0: not said */
	double day;    /* bytes */
	double writes; /* a second */
};

struct tables {
	const char *name;	    /* "2019" */
	const char *const *sources; /* ends with NULL */
	const struct server_size *process;
	/* A configuration server with a process server of its own (NULL: not
	 * published), and one that only configures: `machines` at most. */
	const struct server_size *config;
	struct server_size config_alone;
	/* The smallest class first; of a class, the smallest writes first. */
	const struct disk_limit *disks;
	unsigned ndisks;
	bool by_write; /* `day` is for writes of 8 KiB, and grows with them */
	uint64_t disk_size; /* of a disk, 0: not said */
	unsigned machine_disks;
	double machine_rate, machine_writes, machine_day; /* 0: not said */
	/* Requests a second of a storage account; of each write of a source. */
	double account_requests, requests_per_write;
	/* Of one disk of a retention volume; bytes are for writes of 8 KiB. */
	double retention_writes, retention_day;
};

#define TABLES 2
extern const struct tables tables[TABLES]; /* the newest first */

/* By name; NULL: there is none. */
const struct tables *tables_find(const char *name);

#endif
