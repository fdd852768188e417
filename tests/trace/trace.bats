#!/usr/bin/env bats
# ps-trace: what is written shows in the list, and what was not seen is said to
# be unknown. On loop devices, with the kernel's own trace.
load ../lib/common
load ../providers/providers
load trace

prepare() {
	root_only
	need fsfreeze xfs_io jq fuser python3
	grep -qw tracefs /proc/filesystems || skip "the kernel has no tracefs"
}

cleanup() { untraced; }

# Before any event is lost nothing else may be: all kinds of writing, two cuts
# with a base, one of them again with the older base.
all_is_listed() {
	traced "$@"
	begin
	write_all_ways
	unknown a
	write_all_ways
	known b a
	write_all_ways
	known c b
	write_all_ways
	# The pass after c failed: what was written before it is told again.
	cut d b
	[ "$CODE" = 0 ]
	listed_all d b
	# Nothing happens, but what thawing and freezing itself writes.
	known e d
	[ "$(listed_bytes e.list)" -lt 1000000 ]
	# An older one is not known any more.
	unknown f b
	grep -q "not traced" f.err
	ps-trace status --state state | grep -qx "times_lost: 0"
}

@test "ext4 on a partition: every block that differs is listed" {
	all_is_listed partition ext4
}

@test "XFS on a partition" {
	long_only
	all_is_listed partition xfs
}

@test "ext4 on a whole device" {
	long_only
	all_is_listed device ext4
}

@test "XFS on a whole device" {
	all_is_listed device xfs
}

@test "what is written around a partition is not listed" {
	traced partition ext4
	begin
	unknown a
	dd if=/dev/urandom of="$LOOP" bs=512 count=2050 conv=notrunc,fsync oflag=direct status=none
	known b a
	[ "$(listed_bytes b.list)" -lt 1000000 ]
	# Through the whole disk, the first and the last block of the partition.
	dd if=/dev/urandom of="$LOOP" bs=512 seek=2050 count=1 oflag=direct conv=notrunc status=none
	dd if=/dev/urandom of="$LOOP" bs=512 seek=$((2049 + 320 * 2048)) count=1 oflag=direct \
		conv=notrunc status=none
	known c b
	grep -q "^0 " c.list
	tail -n 1 c.list | grep -q "^335478784 65536 dirty"
}

@test "events that had no room make the list unknown, and then it goes on" {
	traced device ext4
	begin --buffer 8K
	unknown a
	kill -STOP "$(tracer_pid)"
	xfs_io -f -c "pwrite -q -b 4k 0 8m" -c fsync fs/f
	dd if=/dev/urandom of=fs/f bs=4K count=1000 oflag=direct conv=notrunc status=none
	kill -CONT "$(tracer_pid_of_lock)"
	unknown b a
	grep -q "events were lost" b.err
	write_little
	known c b
}

# While it is stopped it cannot be asked.
tracer_pid_of_lock() { fuser state/lock 2>/dev/null | tr -d ' '; }

write_little() {
	random_file fs/little 200000 "$RANDOM"
	sync -f fs
}

@test "killed, stopped, another disk: nothing is known" {
	local pid
	traced partition ext4
	begin
	unknown a
	write_little
	known b a
	pid=$(tracer_pid)
	kill -9 "$pid"
	wait_for eval "! kill -0 $pid"
	write_little
	cut c b
	[ "$CODE" = 69 ]
	# What the killed one left in the kernel is no hindrance.
	begin
	unknown d b
	write_little
	known e d
	fails_with 75 begin
	ps-trace stop --state state
	begin
	unknown f e
	# It is asked for another disk: it has nothing to say, and ends.
	fails_with 69 ps-trace cut --device "$LOOP" --state state --to g --base f
	wait_for begin
	unknown h f
	# The partition grows.
	write_little
	resizepart "$LOOP" 1 $((320 * 2048 + 1000))
	cut i h
	[ "$CODE" = 69 ]
	grep -q "not the disk any more" i.err
}

@test "tracing that somebody ends is noticed" {
	traced device ext4
	begin
	unknown a
	write_little
	mkdir tracefs
	mount -t tracefs tracefs tracefs
	for f in tracefs/instances/ps-trace-*; do
		# Others may trace at this moment, too.
		if grep -q "dev == $(((7 << 20) + ${LOOP#/dev/loop})) " \
			"$f/events/block/block_bio_queue/filter"; then
			echo 0 >"$f/tracing_on"
		fi
	done
	umount tracefs
	write_little
	cut b a
	[ "$CODE" = 69 ]
	grep -q "do not show" b.err
}

@test "called wrongly, or for what cannot be traced" {
	traced device ext4
	fails_with 64 ps-trace
	fails_with 64 ps-trace cut --device "$DISK" --state state
	fails_with 64 ps-trace cut --device "$DISK" --state state --to 'a b'
	fails_with 64 ps-trace run --device "$T/fs.img" --state state
	fails_with 66 ps-trace start --device "$T/nothing" --state state
	fails_with 69 ps-trace status --state "$T/nowhere"
	begin
	unknown a
	fails_with 64 ps-trace cut --device "$DISK" --state state --to a --base a
	# The length of the folder's name does not matter.
	ps-trace stop --state state
	long=$T/$(printf 'x%.0s' {1..200})
	ps-trace start --device "$DISK" --state "$long"
	ps-trace status --state "$long" --json | jq -e '.size == 337641472'
	ps-trace stop --state "$long"
	[ ! -e "$long/socket" ]
}

@test "writers were let go before the cut was made: it is no base" {
	traced device ext4
	environment "$DISK" PS_OPT_WINDOW=1
	fails_with 1 provider fsfreeze converge ps-1
	write_little
	provider fsfreeze converge ps-2 ps-1 >list
	grep -q dirty list
	mkdir slow
	# shellcheck disable=SC2016 # for that shell
	printf '#!/bin/sh\n[ "$1" != cut ] || sleep 2\nexec %s "$@"\n' \
		"$(command -v ps-trace)" >slow/ps-trace
	chmod +x slow/ps-trace
	PATH=$T/slow:$PATH fails_with 1 provider fsfreeze converge ps-3 ps-2
	fails_with 69 ps-trace status --state run/providers/trace.w.d
	fails_with 1 provider fsfreeze converge ps-4 ps-3
	timeout 5 touch fs/after
}
