#!/usr/bin/env bats
# Is it the disk, and the machine, that the replica is of? Real loop devices
# behind a link below /dev that moves, as /dev/sdb does between two boots.
# shellcheck disable=SC2154 # agent is set by begin_agent
load ../lib/common
load ../lib/chain
load agent

prepare() {
	command -v jq >/dev/null || skip "jq is not installed"
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	LOOPS=() LINK=
	new_server
	receive
	umask 077
}

cleanup() {
	local loop
	stop_all
	[ -z "$LINK" ] || rm -f "$LINK"
	for loop in "${LOOPS[@]}"; do losetup -d "$loop"; done
}

# loop IMAGE: a device of its own, in $loop
loop() {
	loop=$(losetup -f --show "$T/$1") || skip "no loop devices"
	LOOPS+=("$loop")
}

# Two disks, and an agent whose disk d is a link to the first one.
two_disks() {
	random_file d.img 4194304 1
	random_file other.img "${1:-4194304}" 2
	new_agent d e </dev/null
	pipeline
	LINK=/dev/ps-test.$$
	sed -i "s|source: $T/d.img|source: $LINK|" agent.yaml
	loop other.img
	other=$loop
	loop d.img
	ln -s "$loop" "$LINK"
}

moves_to() {
	ln -sfn "$1" "$LINK"
}

@test "another disk under the old name is not sent, the others are; it may come back" {
	local seq
	two_disks
	agent once
	seq=$(state d .acknowledged.seq)
	state d .identity | grep -q '^loop:.*d.img$'
	moves_to "$other"
	scribble e.img 5
	fails_with 78 agent once
	grep -q "d: $LINK is another disk (loop:.*other.img) than before (loop:.*d.img)" err
	grep -q 'ps-agent accept d' err
	is d .state stalled
	is d .acknowledged.seq "$seq"
	# What it must not become a part of goes on.
	agent once 2>/dev/null || true
	is e .state continuous
	[ "$(state e .acknowledged.seq)" -gt 1 ]
	moves_to "$loop"
	agent once
	is d .state continuous
	is d .error ''
	wait_for drained
	restored d
	restored e
}

@test "another disk that is meant is accepted, a smaller one too" {
	two_disks 3145728
	sed -i 's/^max-wait.*/max-wait: 600/' agent.yaml
	begin_agent
	wait_for is d '.acknowledged.seq >= 1' true
	moves_to "$other"
	wait_for is d .state stalled
	wait_for said 'another disk'
	# It does not wait for ten minutes.
	agent accept d
	wait_for is d .state continuous
	is d .size_bytes 3145728 || wait_for is d .size_bytes 3145728
	state d .identity | grep -q '^loop:.*other.img$'
	agent pause
	wait_for is d .under_way_since null
	wait_for drained
	restored d other.img
}

@test "a clone of the machine does not go on with the state of the first" {
	random_file d.img 4194304 1
	new_agent d </dev/null
	agent once
	[ -s /etc/machine-id ] || skip "this machine has no id"
	tr 0-9a-f 1-9a-f0 </etc/machine-id >another-id
	unshare -m true 2>/dev/null || skip "no mount namespaces"
	as_clone() {
		unshare -m sh -c 'mount --bind "$0" /etc/machine-id && exec "$@"' \
			"$T/another-id" ps-agent "$1" -c agent.yaml
	}
	scribble d.img 3
	fails_with 78 as_clone once
	grep -q 'made on another machine (is this a clone?)' err
	is d .acknowledged.seq 1
	# The first goes on, and the other one when that is meant.
	agent once
	is d .acknowledged.seq 2
	agent accept
	as_clone once
	is d .acknowledged.seq 3
	fails_with 78 agent once
}

