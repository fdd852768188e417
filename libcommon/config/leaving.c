#include "config.h"

#include <stdio.h>

#include "config/contacts.h"
#include "config/leaving.h"

struct leaving {
	const char *server, *why, *end, *note;
	int64_t job, machines;
};

static int begin(struct reg *r, void *ctx, struct err *e)
{
	static const char *const steps[] = {"both sides reach each other",
					    "it is asked to leave",
					    "it has left", NULL};
	struct leaving *l = ctx;
	struct reg_server s;
	int rc = server_get(r, l->server, &s, e);

	l->job = 0;
	if (rc == 0)
		rc = job_open(r, JOB_LEAVE, l->server, &l->job, e);
	if (rc == 0 && l->job == 0)
		rc = job_add_here(r, JOB_LEAVE, l->server, steps, &l->job, e);
	return rc;
}

int leave_begin(struct reg *r, const char *server, int64_t *ret_job,
		struct err *e)
{
	struct leaving l = {.server = server};
	int rc = reg_change(r, begin, &l, e);

	if (rc == 0)
		*ret_job = l.job;
	return rc;
}

static int ask(struct reg *r, void *ctx, struct err *e)
{
	const struct leaving *l = ctx;
	int rc = job_progress_here(r, l->job, LEAVE_REACHED, 100, NULL, e);

	if (rc == 0)
		rc = contact_leave_here(r, l->server, true, e);
	return rc < 0 ? rc
		      : job_progress_here(r, l->job, LEAVE_ASKED, 100, NULL, e);
}

int leave_ask(struct reg *r, const char *server, int64_t job, struct err *e)
{
	struct leaving l = {.server = server, .job = job};

	return reg_change(r, ask, &l, e);
}

static int take(struct reg *r, void *ctx, struct err *e)
{
	struct leaving *l = ctx;
	char words[64];
	int rc = server_delete_here(r, l->server, &l->machines, e);

	l->job = 0;
	if (rc == 0)
		rc = job_open(r, JOB_LEAVE, l->server, &l->job, e);
	if (rc < 0 || l->job == 0)
		return rc;
	snprintf(words, sizeof(words), "%lld machines lost it",
		 (long long)l->machines);
	rc = job_progress_here(r, l->job, LEAVE_GONE, 100, NULL, e);
	return rc < 0 ? rc : job_end_here(r, l->job, "done", words, e);
}

int leave_take(struct reg *r, const char *server, int64_t *ret_machines,
	       struct err *e)
{
	struct leaving l = {.server = server};
	int rc = reg_change(r, take, &l, e);

	if (rc == 0)
		*ret_machines = l.machines;
	return rc;
}

static int stay(struct reg *r, void *ctx, struct err *e)
{
	const struct leaving *l = ctx;
	struct contact_wish wish;
	struct reg_job j;
	int rc = job_get(r, l->job, &j, e);

	if (rc == 0)
		rc = job_note_here(r, l->job, l->note, e);
	if (rc == 0)
		rc = job_end_here(r, l->job, l->end, l->why, e);
	if (rc == 0)
		rc = contact_wish(r, j.object, &wish, e);
	return rc < 0 || !wish.leave
		   ? rc
		   : contact_leave_here(r, j.object, false, e);
}

int leave_fail(struct reg *r, const char *server, int64_t job, const char *why,
	       struct err *e)
{
	struct leaving l = {
	    .server = server, .why = why, .end = "failed", .job = job};

	return reg_change(r, stay, &l, e);
}

int leave_cancel(struct reg *r, int64_t job, const char *note,
		 char words[JOB_WORDS_SIZE], struct err *e)
{
	struct leaving l = {
	    .why = "it stays", .end = "cancelled", .note = note, .job = job};

	snprintf(words, JOB_WORDS_SIZE, "the server stays");
	return reg_change(r, stay, &l, e);
}
