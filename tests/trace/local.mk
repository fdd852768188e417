# Tests of the room trace.
UNIT_TESTS += tests/trace/test-writebook
tests_trace_test_writebook_SOURCES = tests/trace/test-writebook.c
tests_trace_test_writebook_LDADD = $(TEST_LDADD)
UNIT_TESTS += tests/trace/test-page
tests_trace_test_page_SOURCES = tests/trace/test-page.c
tests_trace_test_page_LDADD = $(TEST_LDADD)

EXTRA_DIST += tests/trace/agent.bats tests/trace/trace.bats tests/trace/trace.bash tests/trace/covers
