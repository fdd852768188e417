# Tests of units, packages and the installer.
EXTRA_DIST += tests/package/units.bats
