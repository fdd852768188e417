#!/usr/bin/env bats
# A source that cannot be read, and a configuration that changes, in the middle
# of a pass.
# shellcheck disable=SC2154 # agent is set by begin_agent
load ../lib/common
load ../lib/chain
load agent

prepare() {
	command -v jq >/dev/null || skip "jq is not installed"
	new_server
	receive
	export BAD_DISK_IS=$T/bad
}

cleanup() {
	stop_all
	[ -z "${LOOP-}" ] || losetup -d "$LOOP"
}

# Its disk is a bad one where the file `bad` says so; see bad-disk.c.
begin_suffering() {
	BAD_DISK=$1 LD_PRELOAD=$PS_BUILD/tests/lib/bad-disk.so begin_agent
}

long_only() { [ -n "${PS_LONG-}" ] || skip "only with PS_LONG=1"; }

# whole N: so many points that the disks named behind it have together
whole() {
	[ "$(ps-vault list vault --machine m -k vault.key --json |
		jq --argjson want "$(printf '%s\n' "${@:2}" | jq -R . | jq -s .)" \
		'[.[] | select(.complete and ([.disks[].disk] | sort) == $want)] |
			length')" -ge "$1" ]
}

@test "a disk that cannot be read: told with its place, others go on, it heals" {
	local seq
	long_only
	new_agent a b </dev/null
	pipeline
	begin_suffering /b.img
	wait_for whole 2 a b
	# In the middle of the scan: what is before it is sent.
	random_file b.img 8388608 77
	echo "eio 5000000 600" >bad
	wait_for is b .state stalled
	state b .error |
		grep -q '/b.img: reading at byte 4997120: Input/output error'
	seq=$(state b .acknowledged.seq)
	scribble a.img 3
	wait_for whole 2 a
	is b .state stalled
	is b .acknowledged.seq "$seq"
	rm bad
	wait_for is b .state continuous
	is b .error ''
	wait_for whole 4 a b
	restored a
	restored b
}

@test "a disk that cannot be read: real errors of a device" {
	local at
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	new_agent a b </dev/null
	LOOP=$(losetup -f --show "$T/b.img") || skip "no loop devices"
	sed -i "s|source: $T/b.img|source: $LOOP|; s/^interval.*/interval: 1/" agent.yaml
	pipeline
	begin_agent
	wait_for whole 1 a b
	cp b.img kept
	# Pages that a pass has in its hands would not be flushed.
	agent pause
	wait_for is b .under_way_since null
	# A request across the new end would be filled up with zeros.
	truncate -s 5M b.img
	blockdev --flushbufs "$LOOP"
	agent resume
	wait_for is b .state stalled
	state b .error >error
	grep -q "$LOOP: reading at byte 5242880: Input/output error" error ||
		{ cat error; false; }
	at=$(state b .acknowledged.seq)
	# The others go on, each with whole points of its own.
	scribble a.img 3
	wait_for whole 2 a # its initial replication was the first
	is b .state stalled
	is b .acknowledged.seq "$at"
	agent pause
	wait_for is b .under_way_since null
	cat kept >b.img
	scribble b.img 4
	blockdev --flushbufs "$LOOP"
	agent resume
	wait_for is b .state continuous
	is b .error ''
	wait_for whole 2 a b
	ps-restore vault --machine m --disk b --point latest -k vault.key -q -o out.img
	cmp out.img b.img
}

# Passes of DISK without a change list, but for one that a pause took back.
without_list() {
	awk '$1 == "create" { want[$2]; last = $2 }
		$1 == "changes" { delete want[$2] }
		END { delete want[last]; for (i in want) n++; print n + 0 }' \
		"state/disks/$1/provider/calls"
}

@test "SIGHUP in the middle of a pass: the pass goes on, then it is obeyed" {
	local seq
	new_agent a:copy </dev/null
	sed -i 's/^interval.*/interval: 1/' agent.yaml
	pipeline
	begin_suffering .img
	wait_for is a '.acknowledged.seq >= 2' true
	agent pause
	wait_for is a .under_way_since null
	echo slow 2000 >bad
	scribble a.img 5 20 # far longer than what follows takes
	agent resume
	pass_runs() { jq -e .running state/disks/a/.stages && is a '.sending != null' true; }
	wait_for pass_runs
	truncate -s 4M b.img
	echo "  - {name: b, source: $T/b.img}" >>agent.yaml
	kill -HUP "$agent"
	wait_for said 'waits for passes under way'
	seq=$(state a .acknowledged.seq)
	rm bad
	wait_for is b .complete true
	wait_for is a ".acknowledged.seq > $seq" true
	# Each pass but the first one had its list: none was cut.
	agent pause
	wait_for is a .under_way_since null
	[ "$(grep -c '^changes ' state/disks/a/provider/calls)" -ge 2 ]
	[ "$(without_list a)" -eq 1 ]
	wait_for drained
	restored a
}

@test "a second SIGHUP does not wait; a disk that takes long keeps nobody from points" {
	local seq
	long_only
	new_agent a:copy big </dev/null
	sed -i 's/^interval.*/interval: 1/' agent.yaml
	random_file big.img 60000000
	echo slow 30000 >bad
	begin_suffering /big.img
	wait_for is a '.acknowledged.seq >= 1' true
	wait_for is big .state 'initial sync'
	truncate -s 4M c.img
	echo "  - {name: c, source: $T/c.img}" >>agent.yaml
	kill -HUP "$agent"
	wait_for said 'waits for passes under way'
	seq=$(state a .acknowledged.seq)
	wait_for is a ".acknowledged.seq >= $seq + 2" true
	is c .complete false
	rm bad
	kill -HUP "$agent"
	wait_for is c .complete true
	wait_for is big .complete true
}
