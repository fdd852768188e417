# Tests of the room web.
UNIT_TESTS += tests/web/test-web
tests_web_test_web_SOURCES = tests/web/test-web.c
tests_web_test_web_LDADD = $(TEST_LDADD)
