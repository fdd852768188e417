#!/usr/bin/env bats
# ps-cache follow: what arrives goes out, in the right order, at once.
load ../lib/common
load cache

# Follows in the background into the file `out`; its process id: $follow.
follow_all() {
	start bash -c 'exec ps-cache follow -C C >out 2>follow.err'
	follow=${STARTED[-1]}
}

has_bytes() {
	[ "$(stat -c %s out)" -ge "$1" ]
}

# Clock ticks that a process has used.
ticks() {
	awk '{ print $14 + $15 }' "/proc/$1/stat"
}

@test "once: all that is there, whole, in the order of each chain" {
	make_stream s -d root,data -p 4 -s 1M -n 256K
	put s
	ps-cache follow --once -C C >out
	[ "$(order out | tr ' ' '\n' | grep root)" = \
		"$(cut -f3,4 --output-delimiter=: acks.s | grep root)" ]
	[ "$(stat -c %s out)" -eq "$(stat -c %s s)" ]
}

@test "what arrives later goes out at once, and waiting costs no time" {
	local before began took
	follow_all
	wait_for test -e C/followers/default
	sleep 0.5
	before=$(ticks "$follow")
	sleep 1.5
	[ $(($(ticks "$follow") - before)) -le 2 ]
	make_stream s
	began=$(date +%s%N)
	put s
	wait_for has_bytes "$(stat -c %s s)"
	took=$((($(date +%s%N) - began) / 1000000))
	[ "$took" -lt 1000 ]
	cmp s out
	make_stream t -f "1:$(digest_of acks.s 1)" -p 3
	put t
	wait_for has_bytes "$(($(stat -c %s s) + $(stat -c %s t)))"
	cat s t | cmp - out
}

@test "a new machine and a new disk are seen at once" {
	local name size=0 took began
	make_stream s
	put s
	follow_all
	wait_for has_bytes "$(stat -c %s s)"
	size=$(stat -c %s s)
	for name in "web01 data" "web02 root" "web02 data"; do
		make_stream t -m "${name% *}" -d "${name#* }"
		size=$((size + $(stat -c %s t)))
		began=$(date +%s%N)
		put t
		wait_for has_bytes "$size"
		took=$((($(date +%s%N) - began) / 1000000))
		[ "$took" -lt 1000 ]
	done
}

@test "without inotify it still sees what arrives" {
	make_stream s
	failing inotify_init1 1 EIO ps-cache follow -C C >out 3>&- &
	wait_for test -e C/followers/default
	# The shell that ran the function, and the program that it started.
	STARTED+=("$!" "$(pgrep -P "$!")")
	put s
	wait_for has_bytes "$(stat -c %s s)"
	cmp s out
}

@test "changes go before initial replication, and disks take turns" {
	make_stream a1 -d root -s 256K -z 0
	make_stream b1 -d data -s 256K -z 0
	put a1 b1
	ps-cache follow --once -C C >/dev/null
	stored acks.a1 acks.b1 | ps-cache ack -C C >/dev/null
	make_stream c -d new -s 512K -n 256K -z 0
	make_stream a2 -d root -s 256K -z 0 -c 100 -p 6 \
		-f "1:$(digest_of acks.a1 1)"
	make_stream b2 -d data -s 256K -z 0 -c 100 -p 2 \
		-f "1:$(digest_of acks.b1 1 data)"
	put c a2 b2
	ps-cache follow --once -C C >out
	# Of the first four two are of each disk; the new disk comes last.
	ps-cache init -C R --keep-free 0 --keep-free-initial 0
	cat acks.a1 acks.b1 | sed 's/^durable/stored/' |
		ps-cache seat -C R >/dev/null
	ps-cache put -C R <out | cut -f3,4 --output-delimiter=: >got
	[ "$(head -n 4 got | grep -c root)" -eq 2 ]
	[ "$(head -n 4 got | grep -c data)" -eq 2 ]
	[ "$(tail -n 2 got | paste -sd ' ')" = "new:1 new:2" ]
}

@test "a second follower of one name is refused, of another is not" {
	make_stream s
	put s
	follow_all
	wait_for has_bytes "$(stat -c %s s)"
	fails_with 75 ps-cache follow --once -C C
	grep -q "another process follows as 'default'" err
	ps-cache follow --once --for site2 -C C | cmp - s
}

