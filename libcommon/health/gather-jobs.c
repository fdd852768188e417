/* When the scheduled jobs were last done. */
#include "config.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/durable.h"
#include "base/units.h"
#include "health/gather.h"
#include "segment/keyring.h"

#define ID_TEXT (2 * SEG_KEY_ID_LEN + 1)

const char *const gather_jobs[GATHER_JOBS] = {"prune", "verify", "drill",
					      "key-kit"};

int gather_job(const char *name)
{
	int i;

	for (i = 0; i < GATHER_JOBS; i++)
		if (strcmp(gather_jobs[i], name) == 0)
			return i;
	return -1;
}

int gather_stamp(int dirfd, int job, struct err *e)
{
	char name[32];
	int fd, rc;

	snprintf(name, sizeof(name), "job.%s", gather_jobs[job]);
	fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
		    0644);
	if (fd < 0)
		return err_sys(e, 0, "%s", name);
	rc = futimens(fd, NULL) < 0 ? err_sys(e, 0, "%s", name) : 0;
	close(fd);
	return rc;
}

void gather_job_ages(const struct gather *g, int64_t now, struct sample *ret)
{
	char path[PATH_MAX];
	struct stat st;
	int i;

	for (i = 0; i < GATHER_JOBS; i++) {
		snprintf(path, sizeof(path), "%s/job.%s", g->state,
			 gather_jobs[i]);
		if (stat(path, &st) == 0)
			ret->values[METRIC_JOB_PRUNE + i] =
			    now > st.st_mtime ? now - st.st_mtime : 0;
	}
}

int gather_stamp_kit(int dirfd, const char *id, struct err *e)
{
	char line[ID_TEXT + 1];
	int n = snprintf(line, sizeof(line), "%s\n", id);

	return durable_write(dirfd, "job.key-kit", line, (size_t)n, 0644,
			     DURABLE_REPLACE, e);
}

/* The id of the key that the last kit was stamped with; empty: none. */
static void kit_id(const char *state, char out[ID_TEXT])
{
	char path[PATH_MAX];
	FILE *f;

	out[0] = '\0';
	snprintf(path, sizeof(path), "%s/job.key-kit", state);
	f = fopen(path, "re");
	if (f == NULL)
		return;
	if (fgets(out, ID_TEXT, f) == NULL)
		out[0] = '\0';
	fclose(f);
}

void gather_kit(const struct gather *g, int64_t now, struct sample *ret)
{
	char have[ID_TEXT], want[ID_TEXT];
	const struct key *newest;
	struct keyring *keys;
	int64_t age;

	if (g->key == NULL || keyring_load(&keys, g->key, NULL) < 0)
		return;
	newest = &keys->keys[keys->n - 1];
	age = now - newest->created_ns / NS_PER_S;
	hex_encode(newest->id, SEG_KEY_ID_LEN, want);
	kit_id(g->state, have);
	if (newest->machine[0] == '\0')
		ret->values[METRIC_KEY_NO_KIT] = strcmp(have, want) == 0 ? 0
						 : age > 0		 ? age
									 : 1;
	keyring_free(keys);
}
