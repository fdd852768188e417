# Tests of the whole chain.
EXTRA_DIST += tests/chain/completions.bats tests/chain/property.bats \
EXTRA_DIST += tests/chain/completions.bats tests/chain/kill.bats \
	tests/chain/quickstart.bats
