#!/usr/bin/env bats
# ps-vault copy: a second vault that can take the first one's place.
load ../lib/common

prepare() {
	PATH=$PS_BUILD/tests/segment:$PATH
	ps-vault init a
	ps-vault init b
}

object() { printf '%s/%s/%020d' "$1" "$2" "$3"; }
points() { ps-vault list "$1" --json | jq -S 'map(del(.authenticated))'; }
# The two differ in when they were made, nothing else.
same() { diff -r -x vault.json a b && [ "$(points a)" = "$(points b)" ]; }

@test "a copy has every object, and restores without the first vault" {
	make-segment -d root,data -s 3M -p 4 -o model | ps-upload a >/dev/null
	ps-vault copy a b >out
	same
	grep -q 'web01/root: 4 objects, .*, up to segment 4' out
	ps-vault verify b --data
	mv a gone
	ps-restore b --machine web01 --disk data --point p4 -q -o r
	cmp r model.data.4
}

@test "run again it copies what is new, and nothing twice" {
	make-segment -s 2M -p 3 -x 7 >s
	ps-upload a <s >/dev/null
	ps-vault copy a b
	[ "$(ps-vault copy a b --json | jq .objects)" -eq 0 ]
	make-segment -s 2M -f "3:$(ps-vault head a | cut -f 5)" -B q |
		ps-upload a >/dev/null
	ps-vault copy -n a b >out
	grep -q ': 1 objects to copy, .*, up to segment 4' out
	[ ! -e "$(object b web01/root 4)" ]
	ps-vault copy a b --json >json
	[ "$(jq -c '[.objects, .disks[0].from, .disks[0].to, .disks[0].end]' \
		json)" = '[1,3,4,"done"]' ]
	same
}

@test "sealed objects are copied without their key, byte for byte" {
	ps-encrypt --new-key k
	make-segment -s 2M -p 2 -o model | ps-compress | ps-encrypt -k k |
		ps-upload a >/dev/null
	ps-vault copy a b
	same
	ps-restore b --machine web01 --disk root -k k -q -o r
	cmp r model.root.2
}

@test "another history of a disk is refused, the other disks go on" {
	make-segment -d root -p 2 | ps-upload a >/dev/null
	make-segment -d data -p 2 | ps-upload a >/dev/null
	make-segment -d data -p 1 | ps-upload b >/dev/null
	fails_with 1 ps-vault copy a b
	grep -q 'web01/data: 0 objects, .*; refused: fork' out
	grep -q 'web01/root: 2 objects' out
	[ ! -e "$(object b web01/data 2)" ]
	[ "$(ps-vault copy a b --json | jq -r '.disks[0].end')" = refused ]
}

@test "a vault that is ahead is left as it is" {
	make-segment -p 3 >s
	ps-upload a <s >/dev/null
	ps-upload b <s >/dev/null
	rm "$(object a web01/root 3)"
	ps-vault copy a b >out
	grep -q '0 objects' out
	[ -e "$(object b web01/root 3)" ]
}

@test "damage is not copied: the disk ends before it, others go on" {
	make-segment -d root -p 4 -s 2M | ps-upload a >/dev/null
	make-segment -d zz -p 2 | ps-upload a >/dev/null
	flip_bit "$(object a web01/root 3)" 70000
	fails_with 65 ps-vault copy a b
	grep -q 'web01/root: 2 objects, .*up to segment 2; damaged: ' out
	grep -q 'web01/zz: 2 objects' out
	[ ! -e "$(object b web01/root 3)" ]
	ps-vault verify b --data
}

@test "killed at any moment, the next copy goes on; order is never broken" {
	local i pid
	make-segment -d root,data -s 4M -p 8 -n 1M | ps-upload a >/dev/null
	for i in 1 2 3 4 5 6 7 8; do
		ps-vault copy --limit-rate 12M a b >/dev/null &
		pid=$!
		sleep "0.$((i * 7 % 10))"
		kill -9 "$pid" 2>/dev/null || true
		wait "$pid" || true
		ps-vault verify b >/dev/null
		[ "$(ps-vault verify b --json | jq '.affected | length')" -eq 0 ]
	done
	ps-vault copy a b
	same
}

@test "a full destination is temporary, and nothing is lost" {
	truncate -s 24M small.img
	mkfs.ext4 -q small.img
	mkdir m
	mount -o loop small.img m || skip "no loop devices"
	ps-vault init m/v
	make-segment -s 30M -t random -z 0 -n 4M | ps-upload a >/dev/null
	fails_with 75 ps-vault copy a m/v
	ps-vault verify m/v --json >json
	[ "$(jq '.objects > 0' json)" = true ]
	umount m
}
cleanup() { umount "$T/m" 2>/dev/null || true; }

@test "only what was asked for, and misuse is told" {
	make-segment -d root,data | ps-upload a >/dev/null
	ps-vault copy a b --machine web01 --disk data
	[ -e "$(object b web01/data 1)" ]
	[ ! -e "$(object b web01/root 1)" ]
	fails_with 1 ps-vault copy a b --machine other
	fails_with 64 ps-vault copy a
	fails_with 64 ps-vault copy a b c
	fails_with 64 ps-vault copy a b --limit-rate fast
	fails_with 66 ps-vault copy a nowhere
	mkdir empty
	fails_with 78 ps-vault copy a empty
}
