/*
 * The cause that ps-health why names, from made-up chains: each stage, each
 * trouble of a store, idle chains, and the order in which they are told.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "health/why.h"

#define SILENT_S 900
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct why_disk disk;

/* A server with one disk that waits for ten minutes, and a chain of five. */
static void waiting(struct why *w)
{
	static const char *const names[] = {
	    "ps-cache", "ps-compress", "ps-encrypt", "ps-upload", "ps-cache"};
	struct why_follower *f = &w->followers[0];
	unsigned i;

	disk = (struct why_disk){.machine = "m",
				 .disk = "d",
				 .seated = true,
				 .accepted = 9,
				 .stored = 3,
				 .backlog = 600000,
				 .lag = 600};
	*w = (struct why){.now = 1800000000,
			  .disks = &disk,
			  .n = 1,
			  .nfollowers = 1,
			  .intake = 500,
			  .drain = 1000,
			  .receiver = 1,
			  .free_percent = 50,
			  .keep_free = 20,
			  .cache_bytes = 1000000,
			  .cert_days = 100};
	*f = (struct why_follower){.supervised = true,
				   .running = true,
				   .uploading = true,
				   .n = COUNT(names)};
	for (i = 0; i < f->n; i++) {
		snprintf(f->stages[i].name, sizeof(f->stages[i].name), "%s",
			 names[i]);
		f->stages[i].samples = 100;
	}
}

static void each_stage_has_its_cause(void **state)
{
	static const struct {
		unsigned stage;
		double share;
		unsigned samples;
		const char *upload;
		enum why_cause cause;
	} rows[] = {
	    {0, 0.9, 100, "", WHY_CACHE_DISK},
	    {1, 0.9, 100, "", WHY_COMPRESS},
	    {2, 0.9, 100, "", WHY_ENCRYPT},
	    {3, 0.9, 100, "", WHY_STORE_LATENCY},
	    {3, 0.9, 100, "rate-limit", WHY_RATE_LIMIT},
	    {4, 0.9, 100, "", WHY_CACHE_DISK},
	    {1, 0.3, 8, "", WHY_COMPRESS},
	    {1, 0.29, 100, "", WHY_NOTHING}, /* too few agree */
	    {1, 0.9, 7, "", WHY_NOTHING},    /* too few samples */
	    {0, 0.9, 100, "store-slow", WHY_STORE_LATENCY},
	    {0, 0.9, 100, "rate-limit", WHY_RATE_LIMIT},
	};
	struct why w;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		waiting(&w);
		w.followers[0].stages[rows[i].stage].limits = rows[i].share;
		w.followers[0].stages[rows[i].stage].samples = rows[i].samples;
		snprintf(w.followers[0].cause, sizeof(w.followers[0].cause),
			 "%s", rows[i].upload);
		why_judge(&w, SILENT_S);
		if (w.cause != rows[i].cause ||
		    w.behind != (rows[i].cause != WHY_NOTHING))
			fail_msg("row %zu: %s", i, why_word(w.cause));
		assert_int_equal(disk.cause, rows[i].cause);
	}
}

static void a_failing_store_is_told_before_all_stages(void **state)
{
	static const struct {
		const char *cause, *error;
		enum why_cause want;
	} rows[] = {
	    {"proxy", "cannot reach the proxy", WHY_PROXY},
	    {"store-unreachable", "cannot reach", WHY_STORE_UNREACHABLE},
	    {"denied", "403 AccessDenied", WHY_DENIED},
	    {"denied", "403 RequestTimeTooSkewed", WHY_CLOCK},
	    {"store-errors", "503", WHY_STORE_ERRORS},
	};
	struct why w;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		struct why_follower *f = &w.followers[0];

		waiting(&w);
		f->stages[1].limits = 1;
		snprintf(f->cause, sizeof(f->cause), "%s", rows[i].cause);
		snprintf(f->error, sizeof(f->error), "%s", rows[i].error);
		why_judge(&w, SILENT_S);
		assert_int_equal(w.cause, rows[i].want);
		assert_string_equal(w.evidence, rows[i].error);
		/* One that stopped long ago says what it stopped for. */
		f->uploading = f->supervised = false;
		snprintf(f->state, sizeof(f->state), "failed");
		w.cause = WHY_NOTHING;
		why_judge(&w, SILENT_S);
		assert_int_equal(w.cause, rows[i].want);
		/* One that was ended while all was well does not. */
		snprintf(f->state, sizeof(f->state), "sending");
		w.cause = WHY_NOTHING;
		why_judge(&w, SILENT_S);
		assert_int_equal(w.cause, WHY_PIPELINE_DOWN);
	}
}

