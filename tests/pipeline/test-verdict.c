/* Which stage was the cause, and what to do: the table of ps-pipeline(8). */
#include "config.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pipeline/verdict.h"

#define EXIT(code) ((code) << 8)
#define KILLED(sig) (sig)
#define TOLD 0x10000 /* we had asked it to end */

static const char *const names[PLAN_STAGES] = {
    "ps-cache", "ps-compress", "ps-encrypt", "ps-upload", "ps-cache"};

/* A chain of five that ended like this. */
static void ended(struct chain *c, int a, int b, int d, int f, int g)
{
	const int how[PLAN_STAGES] = {a, b, d, f, g};
	unsigned i;

	*c = (struct chain){.n = PLAN_STAGES};
	for (i = 0; i < PLAN_STAGES; i++)
		c->stages[i] =
		    (struct chain_stage){.name = names[i],
					 .ended = true,
					 .told = (how[i] & TOLD) != 0,
					 .status = how[i] & 0xffff};
}

static void check(const struct chain *c, enum verdict_kind kind, int code,
		  unsigned stage)
{
	struct verdict v;
	char words[200];

	verdict_of(c, &v);
	assert_int_equal(v.kind, kind);
	assert_int_equal(v.code, code);
	if (kind >= VERDICT_AGAIN) {
		assert_int_equal(v.stage, stage);
		verdict_words(c, &v, words, sizeof(words));
		assert_memory_equal(words, names[stage], strlen(names[stage]));
	}
}

static void all_well_is_done(void **state)
{
	struct chain c;

	(void)state;
	ended(&c, 0, 0, 0, 0, 0);
	check(&c, VERDICT_DONE, 0, 0);
}

static void a_held_disk_is_no_failure(void **state)
{
	struct chain c;

	(void)state;
	ended(&c, 0, 0, 0, 0, EXIT(1));
	check(&c, VERDICT_HELD, 1, 0);
	ended(&c, EXIT(1), 0, 0, 0, 0); /* but 1 of any other stage is */
	check(&c, VERDICT_FEW, 1, 0);
	/* Its reader was faster with its end. */
	ended(&c, EXIT(1) | TOLD, EXIT(65), 0, 0, 0);
	check(&c, VERDICT_FEW, 1, 0);
}

static void each_code_alone_has_its_kind(void **state)
{
	static const struct {
		int code;
		enum verdict_kind kind;
	} table[] = {
	    {64, VERDICT_STOP},	 {65, VERDICT_FEW},   {66, VERDICT_FEW},
	    {69, VERDICT_AGAIN}, {70, VERDICT_FEW},   {71, VERDICT_STOP},
	    {74, VERDICT_FEW},	 {75, VERDICT_AGAIN}, {76, VERDICT_FEW},
	    {77, VERDICT_STOP},	 {78, VERDICT_STOP},  {126, VERDICT_STOP},
	    {127, VERDICT_STOP}, {2, VERDICT_FEW}};
	struct chain c;
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(*table); i++) {
		ended(&c, 0, 0, 0, EXIT(table[i].code), 0);
		check(&c, table[i].kind, table[i].code, 3);
	}
}

static void a_killed_stage_is_the_cause_not_its_neighbours(void **state)
{
	struct chain c;

	(void)state;
	/* The one before lost its reader, the one after got cut input. */
	ended(&c, 0 | TOLD, EXIT(75), KILLED(SIGKILL), EXIT(65), 0);
	check(&c, VERDICT_AGAIN, 75, 2);
	ended(&c, KILLED(SIGKILL), EXIT(65), EXIT(65), EXIT(65), 0);
	check(&c, VERDICT_AGAIN, 75, 0);
	ended(&c, KILLED(SIGTERM) | TOLD, KILLED(SIGTERM) | TOLD, EXIT(75),
	      KILLED(SIGKILL), 0);
	check(&c, VERDICT_AGAIN, 75, 3);
}

static void a_crash_is_a_fault_that_hardly_passes(void **state)
{
	struct chain c;

	(void)state;
	ended(&c, 0 | TOLD, EXIT(75), KILLED(SIGSEGV), EXIT(65), 0);
	check(&c, VERDICT_FEW, 70, 2);
}

static void damaged_input_counts_only_where_it_is_first_seen(void **state)
{
	struct chain c;

	(void)state;
	/* follow ended well or was told to: nobody cut this stream. */
	ended(&c, 0, EXIT(65), EXIT(65), EXIT(65), 0);
	check(&c, VERDICT_FEW, 65, 1);
	ended(&c, 0 | TOLD, EXIT(65), EXIT(65), EXIT(65), 0);
	check(&c, VERDICT_FEW, 65, 1);
}

