/* How fast one who has logged in may ask. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/units.h"
#include "net/pace.h"

/* Questions of so many connections within so many seconds. */
static unsigned questions(unsigned connections, unsigned seconds)
{
	unsigned n = 0, i;

	for (i = 1; i <= connections; i++) {
		struct pace p = {.nth = i};
		int64_t now = NS_PER_S, end = now + seconds * NS_PER_S;

		for (; now <= end; n++)
			now += pace_take(&p, now, 1);
	}
	return n;
}

static void test_rate(void **state)
{
	(void)state;
	assert_in_range(questions(1, 0), PACE_BURST, PACE_BURST + 2);
	assert_in_range(questions(1, 100), 100 * PACE_RATE,
			100 * PACE_RATE + PACE_BURST + 2);
	/* 64 connections have less than five times the rate of one. */
	assert_true(questions(64, 1000) <
		    1000 * 5 * PACE_RATE + 64 * (PACE_BURST + 2));
}

static void test_cost(void **state)
{
	struct pace p = {.nth = 1};
	int64_t now = NS_PER_S;
	unsigned i;

	(void)state;
	for (i = 0; i < 100000; i++) /* large segments */
		assert_int_equal(pace_take(&p, now, 0), 0);
	/* Half a second of processor time: five seconds of waiting. */
	assert_in_range(pace_take(&p, now, 0.5 * PACE_CPU) / NS_PER_S, 3, 5);
	/* It is over, and one who was away has no more than the allowance. */
	now += 3600 * NS_PER_S;
	for (i = 0; i < PACE_BURST; i++)
		assert_int_equal(pace_take(&p, now, 1), 0);
	assert_true(pace_take(&p, now, 1) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rate),
	    cmocka_unit_test(test_cost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
