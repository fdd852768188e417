# Tests of the room base.
UNIT_TESTS += tests/base/test-bytes tests/base/test-conf \
	tests/base/test-crc32c \
	tests/base/test-crc64 tests/base/test-durable tests/base/test-io \
	tests/base/test-pool tests/base/test-units
tests_base_test_bytes_SOURCES = tests/base/test-bytes.c
tests_base_test_bytes_LDADD = $(TEST_LDADD)
tests_base_test_conf_SOURCES = tests/base/test-conf.c
tests_base_test_conf_LDADD = $(TEST_LDADD)
tests_base_test_crc64_SOURCES = tests/base/test-crc64.c
tests_base_test_crc64_LDADD = $(TEST_LDADD)
tests_base_test_crc32c_SOURCES = tests/base/test-crc32c.c
tests_base_test_crc32c_LDADD = $(TEST_LDADD)
tests_base_test_durable_SOURCES = tests/base/test-durable.c
tests_base_test_durable_LDADD = $(TEST_LDADD)
tests_base_test_durable_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=fsync \
	-Wl,--wrap=close -Wl,--wrap=renameat -Wl,--wrap=linkat -Wl,--wrap=write
tests_base_test_io_SOURCES = tests/base/test-io.c
tests_base_test_io_LDADD = $(TEST_LDADD)
tests_base_test_pool_SOURCES = tests/base/test-pool.c
tests_base_test_pool_LDADD = $(TEST_LDADD)
tests_base_test_units_SOURCES = tests/base/test-units.c
tests_base_test_units_LDADD = $(TEST_LDADD)

check_PROGRAMS += tests/base/opt-sample
tests_base_opt_sample_SOURCES = tests/base/opt-sample.c
EXTRA_DIST += tests/base/opt.bats
UNIT_TESTS += tests/base/test-rate
tests_base_test_rate_SOURCES = tests/base/test-rate.c
tests_base_test_rate_LDADD = $(TEST_LDADD)
UNIT_TESTS += tests/base/test-hours
tests_base_test_hours_SOURCES = tests/base/test-hours.c
tests_base_test_hours_LDADD = $(TEST_LDADD)
UNIT_TESTS += tests/base/test-ini
tests_base_test_ini_SOURCES = tests/base/test-ini.c
tests_base_test_ini_LDADD = $(TEST_LDADD)
