# Tests of the room cache.
UNIT_TESTS += tests/cache/test-head tests/cache/test-put
tests_cache_test_head_SOURCES = tests/cache/test-head.c
tests_cache_test_head_LDADD = $(TEST_LDADD)
tests_cache_test_put_SOURCES = tests/cache/test-put.c
tests_cache_test_put_LDADD = $(TEST_LDADD)

# Preloaded into a tool: makes its N-th fsync fail, and so on.
check_PROGRAMS += tests/lib/fail-call.so
tests_lib_fail_call_so_SOURCES = tests/lib/fail-call.c
# No sanitizer: it has to be loaded before theirs.
tests_lib_fail_call_so_CFLAGS = $(AM_CFLAGS) -fPIC -fno-sanitize=all
tests_lib_fail_call_so_LDFLAGS = -shared
tests_lib_fail_call_so_LDADD =

EXTRA_DIST += tests/cache/cache.bash tests/cache/put.bats \
	tests/cache/follow.bats tests/cache/ack.bats tests/cache/seat.bats \
	tests/cache/faults.bats tests/cache/verify.bats tests/cache/move.bats
