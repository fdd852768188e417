# Tests of the room fleet.
UNIT_TESTS += tests/fleet/test-balance
tests_fleet_test_balance_SOURCES = tests/fleet/test-balance.c
tests_fleet_test_balance_LDADD = $(TEST_LDADD)

EXTRA_DIST += tests/fleet/balance.bats
