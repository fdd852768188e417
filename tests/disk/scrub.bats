#!/usr/bin/env bats
# Scrubbing: what a change list missed is found, repaired and told.

load ../lib/common
load model

prepare() {
	random_file src 8388608 # 128 blocks
	pass
	echo "0 1 clean" >none
}

@test "what a list missed is found within a round, repaired, told and counted" {
	local i
	put 100 A
	put 103 B 2
	for i in 1 2 3; do
		pass --changed none --scrub 1/4
		[ ! -s scan.err ]
		! same >/dev/null 2>&1 || false
	done
	[ "$(field scrub_position)" -eq $((3 * 2097152)) ]
	pass --changed none --scrub 1/4
	grep -q '3 blocks differ' scan.err
	grep -q "scrub: 6553600 65536$" scan.err
	grep -q "scrub: 6750208 131072$" scan.err
	same_bytes
	[ "$(field scrub_found)" -eq 3 ]
	[ "$(field scrub_rounds)" -eq 1 ]
	[ "$(field scrub_position)" -eq 0 ]
	ps-scan --status --map map | grep -q '1 rounds.*3 blocks'
}

@test "what stands in the list is not called missed" {
	put 1 A 4
	echo "65537 262143 dirty" >list
	pass --changed list --scrub 1/1
	[ ! -s scan.err ]
	[ "$(field scrub_found)" -eq 0 ]
	same_bytes
	# One block on each side of what the list names.
	put 19 B 3
	echo "1310720 1 dirty" >list
	pass --changed list --scrub 2/2
	grep -q '2 blocks differ' scan.err
	same_bytes
}

@test "blocks that became zero unseen are found too" {
	fallocate --punch-hole --offset 655360 --length 131072 src
	pass --changed none --scrub 1/1
	grep -q '2 blocks differ' scan.err
	same_bytes
}

@test "what was found and did not arrive is sent again, and was counted" {
	put 0 A 64
	scan --changed none --scrub 1/1 --segment-size 1M 2>err |
		server --stop 2 --acks 1 | commit || true
	settle
	[ "$(field scrub_found)" -gt 0 ]
	pass --changed none --scrub 1/1
	same_bytes
}

@test "without a change list nothing can have been missed" {
	put 0 A
	pass --scrub 1/2
	[ ! -s scan.err ]
	[ "$(field scrub_position)" -eq 0 ]
	same_bytes
}

@test "many ranges are told in few lines; a damaged cursor begins anew" {
	local i
	for ((i = 0; i < 120; i += 3)); do put "$i" C; done
	echo nonsense >map.journal/scrub
	pass --changed none --scrub 1/1
	grep -q 'and 24 ranges more' scan.err
	[ "$(wc -l <scan.err)" -lt 25 ]
	same_bytes
	for i in 0/3 4/3 1 1/ /1 x/y 1/0; do
		fails_with 64 scan --changed none --scrub "$i"
	done
	fails_with 64 scan --fuzzy --changed none --scrub 1/3
}
