#!/usr/bin/env bats
# ps-cache seat: the vault's head settles where a disk goes on.
load ../lib/common
load cache

# seat SEQ DIGEST [DISK]
seat() {
	printf 'stored\tweb01\t%s\t%s\t%s\n' "${3:-root}" "$1" "$2" |
		ps-cache seat -C C
}

zeros=$(printf '%064d' 0)

@test "a disk that nobody sent yet goes on from the vault's head" {
	make_stream a -p 2
	put a
	rm -rf C
	prepare
	make_stream b -f "2:$(digest_of acks.a 2)"
	fails_with 75 ps-cache put -C C <b
	seat 2 "$(digest_of acks.a 2)" >said
	grep -q "^seated.web01.root.2.$(digest_of acks.a 2).0.0$" said
	put b
	grep -q '^durable.web01.root.3' acks.b
	ps-cache follow --once -C C | cmp - b
}

@test "a vault that knows nothing of the disk: only the first base may come" {
	make_stream a -p 2
	seat 0 "$zeros"
	[ "$(field root seated)" = True ]
	put a
	[ "$(segments)" = "1 2" ]
}

@test "a fork is dropped, the vault's head counts" {
	make_stream a -p 2
	make_stream mine -p 3
	put a
	ps-cache init -C V --keep-free 0 --keep-free-initial 0
	ps-cache put -C V <mine >acks.mine
	seat 3 "$(digest_of acks.mine 3)" >said
	grep -q '^seated.web01.root.3.*.0.2$' said
	[ -z "$(segments)" ]
	make_stream next -f "3:$(digest_of acks.mine 3)"
	put next
	grep -q '^durable.web01.root.4' acks.next
	ps-cache verify -C C
}

@test "segments that continue the vault's head stay: they were acknowledged" {
	make_stream s -p 4
	put s
	seat 2 "$(digest_of acks.s 2)" >said
	grep -q "^kept.web01.root.4.$(digest_of acks.s 4)" said
	[ "$(field root accepted.seq)" = 4 ]
	ps-cache follow --once -C C >out
	tail -c "$(stat -c %s out)" s | cmp - out
}

@test "a head that fits does not end the writer" {
	make_stream s -p 2
	mkfifo pipe
	start bash -c 'exec ps-cache put -C C <pipe >acks.s'
	exec 9>pipe
	cat s >&9
	wait_for grep -q 'root.2' acks.s
	seat 1 "$(digest_of acks.s 1)"
	kill -0 "${STARTED[-1]}"
	exec 9>&-
	wait "${STARTED[-1]}"
}

half_there() { [ -n "$(find C/web01/root -name '.tmp*')" ]; }

@test "a vault that knows nothing does not end who sends the first base" {
	make_stream s -p 2
	mkfifo pipe
	start bash -c 'exec ps-cache put -C C <pipe >acks.s'
	exec 9>pipe
	head -c 100000 s >&9
	wait_for half_there
	seat 0 "$zeros" >said
	grep -q "^seated.web01.root.0.$zeros.0.0$" said
	tail -c +100001 s >&9
	exec 9>&-
	wait "${STARTED[-1]}"
	[ "$(segments)" = "1 2" ]
	ps-cache follow --once -C C | cmp - s
}

@test "a head that does not fit ends the writer" {
	make_stream s -p 2
	mkfifo pipe
	start bash -c 'exec ps-cache put -C C <pipe >acks.s'
	exec 9>pipe
	cat s >&9
	wait_for grep -q 'root.2' acks.s
	seat 7 "$(digest_of acks.s 1)"
	run wait "${STARTED[-1]}"
	[ "$status" -ne 0 ]
	exec 9>&-
	[ "$(field root accepted.seq)" = 7 ]
}

@test "seating lifts a hold and drops the segment that was refused" {
	make_stream s -p 4
	put s
	printf 'refused\tweb01\troot\t3\t%s\tdamaged\n' \
		"$(digest_of acks.s 3)" >acks
	fails_with 1 ps-cache ack -C C <acks
	seat 1 "$(digest_of acks.s 1)" >said
	grep -q "^seated.web01.root.2.$(digest_of acks.s 2)" said
	[ "$(segments)" = 2 ]
	[ "$(field root held)" = False ]
	make_stream again -f "2:$(digest_of acks.s 2)" -p 2
	put again
	ps-cache verify -C C
}

@test "a hold by hand is lifted without a loss" {
	make_stream s -p 3
	put s
	ps-cache hold web01 root "just a moment" -C C
	seat 1 "$(digest_of acks.s 1)"
	[ "$(field root held)" = False ]
	[ "$(segments)" = "2 3" ]
}

