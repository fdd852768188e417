# Tests of the room net.
UNIT_TESTS += tests/net/test-door tests/net/test-http tests/net/test-login \
	tests/net/test-sandbox
tests_net_test_door_SOURCES = tests/net/test-door.c
tests_net_test_door_LDADD = $(TEST_LDADD)
tests_net_test_sandbox_SOURCES = tests/net/test-sandbox.c
tests_net_test_sandbox_LDADD = $(TEST_LDADD)
tests_net_test_http_SOURCES = tests/net/test-http.c
tests_net_test_http_LDADD = $(TEST_LDADD)
tests_net_test_login_SOURCES = tests/net/test-login.c
tests_net_test_login_LDADD = $(TEST_LDADD)

check_PROGRAMS += tests/net/peer
tests_net_peer_SOURCES = tests/net/peer.c

# Preloaded into ps-receive: takes its processes over.
check_PROGRAMS += tests/net/captive.so
tests_net_captive_so_SOURCES = tests/net/captive.c
tests_net_captive_so_CFLAGS = $(AM_CFLAGS) -fPIC -fno-sanitize=all
tests_net_captive_so_LDFLAGS = -shared
tests_net_captive_so_LDADD =

check_PROGRAMS += tests/net/hostile
tests_net_hostile_SOURCES = tests/net/hostile.c

EXTRA_DIST += tests/fuzz/fuzz-http.c \
	tests/net/common.bash tests/net/find-keys.py \
	tests/net/hostile.bats tests/net/login.bats tests/net/put.bats \
	tests/net/sandbox.bats tests/net/serve.bats \
	tests/net/selftest.bats
