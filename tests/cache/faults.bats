#!/usr/bin/env bats
# Killed, out of room, a disk that lies: nothing half-written, nothing that
# was acknowledged is lost, a failed fsync is final.
load ../lib/common
load cache

# Each acknowledged segment is there and whole; nothing else is visible.
is_sound() {
	local acks=$1
	ps-cache verify -C C >verify.out || return 1
	while read -r level _ disk seq _; do
		[ "$level" = durable ] || continue
		[ -s "C/web01/$disk/$(printf %020d "$seq")" ] || {
			echo "acknowledged and not there: $disk $seq" >&2
			return 1
		}
	done <"$acks"
}

@test "a put that is killed at any call: what it acknowledged is there" {
	local n
	make_stream s -p 3 -s 64K -c 100
	for ((n = 1; n < 100; n++)); do
		rm -rf C
		prepare
		if failing any "$n" kill ps-cache put -C C <s >acks 2>/dev/null
		then break; fi
		is_sound acks
		# And it starts again without repair.
		put s
		[ "$(wc -l <acks.s)" -eq 3 ]
		[ "$(segments)" = "1 2 3" ]
		no_leftovers
	done
	[ "$n" -gt 15 ]
	[ "$n" -lt 100 ]
}

@test "a put that is killed at random moments, again and again" {
	local i pid
	make_stream s -d root,data -p 6 -s 2M -n 512K
	for ((i = 0; i < 25; i++)); do
		ps-cache put -C C <s >acks 2>/dev/null 3>&- &
		pid=$!
		sleep "0.0$((RANDOM % 5))$((RANDOM % 10))"
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" || true
		is_sound acks
	done
	put s
	no_leftovers
}

@test "an ack that is killed at any call is made good by the next one" {
	local n
	make_stream s -p 4 -s 64K -c 100
	put s
	stored acks.s | head -n 3 >acks
	cp -r C saved
	for ((n = 1; n < 60; n++)); do
		rm -rf C
		cp -r saved C
		if failing any "$n" kill ps-cache ack -C C <acks >/dev/null 2>&1
		then break; fi
		ps-cache verify -C C >/dev/null
		[ "$(field root accepted.digest)" = "$(digest_of acks.s 4)" ]
		ps-cache ack -C C <acks >/dev/null
		ps-cache follow --once -C C >out
		[ "$(stat -c %s out)" -eq \
			"$(stat -c %s "C/web01/root/$(printf %020d 4)")" ]
		put s
		[ "$(cut -f1 acks.s | paste -sd ' ')" = \
			"stored stored stored durable" ]
	done
	[ "$n" -gt 6 ]
	[ "$n" -lt 60 ]
}

@test "a failed fsync is final: 71, no acknowledgement, the cache is marked" {
	local n rc
	make_stream s -p 2 -s 64K
	for ((n = 1; n < 40; n++)); do
		rm -rf C
		prepare
		rc=0
		failing fsync "$n" EIO ps-cache put -C C <s >acks 2>err || rc=$?
		if [ "$rc" -eq 0 ]; then break; fi
		[ "$rc" -eq 71 ]
		grep -q 'Input/output error' err
		[ "$(wc -l <acks)" -lt 2 ]
		[ -s C/failed ]
		fails_with 71 ps-cache put -C C <s
		fails_with 71 ps-cache follow --once -C C
		fails_with 71 ps-cache ack -C C </dev/null
		grep -q 'marked failed' err
		grep -q 'verify, then remove' err
		fails_with 71 ps-cache stat -C C
		# What had been acknowledged is still there to be looked at.
		is_sound acks
		rm C/failed
		put s
	done
	# Two segments of file and folder each, and the names of the folders.
	[ "$n" -gt 6 ]
	[ "$n" -lt 40 ]
}

@test "a failed close is as final" {
	make_stream s -s 64K
	local n rc seen=0
	for ((n = 1; n < 20; n++)); do
		rm -rf C
		prepare
		rc=0
		failing close "$n" EIO ps-cache put -C C <s >acks 2>err || rc=$?
		if [ "$rc" -eq 71 ]; then
			seen=1
			[ ! -s acks ]
			[ -s C/failed ]
			[ -z "$(segments)" ]
		fi
	done
	[ "$seen" -eq 1 ]
}

