#!/usr/bin/env bats
# ps-agent with the provider for plain partitions: a file system that is in
# use all the time, held for the moment of a bookmark.
# shellcheck disable=SC2154 # agent is set by begin_agent
load ../lib/common
load ../lib/chain
load ../providers/providers
load agent

prepare() {
	command -v jq >/dev/null || skip "jq is not installed"
	[ "$(id -u)" -eq 0 ] || skip "needs root, to mount"
	export PS_RUN_DIR=$T/run
	truncate -s "${SIZE:-48M}" fs.img
	mkfs.ext4 -q fs.img
	LOOP=$(losetup -f --show fs.img) || skip "no loop devices"
	mkdir m
	mount "$LOOP" m
	new_server
	receive
	pipeline
	agent_of
}

cleanup() {
	fsfreeze -u m 2>/dev/null || true
	stop_all
	tracers_end
	umount m 2>/dev/null || umount -l m 2>/dev/null || true
	losetup -d "$LOOP" 2>/dev/null || true
}

agent_of() {
	new_agent </dev/null
	export PS_PROVIDER_DIR=$PS_SOURCE/providers
	echo "  - {name: root, source: $LOOP, provider: fsfreeze, options: {window: 20}}" >>agent.yaml
}

# Somebody writes all the time: numbered files, each of one content.
write_on() {
	local n=0
	while [ ! -e stop ]; do
		n=$((n + 1))
		head -c 200000 /dev/urandom >"m/$((n % 20)).tmp"
		mv "m/$((n % 20)).tmp" "m/$((n % 20))" 2>/dev/null || return 0
		sync "m/$((n % 20))"
	done
}

@test "a file system in use: the points are crash-consistent, and sound" {
	local writer
	write_on &
	writer=$!
	agent once
	agent once
	: >stop
	wait "$writer"
	wait_for points 2
	[ "$(state root .acknowledged.consistency)" = crash ]
	ps-vault list vault --machine m -k vault.key --json >list
	[ "$(jq -r 'map(select(.consistency == "crash")) | length >= 2' list)" = true ]
	ps-restore vault --machine m --disk root --point latest -k vault.key \
		-q -o out.img
	# The journal is replayed, as after a crash; then nothing is wrong.
	e2fsck -fy out.img >fsck 2>&1 || [ $? -le 1 ]
	e2fsck -fn out.img
	# Nobody is held any more.
	timeout 5 touch m/after
}

@test "a disk that stands still restores byte for byte" {
	head -c 3000000 /dev/urandom >m/data
	sync m/data
	agent once
	wait_for points 1
	umount m
	ps-restore vault --machine m --disk root --point latest -k vault.key \
		-q -o out.img
	mkdir r
	mount -o loop out.img r
	cmp r/data <(mount "$LOOP" m && cat m/data)
	umount r
}
