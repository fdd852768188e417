# Tests of the room fleet.
UNIT_TESTS += tests/fleet/test-balance
tests_fleet_test_balance_SOURCES = tests/fleet/test-balance.c
tests_fleet_test_balance_LDADD = $(TEST_LDADD)

EXTRA_DIST += tests/fleet/balance.bats tests/fleet/plan.bats \
	tests/fleet/move.bats tests/fleet/fleet.bash tests/fleet/rounds tests/fleet/tutorial.bats \
	tests/fleet/plan-oracle
UNIT_TESTS += tests/fleet/test-sizing
tests_fleet_test_sizing_SOURCES = tests/fleet/test-sizing.c
tests_fleet_test_sizing_LDADD = $(TEST_LDADD)
