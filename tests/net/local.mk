# Tests of the room net.
UNIT_TESTS += tests/net/test-door tests/net/test-drain tests/net/test-http \
	tests/net/test-hush tests/net/test-login tests/net/test-pace \
	tests/net/test-sandbox
tests_net_test_hush_SOURCES = tests/net/test-hush.c
tests_net_test_hush_LDADD = $(TEST_LDADD)
tests_net_test_pace_SOURCES = tests/net/test-pace.c
tests_net_test_pace_LDADD = $(TEST_LDADD)
tests_net_test_drain_SOURCES = tests/net/test-drain.c
tests_net_test_drain_LDADD = $(TEST_LDADD)
tests_net_test_door_SOURCES = tests/net/test-door.c
tests_net_test_door_LDADD = $(TEST_LDADD)
tests_net_test_sandbox_SOURCES = tests/net/test-sandbox.c
tests_net_test_sandbox_LDADD = $(TEST_LDADD)
tests_net_test_http_SOURCES = tests/net/test-http.c
tests_net_test_http_LDADD = $(TEST_LDADD)
tests_net_test_login_SOURCES = tests/net/test-login.c
tests_net_test_login_LDADD = $(TEST_LDADD)

check_PROGRAMS += tests/net/peer tests/lib/proxy
tests_lib_proxy_SOURCES = tests/lib/proxy.c
tests_net_peer_SOURCES = tests/net/peer.c

# Parts of the tests of the self-test.
check_PROGRAMS += tests/net/trouble tests/net/spoil-answers.so
tests_net_trouble_SOURCES = tests/net/trouble.c
tests_net_spoil_answers_so_SOURCES = tests/net/spoil-answers.c
tests_net_spoil_answers_so_CFLAGS = $(AM_CFLAGS) -fPIC -fno-sanitize=all
tests_net_spoil_answers_so_LDFLAGS = -shared
tests_net_spoil_answers_so_LDADD =

# Many agents at once: of a test and of bench/agents.
check_PROGRAMS += tests/net/agents
tests_net_agents_SOURCES = tests/net/agents.c

# Preloaded into ps-receive: takes its processes over.
check_PROGRAMS += tests/net/captive.so
tests_net_captive_so_SOURCES = tests/net/captive.c
tests_net_captive_so_CFLAGS = $(AM_CFLAGS) -fPIC -fno-sanitize=all
tests_net_captive_so_LDFLAGS = -shared
tests_net_captive_so_LDADD =

check_PROGRAMS += tests/net/hostile
tests_net_hostile_SOURCES = tests/net/hostile.c

EXTRA_DIST += tests/fuzz/fuzz-http.c \
	tests/net/agents.bats tests/net/common.bash tests/net/faults.bats \
	tests/net/fence.bats tests/net/find-keys.py tests/net/hostile.bats \
	tests/net/line.bats tests/net/login.bats tests/net/put.bats \
	tests/net/sandbox.bats tests/net/selftest.bats \
	tests/net/serve.bats tests/net/trouble.bats
