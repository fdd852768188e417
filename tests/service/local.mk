# Tests of ps-service: the services without systemd.
UNIT_TESTS += tests/service/test-unit
tests_service_test_unit_SOURCES = tests/service/test-unit.c
tests_service_test_unit_LDADD = $(TEST_LDADD)
UNIT_TESTS += tests/service/test-supervise
tests_service_test_supervise_SOURCES = tests/service/test-supervise.c
tests_service_test_supervise_LDADD = $(TEST_LDADD)

EXTRA_DIST += tests/service/service.bats
