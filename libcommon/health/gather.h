/*
 * Takes one sample: of the machine (/proc), of the cache, of the services.
 * What cannot be had is unknown, never zero.
 */
#ifndef PS_HEALTH_GATHER_H
#define PS_HEALTH_GATHER_H

#include "health/disks.h"
#include "health/metric.h"
#include "health/roles.h"

struct gather {
	const char *proc;   /* "/proc", or a copy of it for tests */
	const char *cache;  /* folder; NULL: there is none on this machine */
	const char *cert;   /* certificate of the server (PEM), or NULL */
	const char *listen; /* where ps-receive listens, or NULL */
	const char *state;  /* our own folder: heartbeat lies there */
	const char *key;    /* key file of the vault, or NULL */
	const char *config; /* ps.yaml of the services, or NULL */
	const char *agent;  /* agent.yaml, or NULL */
	const char *server; /* the configuration server; NULL: none */
	const char *units;  /* "/etc/systemd/system"; NULL: no systemd */
	unsigned services;  /* that should run: bits of enum service */
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
 * "key-kit", "renew". Each stamps its last success (the time of change of the
 * file job.NAME in the folder of state). One that never did is expected from
 * when it was first said to be (job.NAME.since), or not at all. The last
 * heartbeat that the configuration server answered is stamped as a job is.
 */
#define GATHER_JOBS 5
#define GATHER_HEARTBEAT GATHER_JOBS /* one more that can be stamped */
/* The index of a job, or GATHER_HEARTBEAT; -1: there is none of that name. */
int gather_job(const char *name);
/* Says from now on that it is expected, or not. */
int gather_expect(int dirfd, int job, bool expected, struct err *e);
/*
 * Those jobs that `names` has ("receive,verify"), and no others. The failure of
 * one that was among them and is no more is forgotten; that of one that never
 * was (somebody else runs and stamps it) stays.
 */
int gather_expect_jobs(int dirfd, const char *names, struct err *e);
/* Stamps it, now. */
int gather_stamp(int dirfd, int job, struct err *e);
/*
 * Notes that it did not end well: "exit-code", or another word of systemd's
 * SERVICE_RESULT. The first failure stands until the job is stamped.
 */
int gather_fail(int dirfd, int job, const char *why, struct err *e);
#define GATHER_WHY 32
/* Since when it fails, in s; 0: it does not. */
int64_t gather_failed(int dirfd, int job, char why[GATHER_WHY]);
const char *gather_job_name(int job);
/* Stamps "key-kit" with the id of the newest key that the kit has. */
int gather_stamp_kit(int dirfd, const char *id, struct err *e);
void gather_job_ages(const struct gather *g, int64_t now, struct sample *ret);
/* Seconds; METRIC_UNKNOWN: none is expected, or none yet. */
int64_t gather_heartbeat_age(const char *state, int64_t now);
/* Has the newest key of the key file a kit? Unknown when it cannot be read. */
void gather_kit(const struct gather *g, int64_t now, struct sample *ret);

/*
 * Is this service running? 1, 0, or -1: no way to tell. A pipeline whose chain
 * has ended and waits before its next try runs.
 */
int gather_service(const struct gather *g, enum service s);
/* Only: does somebody follow the cache now? */
int gather_followed(const struct gather *g);

#endif
