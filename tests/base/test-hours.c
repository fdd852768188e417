/* Rates by the time of the week: what is read, and what counts when. */
#include "config.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/pace.h"
#include "base/units.h"

#define ELSE 999 /* where no rule fits */

/* Local time of Central Europe, without needing its tables (POSIX). */
static void use_zone(const char *zone)
{
	setenv("TZ", zone, 1);
	tzset();
}

static time_t at(const char *utc)
{
	int64_t ns;

	assert_true(parse_time(utc, &ns));
	return (time_t)(ns / NS_PER_S);
}

static uint64_t rate_at(const char *text, const char *utc)
{
	struct hours h;

	assert_int_equal(hours_parse(&h, text, NULL), 0);
	return hours_rate(&h, at(utc), ELSE);
}

static void rules_are_read(void **state)
{
	static const char *const good[] = {
	    "1M",
	    "* 1M",
	    "Mon-Fri 08:00-18:00 5Mbit; * 50Mbit",
	    " monday,Wed,SAT-sun 00:00-24:00 1M ;",
	    "22:00-06:00 unlimited",
	    "Sat-Mon 1K;Tue 2K\n; Wed 3K"};
	static const char *const bad[] = {"",
					  ";",
					  "fast",
					  "Mon",
					  "Mon-Fri",
					  "Mon 8:00-18:00 1M",
					  "Mon 08:00-25:00 1M",
					  "Mon 24:00-08:00 1M",
					  "Mon 08:60-18:00 1M",
					  "Mon 08:00-08:00 1M",
					  "Mon 08:00 1M",
					  "Mon, 1M",
					  "Mo-Fr 1M",
					  "08:00-18:00 Mon 1M",
					  "Mon 08:00-18:00 1M 2M",
					  "Mon 08:00-18:00 0",
					  "1M;;2M"};
	struct hours h;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_int_equal(hours_parse(&h, good[i], NULL), 0);
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(hours_parse(&h, bad[i], NULL), -PS_CONFIG);
}

static void the_first_rule_that_fits_counts(void **state)
{
	static const char text[] = "Mon-Fri 08:00-18:00 1000; Sun 3000; 2000";
	static const struct {
		const char *utc;
		uint64_t want;
	} table[] = {
	    {"2026-11-20T07:59:59Z", 2000}, /* a Friday */
	    {"2026-11-20T08:00:00Z", 1000}, {"2026-11-20T17:59:59Z", 1000},
	    {"2026-11-20T18:00:00Z", 2000}, {"2026-11-21T12:00:00Z", 2000},
	    {"2026-11-22T00:00:00Z", 3000}, {"2026-11-22T23:59:59Z", 3000},
	    {"2026-11-23T00:00:00Z", 2000}, {"2026-11-23T08:00:00Z", 1000}};
	size_t i;

	(void)state;
	use_zone("UTC0");
	for (i = 0; i < sizeof(table) / sizeof(*table); i++)
		assert_int_equal(rate_at(text, table[i].utc), table[i].want);
	assert_int_equal(rate_at("Mon 1000", "2026-11-20T08:00:00Z"), ELSE);
	assert_int_equal(rate_at("unlimited", "2026-11-20T08:00:00Z"), 0);
}

/* A night belongs to the day on which it begins. */
static void hours_go_on_past_midnight(void **state)
{
	static const char text[] = "Fri 22:00-06:00 1000";

	(void)state;
	use_zone("UTC0");
	assert_int_equal(rate_at(text, "2026-11-20T21:59:00Z"), ELSE);
	assert_int_equal(rate_at(text, "2026-11-20T22:00:00Z"), 1000);
	assert_int_equal(rate_at(text, "2026-11-21T05:59:00Z"), 1000);
	assert_int_equal(rate_at(text, "2026-11-21T06:00:00Z"), ELSE);
	assert_int_equal(rate_at(text, "2026-11-20T05:00:00Z"), ELSE);
	assert_int_equal(rate_at(text, "2026-11-21T22:00:00Z"), ELSE);
}