@test "a failed fsync ends a process that follows, and other writers" {
	make_stream s -d root
	make_stream d -d data
	put s
	start bash -c 'exec ps-cache follow -C C >out'
	wait_for cmp s out
	fails_with 71 failing fsync 1 EIO ps-cache put -C C <d
	local rc=0
	wait "${STARTED[-1]}" || rc=$?
	[ "$rc" -eq 71 ]
}

@test "a failed fsync in ack is final, too, and nothing is removed" {
	make_stream s
	put s
	stored acks.s >acks
	ps-cache follow --once -C C >/dev/null
	fails_with 71 failing fsync 1 EIO ps-cache ack -C C <acks
	[ "$(segments)" = 1 ]
	[ ! -s out ]
	[ -e C/failed ]
}

@test "no room at any write: 75, no half segment, the same put works later" {
	local n rc
	make_stream s -p 2 -s 64K
	for ((n = 1; n < 40; n++)); do
		rm -rf C
		prepare
		rc=0
		failing write "$n" ENOSPC ps-cache put -C C <s >acks 2>err || rc=$?
		if [ "$rc" -eq 0 ]; then break; fi
		[ "$rc" -eq 75 ]
		grep -q 'No space left' err
		is_sound acks
		no_leftovers
		[ ! -e C/failed ]
		put s
		[ "$(segments)" = "1 2" ]
	done
	[ "$n" -gt 2 ]
	[ "$n" -lt 40 ]
}

@test "a file system that is really full" {
	mkdir small
	mount -t tmpfs -o size=2m none small 2>/dev/null ||
		skip "cannot mount a small tmpfs here (needs root)"
	make_stream s -s 8M -n 512K -z 0 -t random
	ps-cache init -C small/C --keep-free 0 --keep-free-initial 0
	fails_with 75 ps-cache put -C small/C <s
	grep -q 'No space left' err
	ps-cache verify -C small/C
	[ -z "$(find small/C -name '.tmp.*')" ]
	[ "$(find small/C/web01/root -name '0*' | wc -l)" -eq "$(wc -l <out)" ]
	stored out >acks
	ps-cache ack -C small/C <acks >/dev/null
	fails_with 75 ps-cache put -C small/C <s
	[ "$(wc -l <out)" -gt "$(wc -l <acks)" ]
}

cleanup() {
	umount "$T/small" 2>/dev/null || true
}

@test "peak memory does not grow with the segments" {
	local kb
	command -v /usr/bin/time >/dev/null || skip "no GNU time"
	make_stream s -s 96M -z 0
	kb=$(/usr/bin/time -f %M ps-cache put -C C <s 2>&1 >/dev/null | tail -n 1)
	[ "$kb" -lt 32768 ] || ps-cache --version | grep -q sanitizers
	kb=$(/usr/bin/time -f %M ps-cache follow --once -C C 2>&1 >/dev/null |
		tail -n 1)
	[ "$kb" -lt 32768 ] || ps-cache --version | grep -q sanitizers
}

@test "memory that is short for a moment holds no disk" {
	local n
	make_stream s -d root,data -p 2 -s 64K -c 100
	put s
	for ((n = 1; n < 30; n++)); do
		failing openat "$n" ENOMEM ps-cache follow --once -C C \
			>out 2>err && break
		[ "$(field root held)" = False ]
		[ "$(field data held)" = False ]
	done
	[ "$n" -gt 2 ]
	[ "$n" -lt 30 ]
	[ "$(wc -w <<<"$(order out)")" -eq 4 ]
}

@test "memory that is short for a moment drops nothing when a disk is seated" {
	local n
	make_stream s -p 4 -s 64K -c 100
	put s
	head -n 1 acks.s | stored >vault
	for ((n = 1; n < 30; n++)); do
		failing openat "$n" ENOMEM ps-cache seat -C C <vault \
			>out 2>err && break
		[ "$(segments)" = "1 2 3 4" ]
	done
	[ "$n" -gt 2 ]
	[ "$n" -lt 30 ]
	[ "$(segments)" = "1 2 3 4" ]
}

@test "memory that is short for a moment refuses nothing that was sent again" {
	local n
	make_stream s -p 4 -s 64K -c 100
	put s
	for ((n = 1; n < 30; n++)); do
		failing openat "$n" ENOMEM ps-cache put -C C <s >out 2>err &&
			break
		[ "$(grep -c refused out)" -eq 0 ]
	done
	[ "$n" -gt 2 ]
	[ "$n" -lt 30 ]
}
