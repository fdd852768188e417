#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>
#include <unistd.h>

#include "base/io.h"
#include "base/units.h"
#include "health/gather.h"

#define TEXT_MAX (64 * 1024)

/* A file of /proc as text; false when it cannot be read. */
static bool slurp(const struct gather *g, const char *name, char out[TEXT_MAX])
{
	char path[PATH_MAX];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", g->proc, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = io_read_full(fd, out, TEXT_MAX - 1);
	close(fd);
	out[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* ---- processors: proc(5), /proc/stat ---- */

static void cpu(const struct gather *g, char *text, struct sample *ret)
{
	unsigned long long v[8] = {0}, all = 0;
	int i;

	if (!slurp(g, "stat", text) ||
	    sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0],
		   &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7]) < 4)
		return;
	for (i = 0; i < 8; i++)
		all += v[i];
	ret->values[METRIC_RAW_CPU_ALL] = (int64_t)all;
	/* idle and iowait are not busy */
	ret->values[METRIC_RAW_CPU_BUSY] = (int64_t)(all - v[3] - v[4]);
}

static void memory(const struct gather *g, char *text, struct sample *ret)
{
	const char *all, *left;
	unsigned long long total, available;

	if (!slurp(g, "meminfo", text))
		return;
	all = strstr(text, "MemTotal:");
	left = strstr(text, "MemAvailable:");
	if (all == NULL || left == NULL ||
	    sscanf(all, "MemTotal: %llu", &total) != 1 ||
	    sscanf(left, "MemAvailable: %llu", &available) != 1 || total == 0 ||
	    available > total)
		return;
	ret->values[METRIC_MEMORY] =
	    (int64_t)((total - available) * 100 / total);
}

/* "some avg10=0.00 avg60=1.23 ...": the figure of a minute. */
static void pressure(const struct gather *g, char *text, const char *name,
		     enum metric m, struct sample *ret)
{
	const char *at;
	double value;

	if (!slurp(g, name, text))
		return;
	at = strstr(text, "avg60=");
	if (at != NULL && sscanf(at, "avg60=%lf", &value) == 1)
		ret->values[m] = (int64_t)(value + 0.5);
}

void gather_host(const struct gather *g, struct sample *ret)
{
	struct timex tx = {0};
	char *text = malloc(TEXT_MAX);
	int state;

	if (text == NULL)
		return;
	cpu(g, text, ret);
	memory(g, text, ret);
	pressure(g, text, "pressure/cpu", METRIC_PRESSURE_CPU, ret);
	pressure(g, text, "pressure/memory", METRIC_PRESSURE_MEMORY, ret);
	pressure(g, text, "pressure/io", METRIC_PRESSURE_IO, ret);
	free(text);
	state = adjtimex(&tx);
	if (state >= 0)
		ret->values[METRIC_CLOCK_UNSYNCED] =
		    state == TIME_ERROR || (tx.status & STA_UNSYNC) != 0;
}

/* ---- rates ---- */

/* What a counter has grown since; false when it is not known. */
static bool grown(const struct sample *a, const struct sample *b, enum metric m,
		  int64_t *ret)
{
	if (a->values[m] == METRIC_UNKNOWN || b->values[m] == METRIC_UNKNOWN ||
	    b->values[m] < a->values[m])
		return false;
	*ret = b->values[m] - a->values[m];
	return true;
}

static void rate(const struct sample *a, struct sample *b, enum metric raw,
		 enum metric to)
{
	int64_t n;

	if (grown(a, b, raw, &n))
		b->values[to] = n / (b->time - a->time);
}

static void rates(const struct sample *a, struct sample *b)
{
	int64_t seconds = b->time - a->time, n, all;

	if (seconds <= 0 || seconds > GATHER_GAP_S)
		return;
	rate(a, b, METRIC_RAW_ACCEPTED, METRIC_INGEST_RATE);
	rate(a, b, METRIC_RAW_STORED, METRIC_STORE_RATE);
	rate(a, b, METRIC_RAW_READ, METRIC_STORAGE_READ);
	rate(a, b, METRIC_RAW_WRITTEN, METRIC_STORAGE_WRITE);
	/* Down is filling, up is emptying. */
	if (a->values[METRIC_RAW_FREE] != METRIC_UNKNOWN &&
	    b->values[METRIC_RAW_FREE] != METRIC_UNKNOWN)
		b->values[METRIC_CACHE_FILL] =
		    (a->values[METRIC_RAW_FREE] - b->values[METRIC_RAW_FREE]) /
		    seconds;
	if (grown(a, b, METRIC_RAW_CPU_BUSY, &n) &&
	    grown(a, b, METRIC_RAW_CPU_ALL, &all) && all > 0)
		b->values[METRIC_CPU] = n * 100 / all;
	if (grown(a, b, METRIC_RAW_BUSY_MS, &n)) {
		n /= seconds * 10;
		b->values[METRIC_STORAGE_BUSY] = n > 100 ? 100 : n;
	}
	if (grown(a, b, METRIC_RAW_REQUEST_MS, &n) &&
	    grown(a, b, METRIC_RAW_REQUESTS, &all) && all > 0)
		b->values[METRIC_STORAGE_LATENCY] = n * 1000 / all;
}

int gather_sample(const struct gather *g, const struct sample *before,
		  struct disks *disks, int64_t now, struct sample *ret,
		  struct err *e)
{
	int rc = 0;

	sample_clear(ret);
	ret->time = now;
	gather_host(g, ret);
	gather_services(g, now, ret);
	gather_job_ages(g, now, ret);
	gather_kit(g, now, ret);
	if (g->cache != NULL)
		rc = gather_cache(g, disks, now, ret, e);
	if (before != NULL)
		rates(before, ret);
	return rc;
}
