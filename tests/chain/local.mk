# Tests of the whole chain.
EXTRA_DIST += tests/chain/completions.bats tests/chain/property.bats \
EXTRA_DIST += tests/chain/completions.bats tests/chain/kill.bats \
	tests/chain/full.bats tests/chain/memory.bats \
	tests/chain/quickstart.bats tests/chain/servers.bats
