# Tests of units, packages and the installer.
EXTRA_DIST += tests/package/agent.bats tests/package/debian.bats tests/package/inside tests/package/units.bats
