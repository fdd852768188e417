# Tests of the room health.
UNIT_TESTS += tests/health/test-rules
tests_health_test_rules_SOURCES = tests/health/test-rules.c
tests_health_test_rules_LDADD = $(TEST_LDADD)
UNIT_TESTS += tests/health/test-check
tests_health_test_check_SOURCES = tests/health/test-check.c
tests_health_test_check_LDADD = $(TEST_LDADD)
UNIT_TESTS += tests/health/test-roles
tests_health_test_roles_SOURCES = tests/health/test-roles.c
tests_health_test_roles_LDADD = $(TEST_LDADD)
UNIT_TESTS += tests/health/test-why
tests_health_test_why_SOURCES = tests/health/test-why.c
tests_health_test_why_LDADD = $(TEST_LDADD)

EXTRA_DIST += tests/health/health.bats tests/health/why.bats
