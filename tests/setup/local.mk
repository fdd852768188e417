# Tests of the room setup.
EXTRA_DIST += tests/setup/setup.bash tests/setup/versions.bash tests/setup/later.bats tests/setup/full-disk tests/setup/full.bats tests/setup/life.bats tests/setup/steps.bats tests/setup/ask.bats tests/setup/flags.bats tests/setup/files.bats tests/setup/firewall.bats tests/setup/install.bats tests/setup/preflight.bats tests/setup/site.bats
check_PROGRAMS += tests/setup/install-only tests/setup/setup-only
tests_setup_install_only_SOURCES = tests/setup/install-only.c
tests_setup_setup_only_SOURCES = tests/setup/setup-only.c