static void time_to_catch_up(void **state)
{
	static const struct {
		double in, out;
		int64_t eta;
		bool behind;
	} rows[] = {
	    {500, 1000, 1201, true}, {1000, 1000, WHY_NEVER, true},
	    {0, 600000, 2, false},   {0, 10000, 61, true},
	    {0, 0, WHY_NEVER, true}, {-1, -1, WHY_UNKNOWN, false},
	    {-1, 10000, 61, true},
	};
	struct why w;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		waiting(&w);
		disk.lag = 10;
		w.followers[0].stages[1].limits = 1;
		w.intake = rows[i].in;
		w.drain = rows[i].out;
		why_judge(&w, SILENT_S);
		assert_int_equal(w.eta, rows[i].eta);
		assert_int_equal(w.behind, rows[i].behind);
	}
}

/* The near vault has all of it: what waits, waits for the far one. */
static void the_vault_that_is_behind_decides(void **state)
{
	struct why_follower *near, *far;
	struct why w;

	(void)state;
	waiting(&w);
	w.drain = -1;
	w.nfollowers = 2;
	near = &w.followers[0];
	far = &w.followers[1];
	*far = *near;
	near->rate = 600000;
	far->rate = 1000;
	snprintf(far->cause, sizeof(far->cause), "rate-limit");
	disk.lag = 10;
	why_judge(&w, SILENT_S);
	assert_int_equal(w.cause, WHY_RATE_LIMIT);
	assert_true(w.behind);
	assert_int_equal(w.eta, 1201);
	/* It has sent nothing yet: that is no rate. */
	far->rate = 0;
	w.drain = -1;
	w.cause = WHY_NOTHING;
	why_judge(&w, SILENT_S);
	assert_int_equal(w.eta, WHY_UNKNOWN);
}

static void states_of_a_disk(void **state)
{
	struct why w;

	(void)state;
	waiting(&w);
	why_judge(&w, SILENT_S);
	assert_int_equal(disk.state, STATE_BACKLOG);
	waiting(&w);
	disk.lag = 901;
	disk.stored_at = w.now - 901;
	why_judge(&w, SILENT_S);
	assert_int_equal(disk.state, STATE_STALLED);
	waiting(&w);
	disk.initial = true;
	why_judge(&w, SILENT_S);
	assert_int_equal(disk.state, STATE_INITIAL_SYNC);
	waiting(&w);
	disk.backlog = 0;
	disk.lag = 0;
	disk.silent = SILENT_S;
	why_judge(&w, SILENT_S);
	assert_int_equal(disk.state, STATE_CONTINUOUS);
	assert_false(w.behind);
	waiting(&w);
	disk.backlog = 0;
	disk.lag = 0;
	disk.silent = SILENT_S + 1;
	why_judge(&w, SILENT_S);
	assert_int_equal(disk.state, STATE_DISCONNECTED);
	assert_int_equal(w.cause, WHY_SOURCE_SILENT);
	waiting(&w);
	disk.seated = false;
	why_judge(&w, SILENT_S);
	assert_int_equal(disk.state, STATE_INITIATING);
	waiting(&w);
	disk.asks_map = true;
	why_judge(&w, SILENT_S);
	assert_int_equal(disk.state, STATE_RESYNC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_stage_has_its_cause),
	    cmocka_unit_test(a_failing_store_is_told_before_all_stages),
	    cmocka_unit_test(time_to_catch_up),
	    cmocka_unit_test(the_vault_that_is_behind_decides),
	    cmocka_unit_test(states_of_a_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
