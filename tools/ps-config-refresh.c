/* ps-config refresh: asks servers to say now how they are; a job. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "config/contacts.h"
#include "config/job-kinds.h"
#include "ps-config-wait.h"
#include "ps-config.h"

#define ALL_SERVERS "*" /* the object of such a job: no server's name */

#define STEP_ASKED 1
#define STEP_HEARD 2

struct waiting {
	int64_t since; /* ns */
	const char *name;
	unsigned all, silent; /* that were not heard since */
	char who[512];	      /* is silent */
	json_t *list;	      /* NULL: for people */
	bool print;
};

static void add_silent(struct waiting *w, const char *name)
{
	size_t n = strlen(w->who);

	if (n + strlen(name) + 2 < sizeof(w->who))
		snprintf(w->who + n, sizeof(w->who) - n, " %s", name);
	w->silent++;
}

static int see(void *ctx, const struct reg_server *s, struct err *e)
{
	struct waiting *w = ctx;
	bool heard = s->contact >= w->since;

	(void)e;
	if (w->name != NULL && strcmp(w->name, s->name) != 0)
		return 0;
	w->all++;
	if (!heard)
		add_silent(w, s->name);
	if (w->print && w->list != NULL)
		json_array_append_new(
		    w->list,
		    json_pack("{s:s, s:b}", "name", s->name, "heard", heard));
	else if (w->print)
		printf("%s\t%s\n", s->name, heard ? "heard" : "silent");
	return 0;
}

static int look(struct reg *r, struct waiting *w, struct err *e)
{
	w->all = w->silent = 0;
	w->who[0] = '\0';
	return server_each(r, see, w, e);
}

/* A new job, or the open one of who was cut off, which is gone on with. */
static int begin(struct reg *r, const struct waiting *w, int64_t *ret_job,
		 struct err *e)
{
	static const char *const steps[] = {"the servers are asked",
					    "they are heard", NULL};
	const char *object = w->name != NULL ? w->name : ALL_SERVERS;
	struct reg_server s;
	int rc = w->name != NULL ? server_get(r, w->name, &s, e) : 0;

	if (rc == 0)
		rc = job_open(r, JOB_REFRESH, object, ret_job, e);
	if (rc == 0 && *ret_job == 0)
		rc = job_add(r, JOB_REFRESH, object, steps, ret_job, e);
	if (rc == 0)
		rc = contact_want(r, w->name, e);
	return rc < 0 ? rc
		      : job_progress(r, *ret_job, STEP_ASKED, 100, NULL, e);
}

/* Says how far it is, when that is new. */
static int say(struct reg *r, const struct waiting *w, int64_t job,
	       unsigned *said, struct err *e)
{
	unsigned heard = w->all - w->silent;
	char note[600];

	if (*said == heard)
		return 0;
	*said = heard;
	snprintf(note, sizeof(note), "%u of %u%s%s", heard, w->all,
		 w->silent > 0 ? "; not yet:" : "", w->who);
	return job_progress(r, job, STEP_HEARD,
			    w->all > 0 ? 100 * heard / w->all : 100, note, e);
}

static int wait_all(struct reg *r, struct waiting *w, int64_t job,
		    struct err *e)
{
	int64_t end = mono_now_ns() + WAIT_HEARD_S * NS_PER_S;
	unsigned said = ~0u;
	int rc;

	for (;;) {
		rc = look(r, w, e);
		if (rc == 0)
			rc = say(r, w, job, &said, e);
		if (rc < 0 || w->silent == 0 || mono_now_ns() >= end)
			return rc;
		wait_a_bit();
	}
}

static int end_job(struct reg *r, const struct waiting *w, int64_t job,
		   struct err *e)
{
	char words[600];
	bool good = w->silent == 0;

	if (good)
		snprintf(words, sizeof(words), "%u heard", w->all);
	else
		snprintf(words, sizeof(words), "not heard within %d s:%s",
			 WAIT_HEARD_S, w->who);
	return job_end(r, job, good ? "done" : "failed", words, e);
}

static int cmd_refresh(struct reg *r, char **operands, struct err *e)
{
	struct waiting w = {.since = time_now_ns(), .name = operands[0]};
	int64_t job = 0;
	int rc = begin(r, &w, &job, e);

	if (rc == 0)
		rc = wait_all(r, &w, job, e);
	if (rc == 0)
		rc = end_job(r, &w, job, e);
	if (rc < 0)
		return rc;
	w.print = true;
	w.list = ask.json ? json_array() : NULL;
	rc = look(r, &w, e);
	if (ask.json && rc == 0)
		rc = print_json(json_pack("{s:I, s:o}", "job", (json_int_t)job,
					  "servers", w.list),
				e);
	if (rc == 0 && w.silent > 0)
		rc = err_set(e, PS_NO, "not heard within %d s:%s", WAIT_HEARD_S,
			     w.who);
	return rc;
}

const struct action refresh_actions[] = {
    {NULL, OPERAND_OPTIONAL, " [SERVER]", cmd_refresh}, {0}};
