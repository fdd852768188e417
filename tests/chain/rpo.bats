#!/usr/bin/env bats
# heavy: measures time
# How long it takes from a change list to a recovery point in the vault.

load ../lib/common

@test "30 passes of the running chain: 99 of 100 are stored within a second" {
	"$PS_SOURCE/bench/rpo" --passes "$([ -n "${PS_LONG:-}" ] && echo 300 || echo 30)" \
		--size 16M --dir "$T/rpo" >out
	cat out
	jq -e '.passes >= 30 and .stored_p50_ms > 1 and .stored_p99_ms < 1000 and
		.durable_p50_ms <= .stored_p50_ms' out
}
