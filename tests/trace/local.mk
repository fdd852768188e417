# Tests of the room trace.
UNIT_TESTS += tests/trace/test-ledger
tests_trace_test_ledger_SOURCES = tests/trace/test-ledger.c
tests_trace_test_ledger_LDADD = $(TEST_LDADD)
UNIT_TESTS += tests/trace/test-page
tests_trace_test_page_SOURCES = tests/trace/test-page.c
tests_trace_test_page_LDADD = $(TEST_LDADD)

EXTRA_DIST += tests/trace/trace.bats tests/trace/trace.bash tests/trace/covers
