# Tests of the room agent.
EXTRA_DIST += tests/agent/agent.bash tests/agent/agent.bats tests/agent/cgroup.bats tests/agent/freeze.bats \
	tests/agent/hooks.bats tests/lib/providers/copy \
	tests/lib/providers/window