@test "it begins behind what its name has acknowledged" {
	make_stream s -p 4
	put s
	ps-cache follow --once --for a -C C >/dev/null
	ps-cache follow --once --for b -C C >/dev/null
	stored acks.s | head -n 2 | ps-cache ack --for a -C C >/dev/null
	ps-cache follow --once --for a -C C >rest
	ps-cache follow --once --for b -C C | cmp - s
	[ "$(stat -c %s rest)" -lt "$(stat -c %s s)" ]
	tail -c "$(stat -c %s rest)" s | cmp - rest
}

@test "a disk on hold is left out from the hold on, the others go on" {
	make_stream s -d root,data
	put s
	follow_all
	wait_for has_bytes "$(stat -c %s s)"
	ps-cache hold web01 root "stop here" -C C
	make_stream d -d data -f "1:$(digest_of acks.s 1 data)"
	put d
	wait_for has_bytes "$(($(stat -c %s s) + $(stat -c %s d)))"
	wait_for grep -q 'web01/root: left out: stop here' follow.err
	cat s d | cmp - out
}

@test "a hold stops what was waiting its turn, too" {
	make_stream s -p 8 -s 1M -c 100 -z 0 -t random
	put s
	mkfifo pipe
	start bash -c 'exec ps-cache follow -C C >pipe 2>err'
	exec 9<pipe
	head -c 3000000 <&9 >got
	ps-cache hold web01 root "enough" -C C
	cat <&9 >>got &
	wait_for grep -q 'left out: enough' err
	kill -TERM "${STARTED[-1]}"
	wait "${STARTED[-1]}"
	exec 9<&-
	wait $!
	[ "$(stat -c %s got)" -lt "$(stat -c %s s)" ]
	[ "$(order got | wc -w)" -le 5 ]
}

@test "a damaged segment holds its disk, nothing of it goes out" {
	make_stream s -d root,data -p 3 -s 256K -c 100 -z 0
	put s
	flip_bit "C/web01/root/$(printf %020d 2)" 3000
	ps-cache follow --once -C C >out 2>err
	grep -q 'web01/root: on hold: segment 2' err
	[ "$(order out | tr ' ' '\n' | sort | paste -sd ' ')" = \
		"data:1 data:2 data:3 root:1" ]
	fails_with 1 ps-cache stat -C C
	[ "$(field root held)" = True ]
	[ "$(field data held)" = False ]
}

@test "a segment that is missing holds its disk" {
	make_stream s -p 3
	put s
	rm "C/web01/root/$(printf %020d 2)"
	ps-cache follow --once -C C >out 2>err
	grep -q 'segment 3 does not continue 1' err
	[ "$(order out)" = "root:1" ]
}

@test "SIGTERM ends it at the border of a segment with exit 0" {
	make_stream s -p 8 -s 1M -c 100 -z 0 -t random
	put s
	mkfifo pipe
	start bash -c 'exec ps-cache follow -C C >pipe'
	exec 9<pipe
	head -c 3000000 <&9 >got
	kill -TERM "${STARTED[-1]}"
	cat <&9 >>got &
	wait "${STARTED[-1]}"
	exec 9<&-
	wait $!
	[ "$(stat -c %s got)" -lt "$(stat -c %s s)" ]
	cmp -n "$(stat -c %s got)" s got
	ps-cache init -C R --keep-free 0 --keep-free-initial 0
	ps-cache put -C R <got >/dev/null
}

@test "while it waits, SIGTERM ends it at once" {
	follow_all
	wait_for test -e C/followers/default
	sleep 0.2
	kill -TERM "$follow"
	wait "$follow"
}

@test "a reader that goes away ends it with 75, also while it waits" {
	make_stream s
	put s
	mkfifo pipe
	start bash -c 'exec ps-cache follow -C C >pipe 2>err'
	exec 9<pipe
	head -c "$(stat -c %s s)" <&9 | cmp - s
	exec 9<&-
	local got=0
	wait "${STARTED[-1]}" || got=$?
	[ "$got" -eq 75 ]
}

@test "segments are not written to a terminal" {
	command -v script >/dev/null || skip "no script(1)"
	make_stream s
	put s
	script -qec "ps-cache follow --once -C C" /dev/null >said || true
	grep -q 'refusing to write segments to a terminal' said
}
