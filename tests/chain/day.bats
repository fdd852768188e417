#!/usr/bin/env bats
# A day in fast motion (tests/chain/day): 24 bookmarks, PS_LONG=1: 288.
load ../lib/common

@test "a day of faults, kills and power losses: every point restores" {
	local program
	[ "$(id -u)" -eq 0 ] || skip "needs root, for loop devices"
	for program in mkfs.xfs mkfs.ext4 losetup jq python3; do
		command -v "$program" >/dev/null || skip "no $program"
	done
	losetup -f >/dev/null 2>&1 || skip "no loop device"
	local points=24
	[ -z "${PS_LONG-}" ] || points=288
	"$PS_SOURCE/tests/chain/day" --points "$points" "$T/day" >out 2>&1 ||
		{ tail -n 60 out; return 1; }
	grep 'seed\|restored' out
}
