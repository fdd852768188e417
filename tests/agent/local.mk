# Tests of the room agent.
EXTRA_DIST += tests/agent/agent.bash tests/agent/agent.bats tests/agent/cgroup.bats \
	tests/agent/faults.bats tests/agent/freeze.bats \
	tests/agent/hooks.bats tests/agent/limits.bats \
	tests/agent/same.bats \
	tests/agent/why.bats tests/agent/trouble.bats tests/agent/years.bats \
	tests/lib/providers/copy tests/lib/providers/window \
	tests/lib/providers/witness

check_PROGRAMS += tests/lib/bad-disk.so
tests_lib_bad_disk_so_SOURCES = tests/lib/bad-disk.c
tests_lib_bad_disk_so_CFLAGS = $(AM_CFLAGS) -fPIC -fno-sanitize=all
tests_lib_bad_disk_so_LDFLAGS = -shared
tests_lib_bad_disk_so_LDADD =
