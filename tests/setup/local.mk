# Tests of the room setup.
EXTRA_DIST += tests/setup/setup.bash tests/setup/flags.bats tests/setup/files.bats tests/setup/firewall.bats tests/setup/preflight.bats
