#include "config.h"

#include "health/metric.h"

static const struct {
	const char *name, *help;
} about[METRICS_SHOWN] = {
    [METRIC_CPU] = {"cpu_percent", "Processors in use, percent of all"},
    [METRIC_MEMORY] = {"memory_percent", "Memory that is not available"},
    [METRIC_CACHE_FREE] = {"cache_free_percent", "Free share of the cache"},
    [METRIC_CACHE_BYTES] = {"cache_size_bytes", "Size of the cache's volume"},
    [METRIC_PENDING_BYTES] = {"pending_bytes",
			      "Bytes in the cache that are not stored yet"},
    [METRIC_PENDING_SEGMENTS] = {"pending_segments",
				 "Segments in the cache that are not stored"},
    [METRIC_PENDING_AGE] = {"pending_age_seconds",
			    "Age of the oldest segment that is not stored"},
    [METRIC_DISKS] = {"disks", "Disks that this server knows"},
    [METRIC_HELD] = {"disks_held", "Disks on hold"},
    [METRIC_UNSEATED] = {"disks_unseated", "Disks that wait to be seated"},
    [METRIC_CACHE_FILL] = {"cache_fill_bytes_per_second",
			   "Free room of the cache that was lost"},
    [METRIC_QUEUE_COMPRESS] = {"queue_compress_percent",
			       "Fill of the pipe before ps-compress"},
    [METRIC_QUEUE_ENCRYPT] = {"queue_encrypt_percent",
			      "Fill of the pipe before ps-encrypt"},
    [METRIC_QUEUE_UPLOAD] = {"queue_upload_percent",
			     "Fill of the pipe before ps-upload"},
    [METRIC_QUEUE_ACK] = {"queue_ack_percent",
			  "Fill of the pipe before ps-cache ack"},
    [METRIC_INGEST_RATE] = {"ingest_bytes_per_second",
			    "Accepted from the sources"},
    [METRIC_STORE_RATE] = {"store_bytes_per_second", "Stored in the vault"},
    [METRIC_STORAGE_BUSY] = {"storage_busy_percent",
			     "Time that the cache's device was busy"},
    [METRIC_STORAGE_READ] = {"storage_read_bytes_per_second",
			     "Read from the cache's device"},
    [METRIC_STORAGE_WRITE] = {"storage_write_bytes_per_second",
			      "Written to the cache's device"},
    [METRIC_STORAGE_LATENCY] = {"storage_latency_microseconds",
				"Mean time of a request to the cache's "
				"device"},
    [METRIC_PRESSURE_CPU] = {"pressure_cpu_percent",
			     "Time that some task waited for a processor"},
    [METRIC_PRESSURE_MEMORY] = {"pressure_memory_percent",
				"Time that some task waited for memory"},
    [METRIC_PRESSURE_IO] = {"pressure_io_percent",
			    "Time that some task waited for storage"},
    [METRIC_SERVICES_DOWN] = {"services_down",
			      "Services that should run and do not"},
    [METRIC_SERVICES_UNBOOT] = {"services_not_at_boot",
				"Services that should start at boot and do "
				"not"},
    [METRIC_CERT_DAYS] = {"certificate_days",
			  "Days until the server's certificate expires"},
    [METRIC_CLOCK_UNSYNCED] = {"clock_unsynced",
			       "1 when nothing disciplines the clock"},
    [METRIC_CLOCK_OFFSET] = {"clock_offset_seconds",
			     "Between our clock and the store's"},
    [METRIC_HEARTBEAT_AGE] = {"heartbeat_age_seconds",
			      "Since the last heartbeat that was answered"},
    [METRIC_CACHE_FAILED] = {"cache_failed",
			     "1 when stable storage has failed"},
    [METRIC_JOB_PRUNE] = {"job_prune_age_seconds",
			  "Since the vault was pruned with success"},
    [METRIC_JOB_VERIFY] = {"job_verify_age_seconds",
			   "Since the vault was verified with success"},
    [METRIC_JOB_DRILL] = {"job_drill_age_seconds",
			  "Since a restore was tried with success"},
    [METRIC_JOB_KEY_KIT] = {"job_key_kit_age_seconds",
			    "Since the key kit was made or checked"},
    [METRIC_JOB_RENEW] = {"job_renew_age_seconds",
			  "Since renewed certificates were looked for"},
    [METRIC_KEY_NO_KIT] = {"key_without_kit_seconds",
			   "Age of the newest key when no kit has it"},
    [METRIC_SINGLE_WRITER] = {"vaults_single_writer",
			      "Vaults whose store refuses no second create"},
};

const char *metric_name(enum metric m)
{
	return about[m].name;
}

const char *metric_help(enum metric m)
{
	return about[m].help;
}

void sample_clear(struct sample *s)
{
	int i;

	s->time = 0;
	for (i = 0; i < METRICS; i++)
		s->values[i] = METRIC_UNKNOWN;
}
