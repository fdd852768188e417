/* When the scheduled jobs were last done. */
#include "config.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "health/gather.h"

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