/* The clock on the wall decides, in summer and in winter. */
static void times_are_local(void **state)
{
	static const char text[] = "* 08:00-18:00 1000";
	static const char night[] = "* 02:00-03:00 1000";

	(void)state;
	use_zone("CET-1CEST,M3.5.0,M10.5.0/3");
	assert_int_equal(rate_at(text, "2026-01-15T07:00:00Z"), 1000);
	assert_int_equal(rate_at(text, "2026-01-15T06:59:59Z"), ELSE);
	assert_int_equal(rate_at(text, "2026-07-15T06:00:00Z"), 1000);
	assert_int_equal(rate_at(text, "2026-07-15T05:59:59Z"), ELSE);
	/* 29 March: from 02:00 at once to 03:00. */
	assert_int_equal(rate_at(night, "2026-03-29T00:59:59Z"), ELSE);
	assert_int_equal(rate_at(night, "2026-03-29T01:00:00Z"), ELSE);
	/* 25 October: 02:00 to 03:00 comes twice. */
	assert_int_equal(rate_at(night, "2026-10-25T00:30:00Z"), 1000);
	assert_int_equal(rate_at(night, "2026-10-25T01:30:00Z"), 1000);
	assert_int_equal(rate_at(night, "2026-10-25T02:00:00Z"), ELSE);
}

/* Minutes are those of the wall, too: some zones ("right/") have odd ones. */
static void minutes_are_local(void **state)
{
	(void)state;
	use_zone("UTC0");
	assert_int_equal(hours_next(at("2026-11-20T07:59:00Z")), 60);
	assert_int_equal(hours_next(at("2026-11-20T07:59:59Z")), 1);
	use_zone("ODD0:00:27");
	assert_int_equal(hours_next(at("2026-11-20T07:59:27Z")), 60);
	assert_int_equal(hours_next(at("2026-11-20T08:00:26Z")), 1);
	assert_int_equal(hours_next(at("2026-11-20T08:00:00Z")), 27);
}

/* ---- a rate that follows the clock ---- */

static atomic_long fake_now;
static atomic_ulong was_set;
static atomic_int reads;
static const char *rules;

static time_t fake_clock(void)
{
	return (time_t)atomic_load(&fake_now);
}

static int read_rules(void *ctx, struct pace_rates *ret, struct err *e)
{
	(void)ctx;
	*ret = (struct pace_rates){.limit = ELSE};
	atomic_fetch_add(&reads, 1);
	return hours_parse(&ret->hours, rules, e);
}

static void note_rate(void *ctx, uint64_t per_second)
{
	(void)ctx;
	atomic_store(&was_set, per_second);
}

static void no_words(void *ctx, const char *words)
{
	(void)ctx;
	(void)words;
}

static void wait_until_set(unsigned long want)
{
	int64_t end = mono_now_ns() + 20 * NS_PER_S;

	while (atomic_load(&was_set) != want && mono_now_ns() < end)
		usleep(2000);
	assert_int_equal(atomic_load(&was_set), want);
}

static void a_rule_begins_while_it_runs(void **state)
{
	struct pace p = {.read = read_rules,
			 .set = note_rate,
			 .say = no_words,
			 .clock = fake_clock};
	int n;

	(void)state;
	use_zone("UTC0");
	rules = "08:00-18:00 1000; 2000";
	atomic_store(&fake_now, at("2026-11-20T07:59:59Z"));
	pace_listen();
	assert_int_equal(pace_read(&p, NULL), 0);
	assert_int_equal(p.now, 2000);
	assert_int_equal(pace_start(&p, NULL), 0);
	/* It looks again at the next minute: one second away. */
	atomic_store(&fake_now, at("2026-11-20T08:00:00Z"));
	wait_until_set(1000);
	/* Other rules are read at SIGHUP, bad ones change nothing. */
	rules = "3000";
	kill(getpid(), SIGHUP);
	wait_until_set(3000);
	rules = "nonsense";
	n = atomic_load(&reads);
	kill(getpid(), SIGHUP);
	while (atomic_load(&reads) == n)
		usleep(2000);
	rules = "4000";
	kill(getpid(), SIGHUP);
	wait_until_set(4000);
	pace_stop(&p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rules_are_read),
	    cmocka_unit_test(the_first_rule_that_fits_counts),
	    cmocka_unit_test(hours_go_on_past_midnight),
	    cmocka_unit_test(times_are_local),
	    cmocka_unit_test(minutes_are_local),
	    cmocka_unit_test(a_rule_begins_while_it_runs),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
