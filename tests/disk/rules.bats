#!/usr/bin/env bats
# The agent's rules: each with the counter-example that breaks a naive version.

load ../lib/common
load model

prepare() {
	# 128 blocks of 64 KiB; segments of 1 MiB, so a pass has several.
	random_file src 8388608
}

@test "a block that changes and changes back around an interrupted pass" {
	pass
	cp src first
	put 0 A 1
	put 64 B 40
	# Block 0 arrives and is acknowledged; then the server dies.
	scan --segment-size 1M | server --stop 2 | commit || true
	[ "$(field seq)" -eq 2 ] # it is in the map
	settle
	cp first src
	pass
	same_bytes
}

@test "a change list consumed by a pass that failed" {
	pass
	put 3 A
	# It fails in its first segment: nothing of it is in the journal.
	echo "196608 65536 dirty" | scan --changed - >/dev/full 2>/dev/null || true
	[ "$(field sent_seq)" -eq 1 ]
	settle
	put 9 B
	echo "589824 65536 dirty" >list
	pass --changed list
	same_bytes
}

@test "a change list is not taken while the last pass is not settled" {
	pass
	put 3 A
	scan | server --acks 0 | commit || true
	put 4 B
	echo "262144 65536 dirty" >list
	fails_with 75 scan --changed list
	[ ! -s out ]
	grep -q 'ps-scan: hint: .*--commit --map map' err
	settle
	pass --changed list
	same_bytes
}

@test "an acknowledgement lost after the server had the segment, and the source has changed since" {
	pass
	put 5 A 20
	scan --segment-size 1M | server --acks 0 | commit || true
	[ "$(field seq)" -eq 1 ]
	put 5 B
	settle
	[ "$(field seq)" -eq 3 ]
	pass
	same_bytes
}

@test "the block changed back after its acknowledgement was lost" {
	pass
	cp src first
	put 5 A
	scan | server --acks 0 | commit || true
	cp first src
	settle
	pass
	same_bytes
}

@test "a source that loses power after everything was sent and nothing was committed" {
	pass
	put 7 A 60
	scan --segment-size 1M >stream
	server <stream >/dev/null # the acknowledgements never arrive
	fails_with 75 scan
	put 7 B
	settle
	pass
	same_bytes
}

@test "ps-scan killed in the middle of a segment" {
	pass
	put 0 A 100
	mkfifo pipe
	scan --segment-size 1M >pipe &
	local pid=$!
	head -c 2500000 <pipe >stream &
	wait $!
	kill -9 $pid 2>/dev/null || true
	wait $pid || true
	server <stream | commit || true
	settle
	put 50 B
	pass
	same_bytes
}

@test "a server that lost its cache gets back what it lost, without a full scan" {
	pass
	put 1 A 30
	pass
	cp -r srv old
	put 2 B 3
	pass
	put 100 C 3
	dd if=/dev/zero of=src bs=65536 seek=40 count=5 conv=notrunc status=none
	truncate -s 8400000 src
	pass
	rm -rf srv && mv old srv
	settle
	[ "$(field seq)" -eq 2 ]
	# Nothing has changed since: only what was lost is read.
	echo "0 8400000 clean" >list
	pass --changed list
	same_bytes
	[ "$(field seq)" -eq 3 ]
}

@test "a server that lost its cache, and blocks that went back to what the older head has" {
	pass
	cp src first
	cp -r srv old
	put 2 B 3
	pass
	cp first src
	rm -rf srv && mv old srv
	settle
	echo "131072 196608 dirty" >list
	pass --changed list
	same_bytes
}

@test "a server that lost everything, while the journal still has it all" {
	pass
	put 2 B
	pass
	rm -rf srv
	settle
	[ "$(field seq)" -eq 0 ]
	pass
	same_bytes
	[ "$(field seq)" -eq 1 ]
}

@test "a server that lost a later base" {
	pass
	cp -r srv old
	put 2 B
	pass --full
	put 3 C
	pass
	rm -rf srv && mv old srv
	settle
	[ "$(field new_base)" = true ]
	dd if=/dev/zero of=src bs=65536 seek=9 count=5 conv=notrunc status=none
	pass
	same_bytes
	[ "$(field new_base)" = false ]
}

