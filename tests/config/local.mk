# Tests of the room config.
UNIT_TESTS += tests/config/test-registry
tests_config_test_registry_SOURCES = tests/config/test-registry.c \
	tests/config/database.c tests/config/database.h
tests_config_test_registry_LDADD = $(TEST_LDADD)
UNIT_TESTS += tests/config/test-lost
tests_config_test_lost_SOURCES = tests/config/test-lost.c \
	tests/config/database.c tests/config/database.h
tests_config_test_lost_LDADD = $(TEST_LDADD)
UNIT_TESTS += tests/config/test-orders
tests_config_test_orders_SOURCES = tests/config/test-orders.c \
	tests/config/database.c tests/config/database.h
tests_config_test_orders_LDADD = $(TEST_LDADD)
UNIT_TESTS += tests/config/test-moves
tests_config_test_moves_SOURCES = tests/config/test-moves.c \
	tests/config/database.c tests/config/database.h
tests_config_test_moves_LDADD = $(TEST_LDADD)
UNIT_TESTS += tests/config/test-api
tests_config_test_api_SOURCES = tests/config/test-api.c \
	tests/config/database.c tests/config/database.h
tests_config_test_api_LDADD = $(TEST_LDADD)
EXTRA_DIST += tests/config/serve.bats tests/config/fleet.bats tests/config/jobs.bats \
	tests/config/mariadb.bats tests/config/mariadb.bash \
	tests/config/captive.bats tests/config/captive.bash \
	tests/config/attack.bats
EXTRA_DIST += tests/config/config.bash tests/config/config.bats tests/config/secrets.bats
check_PROGRAMS += tests/config/fleet
tests_config_fleet_SOURCES = tests/config/fleet.c
