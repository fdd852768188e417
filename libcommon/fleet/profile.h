/*
 * Measures churn on this machine: what each disk writes, from /proc/diskstats
 * (Documentation/admin-guide/iostats.rst of the kernel).
 */
#ifndef PS_FLEET_PROFILE_H
#define PS_FLEET_PROFILE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/name.h"

#define PROFILE_DISKS 256

struct profile_disk {
	char name[NAME_SIZE]; /* as in /proc/diskstats: "sda" */
	uint64_t writes, sectors;
	bool seen;
};

struct profile {
	const char *proc;    /* "/proc" */
	const char *sys;     /* "/sys" */
	const char *machine; /* its name in the rows */
	struct profile_disk disks[PROFILE_DISKS];
	unsigned n;
	int64_t taken; /* monotonic, ns */
	/* Bytes of changed blocks since the last call, -1: unknown; or NULL.
	 * Called once for each disk in each sample. */
	int64_t (*changed)(void *ctx, unsigned disk);
	void *ctx;
};

/* The line that names the columns. */
void profile_header(FILE *out);
/* Reads a line: is it that one? */
bool profile_is_header(FILE *in);

/*
 * Whole disks of this machine, but loop devices, memory and those that are
 * made of other disks (dm, md), which would count twice.
 */
int profile_find(struct profile *p, struct err *e);
/* One disk or partition by name; -PS_NOINPUT when there is none. */
int profile_add(struct profile *p, const char *name, struct err *e);

/*
 * Reads the counters, and with `out` prints a row for each disk with what was
 * written since they were last read. Disks that went away have no row.
 */
int profile_sample(struct profile *p, FILE *out, struct err *e);

#endif
