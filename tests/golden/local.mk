# Golden files of each format version.
EXTRA_DIST += tests/golden/golden.bats tests/golden/v1
