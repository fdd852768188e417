# Tests of the room net.
UNIT_TESTS += tests/net/test-http tests/net/test-login
tests_net_test_http_SOURCES = tests/net/test-http.c
tests_net_test_http_LDADD = $(TEST_LDADD)
tests_net_test_login_SOURCES = tests/net/test-login.c
tests_net_test_login_LDADD = $(TEST_LDADD)

check_PROGRAMS += tests/net/peer tests/lib/proxy
tests_lib_proxy_SOURCES = tests/lib/proxy.c
tests_net_peer_SOURCES = tests/net/peer.c

EXTRA_DIST += tests/fuzz/fuzz-http.c \
	tests/net/common.bash tests/net/faults.bats tests/net/fence.bats \
	tests/net/line.bats tests/net/login.bats tests/net/put.bats \
	tests/net/serve.bats tests/net/selftest.bats
