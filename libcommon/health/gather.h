/*
 * Takes one sample: of the machine (/proc), of the cache, of the services.
 * What cannot be had is unknown, never zero.
 */
#ifndef PS_HEALTH_GATHER_H
#define PS_HEALTH_GATHER_H

#include "health/disks.h"
#include "health/metric.h"

#define GATHER_SERVICES_MAX 16

struct gather {
	const char *proc;   /* "/proc", or a copy of it for tests */
	const char *cache;  /* folder; NULL: there is none on this machine */
	const char *cert;   /* certificate of the server (PEM), or NULL */
	const char *listen; /* where ps-receive listens, or NULL */
	const char *state;  /* our own folder: heartbeat lies there */
	const char *key;    /* key file of the vault, or NULL */
	/* Services that should run: "receive", "pipeline". */
	const char *services[GATHER_SERVICES_MAX];
	unsigned nservices;
};

/*
 * `before` is the sample before this one or NULL; its counters make rates
 * when it is at most GATHER_GAP_S old. Disks are entered into `disks`.
 * Fails only when the cache cannot be looked at at all.
 */
#define GATHER_GAP_S 600
int gather_sample(const struct gather *g, const struct sample *before,
		  struct disks *disks, int64_t now, struct sample *ret,
		  struct err *e);

/* Of the machine alone, and of the cache: what gather_sample consists of. */
void gather_host(const struct gather *g, struct sample *ret);
int gather_cache(const struct gather *g, struct disks *disks, int64_t now,
		 struct sample *ret, struct err *e);
void gather_services(const struct gather *g, int64_t now, struct sample *ret);

/*
 * Scheduled jobs whose silence is an alarm: "prune", "verify", "drill",
 * "key-kit". Each stamps its last success (the time of change of the file
 * job.NAME in the folder of state); one that never did is not expected.
 */
#define GATHER_JOBS 4
extern const char *const gather_jobs[GATHER_JOBS];
/* The index of a job; -1: there is none of that name. */
int gather_job(const char *name);
/* Stamps it, now. */
int gather_stamp(int dirfd, int job, struct err *e);
/* Stamps "key-kit" with the id of the newest key that the kit has. */
int gather_stamp_kit(int dirfd, const char *id, struct err *e);
void gather_job_ages(const struct gather *g, int64_t now, struct sample *ret);
/* Has the newest key of the key file a kit? Unknown when it cannot be read. */
void gather_kit(const struct gather *g, int64_t now, struct sample *ret);

/* Is this service running? 1, 0, or -1: no way to tell. */
int gather_service(const struct gather *g, const char *name);

#endif
