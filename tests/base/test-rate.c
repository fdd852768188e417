/* A rate limit is kept and is written as people write it. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/rate.h"
#include "base/units.h"

static void figures_are_read(void **state)
{
	static const struct {
		const char *text;
		uint64_t want;
	} good[] = {{"1000", 1000},   {"20M", 20 << 20},
		    {"1.5K", 1536},   {"2GiB", 2ull << 30},
		    {"8bit", 1},      {"20Mbit", 2500000},
		    {"16kbit", 2000}, {"1Gbit", 125000000}};
	static const char *const bad[] = {
	    "",	       "fast", "bit",  "Mbit",	  "1.5Mbit",
	    "20Mbyte", "-1M",  "20 M", "20Mbits", "99999999999999999999Gbit"};
	uint64_t v;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(parse_rate(good[i].text, &v));
		assert_int_equal(v, good[i].want);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(parse_rate(bad[i], &v));
}

/* 2 MB at 4 MB/s, of which a quarter of a second is in the bucket. */
static void the_limit_is_kept(void **state)
{
	struct rate r = {.per_second = 4000000};
	int64_t begun = mono_now_ns();
	int i;

	(void)state;
	for (i = 0; i < 200; i++)
		rate_take(&r, 10000);
	assert_true(mono_now_ns() - begun >= NS_PER_S / 4 - NS_PER_S / 100);
}

static void no_limit_never_waits(void **state)
{
	struct rate r = {0};
	int64_t begun = mono_now_ns();
	int i;

	(void)state;
	for (i = 0; i < 1000; i++)
		rate_take(&r, 1 << 30);
	assert_true(mono_now_ns() - begun < NS_PER_S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(figures_are_read),
	    cmocka_unit_test(the_limit_is_kept),
	    cmocka_unit_test(no_limit_never_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
