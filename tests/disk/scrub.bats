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
}

@test "of a disk in use the next list says whether a block was missed" {
	put 100 A 2 # nobody tells of these
	put 50 B    # written between list and reading: the next list has it
	pass --fuzzy --no-point --changed none --scrub 1/1
	[ ! -s scan.err ]
	[ "$(field scrub_found)" -eq 0 ]
	cmp src srv/image
	echo "3276800 65536 dirty" >list
	pass --changed list
	grep -q '2 blocks differ' scan.err
	grep -q 'scrub: 6553600 131072$' scan.err
	[ "$(field scrub_found)" -eq 2 ]
	same_bytes
	pass --changed none # told once
	[ ! -s scan.err ]
	# Fuzzy passes one behind another; what the second finds waits, too.
	put 10 C
	pass --fuzzy --no-point --changed none --scrub 1/1
	put 90 D
	pass --fuzzy --no-point --changed none --scrub 1/1
	grep -q '1 blocks differ' scan.err
	grep -q 'scrub: 655360 65536$' scan.err
	pass --changed none
	grep -q 'scrub: 5898240 65536$' scan.err
	[ "$(field scrub_found)" -eq 4 ]
	same_bytes
}

@test "suspects: many, a damaged record, a pass without a list" {
	rm -rf map* srv
	random_file src 41943040
	pass --block-size 4K
	python3 -c '
with open("src", "r+b") as f:
    for n in range(5000):
        f.seek(n * 8192)
        f.write(b"x")'
	pass --fuzzy --no-point --changed none --scrub 1/1
	[ "$(wc -l <map.journal/suspects)" -eq 4097 ]
	pass --changed none
	grep -q '4096 blocks differ' scan.err
	[ ! -e map.journal/suspects ]
	put 10 C
	pass --fuzzy --no-point --changed none --scrub 1/1
	echo "ps-suspects 1" >map.journal/suspects
	echo "40960 x" >>map.journal/suspects
	pass --changed none
	[ ! -s scan.err ]
	put 11 D
	pass --fuzzy --no-point --changed none --scrub 1/1
	pass # reads all: nobody can tell any more, and that is said
	grep -q '^ps-scan: scrub: 1 ranges differed while the disk was in use' scan.err
	[ "$(wc -l <scan.err)" -eq 1 ]
	[ ! -e map.journal/suspects ]
	cmp src srv/image
}