static void what_needs_somebody_wins_over_what_passes(void **state)
{
	struct chain c;

	(void)state;
	ended(&c, 0 | TOLD, EXIT(75), EXIT(77), EXIT(69), 0);
	check(&c, VERDICT_STOP, 77, 2);
	ended(&c, KILLED(SIGKILL), EXIT(65), EXIT(65), EXIT(71), 0);
	check(&c, VERDICT_STOP, 71, 3);
	/* It had failed by itself when its reader, done too, was seen first. */
	ended(&c, EXIT(77) | TOLD, EXIT(75), 0, 0, 0);
	check(&c, VERDICT_STOP, 77, 0);
	ended(&c, EXIT(74) | TOLD, EXIT(65), 0, 0, EXIT(75));
	check(&c, VERDICT_FEW, 74, 0);
	ended(&c, EXIT(66) | TOLD, 0, 0, 0, EXIT(75));
	check(&c, VERDICT_FEW, 66, 0);
	ended(&c, EXIT(65) | TOLD, EXIT(65), 0, 0, EXIT(75));
	check(&c, VERDICT_FEW, 65, 0);
	ended(&c, 0 | TOLD, EXIT(75), EXIT(75), EXIT(69), EXIT(74));
	check(&c, VERDICT_FEW, 74, 4);
}

static void a_reason_wins_over_a_lost_reader(void **state)
{
	struct chain c;

	(void)state;
	ended(&c, EXIT(75), EXIT(75), EXIT(75), EXIT(69), 0);
	check(&c, VERDICT_AGAIN, 69, 3);
}

/* ---- the plan as a command line ---- */

static void check_print(const struct plan_input *in, const struct plan_vault *v,
			const char *want)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	struct plan p;

	plan_chain(in, v, &p);
	plan_print(&p, f);
	fclose(f);
	assert_string_equal(text, want);
	free(text);
}

static void the_plan_is_printed_as_a_shell_reads_it(void **state)
{
	(void)state;
	check_print(&(struct plan_input){.cache = "/c",
					 .key = "k",
					 .codec = "deflate",
					 .level = 6,
					 .once = true,
					 .config = "p.yaml"},
		    &(struct plan_vault){.name = "default", .url = "file:///v"},
		    "ps-cache follow -C /c --config p.yaml --once | "
		    "ps-compress --codec deflate --config p.yaml --level 6 | "
		    "ps-encrypt -k k --config p.yaml | "
		    "ps-upload file:///v --config p.yaml "
		    "--report /c/.upload | "
		    "ps-cache ack -C /c --config p.yaml");
	check_print(&(struct plan_input){.cache = "a b", .codec = "none"},
		    &(struct plan_vault){.name = "default",
					 .url = "it's; rm -rf ~\n$x"},
		    "ps-cache follow -C 'a b' | "
		    "ps-upload 'it'\\''s; rm -rf ~\n$x' "
		    "--report 'a b/.upload' | "
		    "ps-cache ack -C 'a b'");
	check_print(&(struct plan_input){.cache = "c", .codec = "none"},
		    &(struct plan_vault){.name = "far",
					 .url = "s3://b",
					 .credentials = "keys",
					 .jobs = "8",
					 .listed = true},
		    "ps-cache follow -C c --for far | "
		    "ps-upload s3://b --report c/.upload.far "
		    "--credentials keys --jobs 8 --for far | "
		    "ps-cache ack -C c --for far");
}

static void unread_stages_are_those_before_the_last_that_ended(void **state)
{
	struct chain c;

	(void)state;
	ended(&c, 0, 0, 0, 0, 0);
	c.stages[0].ended = c.stages[1].ended = c.stages[2].ended = false;
	c.stages[4].ended = false;
	assert_int_equal(chain_unread(&c), 3);
	c.stages[3].ended = false;
	assert_int_equal(chain_unread(&c), 0);
	c.stages[0].ended = true;
	assert_int_equal(chain_unread(&c), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_well_is_done),
	    cmocka_unit_test(a_held_disk_is_no_failure),
	    cmocka_unit_test(each_code_alone_has_its_kind),
	    cmocka_unit_test(a_killed_stage_is_the_cause_not_its_neighbours),
	    cmocka_unit_test(a_crash_is_a_fault_that_hardly_passes),
	    cmocka_unit_test(damaged_input_counts_only_where_it_is_first_seen),
	    cmocka_unit_test(what_needs_somebody_wins_over_what_passes),
	    cmocka_unit_test(a_reason_wins_over_a_lost_reader),
	    cmocka_unit_test(the_plan_is_printed_as_a_shell_reads_it),
	    cmocka_unit_test(
		unread_stages_are_those_before_the_last_that_ended),
	};

	return cmocka_run_group_tests_name("verdict", tests, NULL, NULL);
}
