/* Scheduled jobs whose last run did not end well. */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "health/check.h"
#include "health/gather.h"

static int add_one(struct health *h, int job, const char *why, int64_t since,
		   struct err *e)
{
	struct alert *a = health_add(h, "job-failed", LEVEL_WARNING, since);

	if (a == NULL)
		return err_sys(e, PS_TEMPFAIL, "health");
	snprintf(a->key, sizeof(a->key), "job-failed:%s", gather_job_name(job));
	snprintf(a->what, sizeof(a->what), "the job '%s' fails",
		 gather_job_name(job));
	snprintf(a->evidence, sizeof(a->evidence), "%s: %s",
		 "how it ended when it failed first", why);
	a->next = "read its log (journalctl -u, or ps-service status), mend "
		  "that, and run it: ps-service run";
	return 0;
}

int check_jobs(struct health *h, int dirfd, struct err *e)
{
	int rc = 0, job;

	for (job = 0; rc == 0 && job < GATHER_JOBS; job++) {
		char why[GATHER_WHY];
		int64_t since = gather_failed(dirfd, job, why);

		if (since != 0)
			rc = add_one(h, job, why, since, e);
	}
	health_settle(h);
	return rc;
}
