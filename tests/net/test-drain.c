/* How long a source has to wait for room. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/units.h"
#include "net/drain.h"

#define MB 1000000u

static void test_unknown(void **state)
{
	struct drain d = {.n = 0};

	(void)state;
	assert_int_equal(drain_wait_s(&d, NS_PER_S, 0, MB), DRAIN_UNKNOWN_S);
	drain_see(&d, NS_PER_S, 5);
	assert_int_equal(drain_wait_s(&d, NS_PER_S + 1, 5, MB),
			 DRAIN_UNKNOWN_S);
	/* The longer nothing goes, the longer the wait. */
	assert_int_equal(drain_wait_s(&d, 3 * NS_PER_S, 5, MB),
			 DRAIN_UNKNOWN_S);
	assert_int_equal(drain_wait_s(&d, 31 * NS_PER_S, 5, MB), 30);
	assert_int_equal(drain_wait_s(&d, 99 * NS_PER_S, 5, MB), DRAIN_MAX_S);
	/* The counter was set back. */
	assert_int_equal(drain_wait_s(&d, 2 * NS_PER_S, 4, MB),
			 DRAIN_UNKNOWN_S);
	drain_see(&d, 20 * NS_PER_S, 4);
	assert_int_equal(d.n, 1);
}

static void test_rate(void **state)
{
	struct drain d = {.n = 0};
	int64_t t;

	(void)state;
	for (t = 0; t <= 300; t++) /* 10 MB a second */
		drain_see(&d, t * NS_PER_S, (uint64_t)t * 10 * MB);
	t = 300;
	assert_int_equal(drain_wait_s(&d, t * NS_PER_S, 3000u * MB, 0),
			 DRAIN_MIN_S);
	assert_int_equal(drain_wait_s(&d, t * NS_PER_S, 3000u * MB, 200 * MB),
			 21);
	assert_int_equal(drain_wait_s(&d, t * NS_PER_S, 3000u * MB, UINT64_MAX),
			 DRAIN_MAX_S);
	/* It stops: after a minute that is all that is seen. */
	for (; t <= 340; t++)
		drain_see(&d, t * NS_PER_S, 3000u * MB);
	assert_in_range(drain_wait_s(&d, t * NS_PER_S, 3000u * MB, 20 * MB), 3,
			20);
	for (; t <= 400; t++)
		drain_see(&d, t * NS_PER_S, 3000u * MB);
	assert_int_equal(drain_wait_s(&d, t * NS_PER_S, 3000u * MB, 20 * MB),
			 DRAIN_MAX_S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_unknown),
	    cmocka_unit_test(test_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