@test "two agents with two state folders: the second says who has the disk, and loses nothing" {
	local first
	random_file d.img 4194304 1
	mkdir elsewhere
	ln -s ../d.img elsewhere/disk
	new_agent d </dev/null
	sed "s|^state:.*|state: $T/other|; s|source: $T/d.img|source: $T/elsewhere/disk|" \
		agent.yaml >other.yaml
	echo slow 1000 >bad
	export BAD_DISK_IS=$T/bad
	BAD_DISK=/d.img LD_PRELOAD=$PS_BUILD/tests/lib/bad-disk.so \
		start ps-agent once -c agent.yaml
	first=${STARTED[-1]}
	wait_for is d '.sending != null' true
	fails_with 75 ps-agent once -c other.yaml
	grep -q "disk: another ps-agent works on this disk (process $first, disk d of machine m, state $T/state)" err
	rm bad
	wait "$first"
	is d .acknowledged.seq 1
	# Later it is free, for the other one, too; it asks for a digest map.
	fails_with 75 ps-agent once -c other.yaml
	grep -q 'the digest map is being made' err
	# One agent does not scan it twice either.
	echo "  - {name: twin, source: $T/elsewhere/disk}" >>agent.yaml
	fails_with 78 agent once
	grep -q 'are the same disk (.*d.*twin\|are the same disk (.*twin.*d' err
	[ -z "$(ls run/disks)" ]
}

@test "an image that was exchanged is known by what is on it, wherever it lies" {
	ps-scan --version | grep -q blkid || skip "built without libblkid"
	new_agent d e </dev/null
	pipeline
	mkfs.ext4 -q -F -U 11111111-2222-3333-4444-555555555555 d.img
	agent once
	is d .identity ext4:11111111-2222-3333-4444-555555555555
	is e .identity ''
	# A restore of the same disk is the same disk.
	cp d.img copy
	mv copy d.img
	agent once
	truncate -s 8M copy
	mkfs.ext4 -q -F copy
	mv copy d.img
	fails_with 78 agent once
	grep -q "d.img is another disk (ext4:.*) than before (ext4:1111.*5)" err
	is d .acknowledged.seq 2
	agent once 2>/dev/null || true
	is e .state continuous
	agent accept d
	agent once
	wait_for drained
	restored d
}

@test "of two agents that cron begins in turns one stops, and accept goes on" {
	local turn who
	new_agent d </dev/null
	sed "s|^state:.*|state: $T/other|" agent.yaml >other.yaml
	# A map was asked for long ago, and nobody makes one: a new base is begun.
	once() {
		touch -d '1 hour ago' s1/cache/m/d/map.want
		ps-agent once -c "$1.yaml" 2>err
	}
	word() { ps-agent status -c "$1.yaml" --json | jq -r '.disks[0].state'; }
	agent once
	for ((turn = 0; turn < 4; turn++)); do
		for who in other agent; do
			once "$who" || { [ $? -eq 78 ] && break 2; }
		done
	done
	grep -q 'nothing more is sent; stop the other one, then: ps-agent accept d' err
	[ "$turn $who" = '1 agent' ]
	# Not the next time either; the other one has no trouble.
	fails_with 78 agent once
	grep -q 'another agent sends this disk, too' err
	[ "$(word agent)" = stalled ]
	once other
	[ "$(word other)" = continuous ]
	agent accept d
	once agent
	[ "$(word agent)" = continuous ]
	# What was seen once is forgotten when it does not come again.
	once other && false
	ps-agent accept -c other.yaml d
	once other
	once agent
	rivals() { jq '.disks[0].rivals' state/state.json; }
	[ "$(rivals)" -eq 1 ]
	[ -n "${PS_LONG-}" ] || return 0
	for ((turn = 0; turn < 10; turn++)); do agent once; done
	[ "$(rivals)" -eq 0 ]
}

@test "of two agents that send one disk one stops, and says so" {
	[ -n "${PS_LONG-}" ] || skip "takes a minute: PS_LONG=1"
	random_file d.img 4194304 1
	new_agent d </dev/null
	sed -i 's/^interval.*/interval: 8/' agent.yaml
	pipeline
	sed "s|^state:.*|state: $T/other|" agent.yaml >other.yaml
	begin_agent
	wait_for is d '.acknowledged.seq >= 1' true
	start ps-agent run -c other.yaml 2>other.err
	stopped() {
		grep -q 'another agent sends this disk, too' agent.err ||
			grep -q 'another agent sends this disk, too' other.err
	}
	wait_for stopped || wait_for stopped || wait_for stopped
	# The one that goes on has no trouble any more.
	going_on() {
		ps-agent status -c agent.yaml --json
		ps-agent status -c other.yaml --json
	}
	states() { going_on | jq -r '.disks[0].state' | sort | paste -sd ,; }
	one_each() { [ "$(states)" = continuous,stalled ]; }
	wait_for one_each
}
