# Tests of the whole chain.
EXTRA_DIST += tests/chain/completions.bats
EXTRA_DIST += tests/chain/day tests/chain/day.bats tests/lib/cut.bash
EXTRA_DIST += tests/chain/full.bats
EXTRA_DIST += tests/chain/kill.bats
EXTRA_DIST += tests/chain/memory.bats
EXTRA_DIST += tests/chain/property.bats
EXTRA_DIST += tests/chain/quickstart.bats
EXTRA_DIST += tests/chain/resync.bats
EXTRA_DIST += tests/chain/rpo.bats
EXTRA_DIST += tests/chain/servers.bats tests/chain/several.bats
