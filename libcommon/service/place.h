/*
 * Where the services live: the machine itself, or a folder that looks like
 * one (--root DIR), which takes no rights of root.
 */
#ifndef PS_SERVICE_PLACE_H
#define PS_SERVICE_PLACE_H

#include <stdbool.h>

#include "base/err.h"

#define PLACE_PATH 1024

struct place {
	char root[PLACE_PATH];	   /* "" for the machine itself */
	char programs[PLACE_PATH]; /* the folder of ps-service itself */
	int run;  /* ROOT/run/ps-toolkit/service: locks and states */
	int logs; /* ROOT LOCALSTATEDIR/log/ps-toolkit */
};

/*
 * `root` NULL: the machine. With `make` the folders are made. -PS_NOINPUT:
 * they are not there; -PS_NOPERM: they cannot be made.
 */
int place_open(struct place *p, const char *root, bool make, struct err *e);
void place_close(struct place *p);

/* The same without the folders: `run` and `logs` are -1. */
int place_find(struct place *p, const char *root, struct err *e);

/* ROOT and the path. -PS_USAGE when that is too long. */
int place_path(const struct place *p, const char *path, char out[PLACE_PATH],
	       struct err *e);

/*
 * The program to run for one of a unit: the one beside ps-service if there is
 * one, so that a build that is not installed runs its own.
 */
void place_program(const struct place *p, const char *unit_path,
		   char out[PLACE_PATH]);

/* Sets what programs are told by their environment: PS_CONFIG and the like. */
int place_environment(const struct place *p, struct err *e);

/*
 * The folder of the times at which jobs were begun, made if it is not there:
 * ROOT LOCALSTATEDIR/lib/ps-toolkit/jobs. The descriptor is the caller's.
 */
int place_jobs(const struct place *p, struct err *e);

#endif
