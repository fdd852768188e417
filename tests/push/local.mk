# Tests of the room push.
EXTRA_DIST += tests/push/machines.bash tests/push/push.bats
UNIT_TESTS += tests/push/test-look
tests_push_test_look_SOURCES = tests/push/test-look.c
tests_push_test_look_LDADD = $(TEST_LDADD)
