/* ps-config jobs: list, show, progress, done, failed, cancel. */
#include "config.h"

#include <stdio.h>

#include "config/job-kinds.h"
#include "ps-config.h"

static int give(void *ctx, const struct reg_job *j, struct err *e)
{
	struct listing *l = ctx;
	char when[40];

	if (!listing_line(l, "   JOB  KIND      OBJECT            STATE"
			     "      STEPS  MADE                  RESULT"))
		return listing_add(l, form_job(j, json_integer(j->steps)), e);
	when_text(j->made, when);
	printf("%6lld  %-8s  %-16s  %-9s  %2lld/%-2lld  %-20s  %s\n",
	       (long long)j->id, j->kind, j->object, j->state,
	       (long long)j->steps_done, (long long)j->steps, when,
	       dash(j->result));
	return 0;
}

static int cmd_list(struct reg *r, char **operands, struct err *e)
{
	struct listing l;

	(void)operands;
	listing_begin(&l);
	return listing_end(
	    &l, job_each(r, ask.open_only, ask.last, give, &l, e), e);
}

static int step_json(void *ctx, const struct reg_step *s, struct err *e)
{
	if (json_array_append_new(
		ctx,
		json_pack("{s:I, s:s, s:s, s:I, s:o, s:o, s:o}", "n",
			  (json_int_t)s->n, "what", s->what, "state", s->state,
			  "percent", (json_int_t)s->percent, "begun",
			  json_when(s->begun), "ended", json_when(s->ended),
			  "note", json_word(s->note))) < 0)
		return err_set(e, PS_TEMPFAIL, "no memory for the answer");
	return 0;
}

static int print_step(void *ctx, const struct reg_step *s, struct err *e)
{
	(void)ctx;
	(void)e;
	printf("step %lld    %3lld %%  %-8s  %s%s%s\n", (long long)s->n,
	       (long long)s->percent, s->state, s->what,
	       s->note[0] != '\0' ? ": " : "", s->note);
	return 0;
}

static int show_json(struct reg *r, const struct reg_job *j, struct err *e)
{
	json_t *steps = json_array();
	int rc = job_each_step(r, j->id, step_json, steps, e);

	if (rc == 0)
		return print_json(form_job(j, steps), e);
	json_decref(steps);
	return rc;
}

static int cmd_show(struct reg *r, char **operands, struct err *e)
{
	struct reg_job j;
	char made[40], ended[40];
	int rc = job_get(r, operand_id(operands[0]), &j, e);

	if (rc < 0)
		return rc;
	if (ask.json)
		return show_json(r, &j, e);
	when_text(j.made, made);
	when_text(j.ended, ended);
	printf("job       %lld, %s %s, by %s\nstate     %s\nmade      %s\n"
	       "ended     %s\nresult    %s\n",
	       (long long)j.id, j.kind, j.object, j.who, j.state, made, ended,
	       dash(j.result));
	return job_each_step(r, j.id, print_step, NULL, e);
}

static int cmd_progress(struct reg *r, char **operands, struct err *e)
{
	int64_t job = operand_id(operands[0]);
	int rc;

	if (ask.step == 0 || ask.percent == NOT_GIVEN)
		opt_misuse("jobs progress needs --step and --percent");
	rc = job_check_outside(r, job, e);
	return rc < 0 ? rc
		      : job_progress(r, job, (int64_t)ask.step,
				     (int64_t)ask.percent, ask.note, e);
}

static int end(struct reg *r, const char *operand, const char *state,
	       struct err *e)
{
	int64_t job = operand_id(operand);
	int rc = job_check_outside(r, job, e);

	return rc < 0 ? rc : job_end(r, job, state, ask.note, e);
}

static int cmd_done(struct reg *r, char **operands, struct err *e)
{
	return end(r, operands[0], "done", e);
}

static int cmd_failed(struct reg *r, char **operands, struct err *e)
{
	return end(r, operands[0], "failed", e);
}

static int cmd_cancel(struct reg *r, char **operands, struct err *e)
{
	char words[JOB_WORDS_SIZE];
	int rc = job_cancel(r, operand_id(operands[0]), ask.note, words, e);

	if (rc == 0 && ask.json)
		return print_json(json_pack("{s:I, s:o}", "job",
					    (json_int_t)operand_id(operands[0]),
					    "words", json_word(words)),
				  e);
	if (rc == 0 && words[0] != '\0')
		puts(words);
	return rc;
}

const struct action jobs_actions[] = {
    {"list", 0, "", cmd_list},
    {"show", 1, " JOB", cmd_show},
    {"progress", 1, " JOB --step N --percent N", cmd_progress},
    {"done", 1, " JOB [--note TEXT]", cmd_done},
    {"failed", 1, " JOB [--note TEXT]", cmd_failed},
    {"cancel", 1, " JOB [--note TEXT]", cmd_cancel},
    {0},
};
