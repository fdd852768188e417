# Tests of the whole chain.
EXTRA_DIST += tests/chain/completions.bats tests/chain/property.bats \
	tests/chain/quickstart.bats
