#!/usr/bin/env bats
# heavy: measures what is read of a disk of half a GiB in use
# ps-agent protects a plain disk in use: what ps-trace saw is all that is read,
# and each point is the disk of its window, bit for bit.
# shellcheck disable=SC2154 # agent is set by begin_agent
load ../lib/common
load ../lib/chain
load ../providers/providers
load ../agent/agent
load trace

prepare() {
	root_only
	need fsfreeze jq
	grep -qw tracefs /proc/filesystems || skip "the kernel has no tracefs"
	export PS_RUN_DIR=$T/run
	traced device ext4 510
	new_server
	receive
	pipeline
	protected
}

cleanup() {
	: >stop
	cat s1/receive.err agent.err # shown when the test failed
	fsfreeze -u fs 2>/dev/null || true
	stop_all
	untraced
}

# The provider, and a copy of the disk as it is in each window.
protected() {
	new_agent </dev/null
	echo "  - {name: root, source: $LOOP, provider: modelled, options: {window: 60}}" >>agent.yaml
	mkdir providers
	cat >providers/modelled <<-END
		#!/bin/bash
		echo "\$1" >>$T/words
		"$PROVIDERS/fsfreeze" "\$1" || exit
		[ "\$1" != create ] ||
			dd if=$LOOP of=$T/model bs=1M iflag=direct conv=sparse status=none
	END
	chmod +x providers/modelled
	export PS_PROVIDER_DIR=$T/providers
}

# Bytes that were read of the disk; the copies for the model are among them.
bytes_read() { awk '{ print $3 * 512 }' "/sys/block/${LOOP#/dev/}/stat"; }

# Writes all the time: a database's pages, files that come and go.
write_on() {
	local n=0
	while [ ! -e stop ]; do
		n=$((n + 1))
		head -c 200000 /dev/urandom >"fs/$((n % 20)).tmp"
		mv "fs/$((n % 20)).tmp" "fs/$((n % 20))" || return 0
		dd if=/dev/urandom of=fs/pages bs=16K count=1 seek=$((RANDOM % 1000)) \
			conv=notrunc,fdatasync oflag=direct status=none || return 0
		sync "fs/$((n % 20))"
	done
}

# One bookmark; sets READ, without what the model cost.
bookmark() {
	local before
	: >words
	before=$(bytes_read)
	agent once
	READ=$(($(bytes_read) - before - $(stat -c %s model)))
}

# point N: the newest one, of N, restores to what the disk was.
point() {
	wait_for points "$1"
	ps-restore vault --machine m --disk root --point latest -k vault.key -q -o out.img
	cmp out.img model
	rm out.img
}

@test "a disk in use: once all is read, then what was written" {
	local size tracer writer
	size=$(blockdev --getsize64 "$LOOP")
	random_file fs/pages $((16384 * 1000))
	start write_on
	writer=${STARTED[-1]}
	bookmark
	[ "$READ" -ge "$size" ]
	# All was read in the first of the passes before the window.
	[ "$READ" -lt $((size + size / 5)) ]
	[ "$(grep -c converge words)" -ge 2 ]
	point 1
	bookmark
	[ "$READ" -lt $((size / 5)) ]
	point 2
	[ "$(state root .acknowledged.consistency)" = crash ]
	# The one that keeps book is killed: all is read, and nothing is wrong.
	tracer=$(ps-trace status --state run/providers/trace.m.root --json | jq .pid)
	kill -9 "$tracer"
	bookmark
	[ "$READ" -ge "$size" ]
	point 3
	: >stop
	wait "$writer"
	# As after a power loss: the journal is replayed, then nothing is wrong.
	e2fsck -fy model >fsck 2>&1 || [ $? -le 1 ]
	e2fsck -fn model
	timeout 5 touch fs/after
}

@test "a rescan reads all, once, before the window" {
	local size
	long_only
	size=$(blockdev --getsize64 "$LOOP")
	random_file fs/pages $((16384 * 1000))
	bookmark
	agent rescan root
	bookmark
	[ "$READ" -ge "$size" ]
	[ "$READ" -lt $((size + size / 5)) ]
	point 2
}

@test "where nothing can be traced all is read, once before the window and in it" {
	long_only
	mkdir none
	printf '#!/bin/sh\nexit 69\n' >none/ps-trace
	chmod +x none/ps-trace
	random_file fs/pages $((16384 * 1000))
	PATH=$T/none:$PATH bookmark 2>err
	grep -q "is not traced" err
	[ "$(grep -c converge words)" -le 2 ]
	point 1
}

@test "passes that are cut, at any place: what they were to send comes later" {
	local i writer
	random_file fs/pages $((16384 * 1000))
	bookmark
	point 1
	start write_on
	writer=${STARTED[-1]}
	for i in 1 2 3 4 5; do
		begin_agent
		sleep "0.$((i * 2))"
		kill -9 "$agent"
		wait "$agent" 2>/dev/null || true
	done
	bookmark
	: >stop
	wait "$writer"
	bookmark
	# How many of those before came to their end is chance.
	wait_for newest_is_stored
	point 2
}

newest_is_stored() {
	agent once 2>/dev/null
	[ "$(state root .stored.bookmark)" = "$(state root .acknowledged.bookmark)" ]
}
