# Tests of the room disk.
check_PROGRAMS += tests/disk/apply-stream
tests_disk_apply_stream_SOURCES = tests/disk/apply-stream.c
check_PROGRAMS += tests/disk/scribble
tests_disk_scribble_SOURCES = tests/disk/scribble.c
EXTRA_DIST += tests/disk/model.bash tests/disk/converge.bats tests/disk/crash.bats \
	tests/disk/property.bats tests/disk/rules.bats tests/disk/scan.bats tests/disk/scrub.bats
UNIT_TESTS += tests/disk/test-map tests/disk/test-dirty tests/disk/test-devices
tests_disk_test_map_SOURCES = tests/disk/test-map.c
tests_disk_test_map_LDADD = $(TEST_LDADD)
tests_disk_test_dirty_SOURCES = tests/disk/test-dirty.c
tests_disk_test_dirty_LDADD = $(TEST_LDADD)
tests_disk_test_devices_SOURCES = tests/disk/test-devices.c
tests_disk_test_devices_LDADD = $(TEST_LDADD)
