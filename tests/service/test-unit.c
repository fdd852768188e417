/* Units as ps-service reads them, and those that are built in. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "service/unit.h"

static const struct unit *find(const struct units *u, const char *name)
{
	const struct unit *x = units_find(u, name);

	assert_non_null(x);
	return x;
}

static unsigned place_of(const struct units *u, const char *name)
{
	unsigned i;

	for (i = 0; i < u->nordered; i++)
		if (strcmp(u->ordered[i]->name, name) == 0)
			return i;
	fail_msg("%s is not in the order", name);
	return 0;
}

static void built_in(void **state)
{
	static struct units u;
	struct err e = {0};
	const struct unit *x;

	(void)state;
	assert_int_equal(units_load(&u, &e), 0);
	assert_int_equal(u.n, u.nordered);
	x = find(&u, "receive");
	assert_true(x->notify);
	assert_int_equal(x->every_s, 0);
	assert_string_equal(x->user, "ps-toolkit");
	assert_int_equal(x->stop_s, 45);
	assert_int_equal(x->files, 65536);
	assert_true(unit_has_code(x->final, x->nfinal, 78));
	assert_false(unit_has_code(x->final, x->nfinal, 75));
	assert_true(strlen(x->condition) > strlen("/ps.yaml"));
	assert_false(x->low_ports);
	assert_true(find(&u, "config")->low_ports);
	x = find(&u, "agent");
	assert_true(x->main_only);
	assert_int_equal(x->watchdog_s, 60);
	assert_string_equal(x->user, "");
	assert_string_equal(x->argv[0][1], "run");
	assert_null(x->argv[0][2]);
	x = find(&u, "verify");
	assert_int_equal(x->every_s, 7 * 86400);
	assert_true(x->persistent);
	assert_int_equal(x->ncommands, 3);
	assert_int_equal(x->nbehind, 1);
	assert_string_equal(x->argv[1][2], "verify");
	/* Who is wanted first comes first, jobs come last. */
	assert_true(place_of(&u, "heartbeat") > place_of(&u, "config"));
	assert_true(place_of(&u, "heartbeat") > place_of(&u, "receive"));
	assert_true(place_of(&u, "heartbeat") > place_of(&u, "pipeline"));
	assert_true(place_of(&u, "health") > place_of(&u, "heartbeat"));
	assert_null(units_find(&u, "ps-receive"));
}

static void what_is_no_plain_word_is_refused(void **state)
{
	static const char *const bad[] = {
	    "ExecStart=/bin/sh -c 'a b'\n",
	    "ExecStart=/bin/x %i\n",
	    "ExecStart=/bin/x $HOME\n",
	    "ExecStart=/b 1 2 3 4 5 6 7 8\n",
	    "Type=notify\n",
	    "ExecStart=/b\nTimeoutStopSec=soon\n",
	    "ExecStart=/b\nSuccessExitStatus=1 256\n",
	    NULL};
	struct unit u;
	struct err e = {0};
	unsigned i;

	(void)state;
	for (i = 0; bad[i] != NULL; i++)
		assert_int_equal(unit_read(&u, "x", bad[i], NULL, &e),
				 -PS_SOFTWARE);
	assert_int_equal(unit_read(&u, "x", "ExecStart=/b\n",
				   "OnCalendar=Mon *-*-* 04:00\n", &e),
			 -PS_SOFTWARE);
	assert_int_equal(
	    unit_read(&u, "x", "# ExecStart=/a\nExecStart=/b c\n", NULL, &e),
	    0);
	assert_string_equal(u.argv[0][0], "/b");
	assert_string_equal(u.argv[0][1], "c");
	assert_int_equal(u.stop_s, UNIT_STOP_S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(built_in),
	    cmocka_unit_test(what_is_no_plain_word_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