@test "a head that the journal does not lead back to is an error, and --restart goes on from it" {
	pass
	cp -r srv old
	put 2 B
	pass
	put 3 B
	pass
	# All three are in the vault: the journal lets them go.
	head_line | sed 's/^durable/stored/' | commit
	[ "$(field journal)" -eq 0 ]
	rm -rf srv && mv old srv
	fails_with 65 bash -c 'apply-stream --head srv w r | ps-scan --commit --map map'
	grep -q -- '--restart' err
	[ "$(field seq)" -eq 3 ]
	dd if=/dev/zero of=src bs=65536 seek=9 count=5 conv=notrunc status=none
	head_line | commit --restart
	[ "$(field seq)" -eq 1 ]
	pass
	same_bytes
}

@test "a lost map: --restart begins a new base behind the server's head" {
	pass
	rm -rf map map.journal
	fails_with 65 bash -c 'apply-stream --head srv w r | ps-scan --commit --map map'
	head_line | commit --restart --machine w --disk r
	put 2 B
	pass
	same_bytes
	[ "$(field seq)" -eq 2 ]
}

@test "a lost map is rebuilt from the vault, and the next scan reads everything" {
	local disk="--machine w --disk r"
	ps-vault init vault
	scan --segment-size 1M | ps-upload vault | commit
	put 3 A 20
	scan --segment-size 1M | ps-upload vault | commit
	rm -rf map map.journal
	put 30 B
	dd if=/dev/zero of=src bs=65536 seek=9 count=5 conv=notrunc status=none
	# shellcheck disable=SC2086
	ps-vault map vault $disk -o map
	# shellcheck disable=SC2086
	ps-vault head vault $disk | commit
	echo "0 8388608 clean" >list
	scan --changed list >stream
	# What is there already is not sent again.
	[ "$(stat -c %s stream)" -lt 70000 ]
	ps-upload vault <stream | commit
	# shellcheck disable=SC2086
	ps-restore vault $disk -o replica
	cmp src replica
}

@test "a lost dirty list stands for the whole disk" {
	pass
	put 2 B
	rm map.journal/dirty
	echo "0 65536 dirty" >list
	pass --changed list
	same_bytes
}

@test "initial replication interrupted five times goes on each time" {
	local i
	for i in 1 2 3 4 5; do
		scan --segment-size 1M | server --stop 2 | commit || true
		settle
		put $((i * 3)) "$i"
	done
	[ "$(field seq)" -ge 5 ]
	[ "$(field point)" = false ]
	scan --segment-size 1M >stream
	# Most of it is there already.
	[ "$(stat -c %s stream)" -lt 4000000 ]
	server <stream | commit
	[ "$(field point)" = true ]
	same_bytes
}

@test "a rolled-back map knows whether a point was reached" {
	scan --segment-size 1M | server --stop 2 | commit || true
	settle
	cp -r srv old
	pass
	[ "$(field point)" = true ]
	rm -rf srv && mv old srv
	settle
	[ "$(field point)" = false ]
	pass
	same_bytes
}

@test "an acknowledgement in a running pipeline takes nothing back" {
	pass
	put 0 A 100
	scan --segment-size 1M >stream
	server <stream >all
	# The first line arrives and the pipeline is cut.
	head -n 1 all >first
	fails_with 75 bash -c 'ps-scan --commit --map map <first'
	[ "$(field seq)" -eq 2 ]
	[ "$(field sent_seq)" -eq 8 ]
	tail -n +2 all | commit
	[ "$(field seq)" -eq 8 ]
	pass
	same_bytes
}

@test "segments that the server never took are forgotten, and their blocks sent again" {
	pass
	put 0 A 100
	scan --segment-size 1M >/dev/null
	settle
	[ "$(field seq)" -eq 1 ]
	[ "$(field sent_seq)" -eq 1 ]
	echo "0 8388608 clean" >list
	pass --changed list
	same_bytes
}