@test "a follower that runs begins anew behind a seating" {
	make_stream s -p 3
	put s
	start bash -c 'exec ps-cache follow -C C >out'
	wait_for cmp s out
	make_stream new -f "1:$(digest_of acks.s 1)" -p 2
	seat 5 "$(digest_of acks.s 1)"
	seat 1 "$(digest_of acks.s 1)"
	put new
	[ "$(cut -f4 acks.new | paste -sd ' ')" = "2 3" ]
	cat s new >both
	wait_for cmp both out
}

@test "a vault that lost its last segments is followed back" {
	make_stream s -p 3
	put s
	stored acks.s | ps-cache ack -C C >/dev/null
	seat 1 "$(digest_of acks.s 1)"
	[ "$(field root accepted.seq)" = 1 ]
	make_stream new -f "1:$(digest_of acks.s 1)"
	put new
	grep -q '^durable.web01.root.2' acks.new
}

@test "what another follower still needs stays when it is of the same chain" {
	make_stream s -p 4
	put s
	ps-cache follow --once --for default -C C >/dev/null
	ps-cache follow --once --for site2 -C C >/dev/null
	seat 3 "$(digest_of acks.s 3)"
	[ "$(segments)" = "1 2 3 4" ]
	ps-cache hold web01 root x -C C
	seat 3 "$(digest_of acks.s 3)"
	[ "$(segments)" = "1 2 3 4" ]
	ps-cache follow --once --for site2 -C C | cmp - s
	ps-cache verify -C C
}

@test "a head that does not fit disturbs no other follower" {
	make_stream s -p 4
	put s
	ps-cache follow --once --for a -C C >/dev/null
	ps-cache follow --once --for b -C C >/dev/null
	stored acks.s | ps-cache ack --for a -C C >/dev/null
	stored acks.s | head -n 2 | ps-cache ack --for b -C C >/dev/null
	[ "$(segments)" = "3 4" ]
	printf 'stored\tweb01\troot\t1\t%s\n' "$(digest_of acks.s 1)" >vault
	fails_with 75 ps-cache seat --for b -C C <vault
	grep -q 'for b: the vault ends with segment 1, here 3 is next' err
	[ "$(segments)" = "3 4" ]
	[ "$(field root held)" = False ]
	[ "$(field root followers.b.held)" = True ]
	printf 'stored\tweb01\troot\t3\t%s\n' "$(digest_of acks.s 3)" >vault
	ps-cache seat --for b -C C <vault | grep -q '^kept.web01.root.4'
	[ "$(field root followers.b.held)" = False ]
	[ "$(segments)" = 4 ]
	ps-cache follow --once --for b -C C >out
	tail -c "$(stat -c %s out)" s | cmp - out
}

@test "a damaged head file holds the disk until it is seated" {
	make_stream s -p 2
	put s
	stored acks.s | head -n 1 | ps-cache ack -C C >/dev/null
	flip_bit C/web01/root/head 30
	fails_with 1 ps-cache stat -C C
	[ "$(field root held)" = True ]
	[ "$(field root seated)" = False ]
	fails_with 65 ps-cache verify -C C
	grep -q 'web01/root: the head file is damaged' out
	fails_with 75 ps-cache put -C C <s
	seat 1 "$(digest_of acks.s 1)" >/dev/null
	[ "$(field root accepted.seq)" = 2 ]
	ps-cache verify -C C
}

@test "a seating that is killed at any call is done again" {
	local n
	make_stream a -p 3
	make_stream b -p 2
	put a
	cp -r C saved
	ps-cache init -C V --keep-free 0 --keep-free-initial 0
	ps-cache put -C V <b >acks.b
	printf 'stored\tweb01\troot\t2\t%s\n' "$(digest_of acks.b 2)" >vault
	for ((n = 1; n < 60; n++)); do
		rm -rf C
		cp -r saved C
		if failing any "$n" kill ps-cache seat -C C <vault >/dev/null 2>&1
		then break; fi
		# Seated is only what is whole: all of the old, or the new.
		if [ "$(field root seated)" = True ] &&
			[ "$(segments)" != "1 2 3" ]; then
			[ "$(field root accepted.digest)" = \
				"$(digest_of acks.b 2)" ]
		fi
		ps-cache seat -C C <vault >/dev/null
		[ -z "$(segments)" ]
		[ "$(field root accepted.digest)" = "$(digest_of acks.b 2)" ]
		ps-cache verify -C C >/dev/null
	done
	[ "$n" -gt 8 ]
	[ "$n" -lt 60 ]
}

@test "a line that is no head is refused" {
	echo "refused	web01	root	1	$zeros	x" >line
	fails_with 65 ps-cache seat -C C <line
	echo "stored web01" >line
	fails_with 65 ps-cache seat -C C <line
}
