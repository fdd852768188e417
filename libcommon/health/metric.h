/*
 * What a sample of a process server's health consists of: one signed number
 * for each metric, METRIC_UNKNOWN where it could not be had. All numbers are
 * in base units (bytes, seconds, percent), so that every view prints the
 * same.
 */
#ifndef PS_HEALTH_METRIC_H
#define PS_HEALTH_METRIC_H

#include <stdint.h>

#define METRIC_UNKNOWN INT64_MIN

/* The file's head has their number: another one begins a new file. */
enum metric {
	METRIC_CPU,	      /* percent of all processors, since the last */
	METRIC_MEMORY,	      /* percent that is not available */
	METRIC_CACHE_FREE,    /* percent */
	METRIC_CACHE_BYTES,   /* size of the cache's file system */
	METRIC_PENDING_BYTES, /* in the cache, not yet in the vault */
	METRIC_PENDING_SEGMENTS,
	METRIC_PENDING_AGE, /* seconds, of the oldest; 0: nothing pending */
	METRIC_DISKS,
	METRIC_HELD,
	METRIC_UNSEATED,
	METRIC_CACHE_FILL, /* bytes per second that its free room shrinks by */
	/* Percent of the pipe before a stage, of the fullest chain. */
	METRIC_QUEUE_COMPRESS,
	METRIC_QUEUE_ENCRYPT,
	METRIC_QUEUE_UPLOAD,
	METRIC_QUEUE_ACK,
	METRIC_INGEST_RATE, /* bytes per second, since the last sample */
	METRIC_STORE_RATE,
	METRIC_STORAGE_BUSY,	/* percent of the time, the cache's device */
	METRIC_STORAGE_READ,	/* bytes per second */
	METRIC_STORAGE_WRITE,	/* bytes per second */
	METRIC_STORAGE_LATENCY, /* microseconds for each request */
	METRIC_PRESSURE_CPU,	/* percent of the last minute (PSI, some) */
	METRIC_PRESSURE_MEMORY,
	METRIC_PRESSURE_IO,
	METRIC_SERVICES_DOWN,	/* number of those that should run */
	METRIC_SERVICES_UNBOOT, /* that do not start at boot */
	METRIC_CERT_DAYS,	/* until the server's certificate expires */
	METRIC_CLOCK_UNSYNCED,	/* 1: the kernel's clock is not disciplined */
	METRIC_CLOCK_OFFSET,	/* seconds, without sign, from a store's */
	METRIC_HEARTBEAT_AGE,	/* seconds */
	METRIC_CACHE_FAILED,	/* 1: stable storage has failed */
	/* Seconds since the last success of a job, see gather.h. */
	METRIC_JOB_PRUNE,
	METRIC_JOB_VERIFY,
	METRIC_JOB_DRILL,
	METRIC_JOB_KEY_KIT,
	METRIC_JOB_RENEW,
	METRIC_KEY_NO_KIT, /* seconds of the newest key without one; 0: has */
	METRIC_SINGLE_WRITER, /* vaults that refuse no second create */
	/* Counters that only grow, from which the next sample makes rates. */
	METRIC_RAW_CPU_BUSY,
	METRIC_RAW_CPU_ALL,
	METRIC_RAW_ACCEPTED,
	METRIC_RAW_STORED,
	METRIC_RAW_READ,
	METRIC_RAW_WRITTEN,
	METRIC_RAW_REQUESTS,
	METRIC_RAW_REQUEST_MS,
	METRIC_RAW_BUSY_MS,
	METRIC_RAW_FREE, /* bytes; it may shrink, too */
	METRIC_RAW_DOWN, /* services that do not run: bits of enum service */
	METRICS
};

/* Those from here on are no figures for people. */
#define METRICS_SHOWN METRIC_RAW_CPU_BUSY

struct sample {
	int64_t time; /* seconds since 1970 */
	int64_t values[METRICS];
};

/* Name in JSON; and with "ps_" before it in Prometheus. */
const char *metric_name(enum metric m);
/* One line for the HELP of Prometheus. */
const char *metric_help(enum metric m);

/* All unknown. */
void sample_clear(struct sample *s);

#endif
