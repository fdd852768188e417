#!/usr/bin/env bats
# Passes without a point, and the limit on reading.

load ../lib/common
load model

prepare() {
	random_file src 8388608
}

@test "a pass without point sends what differs, and only the next one makes a point" {
	pass
	cp srv/point before
	put 3 A 40
	pass --no-point --segment-size 1M
	cmp src srv/image
	cmp before srv/point
	[ "$(field dirty_bytes)" -eq 0 ]
	[ "$(field point)" = true ]
	put 9 B
	pass
	same_bytes
}

@test "when nothing differs nothing is written, and the commit is content once" {
	pass
	scan --no-point >stream
	[ ! -s stream ]
	commit </dev/null
	[ "$(field dirty_bytes)" -eq 0 ]
	[ "$(field seq)" -eq 1 ]
	# The note was for that pass: silence behind another one is a fault.
	fails_with 75 commit </dev/null
	put 1 A
	scan --no-point >stream
	fails_with 75 commit </dev/null
}

@test "a note that nobody has read is not taken for the next pass" {
	pass
	scan --no-point >stream
	put 1 A
	scan >stream
	fails_with 75 commit </dev/null
}

@test "initial replication may converge too" {
	pass --no-point --segment-size 1M
	cmp src srv/image
	[ ! -e srv/point ]
	[ "$(field point)" = false ]
	put 1 A
	pass
	same_bytes
}

@test "a base of an empty disk is told, with a point or without" {
	pass
	truncate -s 0 src
	truncate -s 8388608 src
	scan --full --no-point >stream
	[ "$(ps-stream list stream | wc -l)" -ge 1 ]
	server <stream | commit
	echo "0 1 clean" >list
	pass --changed list
	same_bytes
}

@test "a pass without point that was cut off is not taken for a whole one" {
	pass
	put 0 A 64
	local rc=0
	scan --no-point --segment-size 1M | server --stop 2 | commit || rc=$?
	[ "$rc" -eq 75 ]
	settle
	[ "$(field seq)" -eq 3 ]
	[ "$(field dirty_bytes)" -eq 8388608 ]
	# The same from the other end: all that was sent is acknowledged.
	scan --no-point --segment-size 1M >stream
	head -c 1500000 stream >cut
	server <cut 2>/dev/null | fails_with 75 commit
	settle
	[ "$(field dirty_bytes)" -eq 8388608 ]
	pass
	same_bytes
}

@test "its part of the dirty list goes with the acknowledgement of its end" {
	pass
	put 3 A 20
	echo "196608 1310720 dirty" >list
	scan --no-point --segment-size 1M --changed list | server --acks 0 | commit || true
	[ "$(field dirty_bytes)" -eq 1310720 ]
	settle
	[ "$(field dirty_bytes)" -eq 0 ]
	echo "0 1 clean" >list
	pass --changed list
	same_bytes
}

# The disk is written while passes read it. Each list is closed before its pass
# begins to read, so what a pass missed stands in the list behind it.
@test "change lists that reach back to the beginning of the pass before lose nothing" {
	local i n letters=ABCDEFGHIJKLMNOPQRSTUVWXYZ
	pass
	RANDOM=7
	for n in 1 2 3 4; do
		for ((i = 0; i < 6; i++)); do
			printf '%s %s\n' "$((RANDOM % 120))" "$((RANDOM % 26))"
		done >writes.$n
	done
	write_all() {
		local at c
		while read -r at c; do
			put "$at" "${letters:c:1}"
		done <"$1"
	}
	list_of() { sort -nu -k1,1 "$1" | awk '{print $1 * 65536, 65536, "dirty"}'; }
	write_all writes.1
	for n in 1 2 3; do
		list_of writes.$n >list
		# What comes now is for the next list, whether this pass sees it or not.
		scan --no-point --fuzzy --read-rate 4M --changed list >stream &
		write_all writes.$((n + 1))
		wait $!
		if [ -s stream ]; then server <stream | commit; else commit </dev/null; fi
	done
	list_of writes.4 >list
	pass --changed list
	same_bytes
}

@test "reading keeps to its rate, and holes are free" {
	local from
	truncate -s 1G src
	from=${EPOCHREALTIME/./}
	scan --read-rate 8M >stream
	from=$((${EPOCHREALTIME/./} - from))
	# 8 MiB, of which a quarter of a second comes at once.
	[ "$from" -gt 700000 ]
	[ "$from" -lt 10000000 ]
	fails_with 64 scan --read-rate fast
	fails_with 64 scan --no-point --bookmark b
}
