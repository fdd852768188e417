#!/usr/bin/env bats
# ps-cache ack: what is stored goes, what is refused is held.
load ../lib/common
load cache

@test "stored segments are removed, the head stays, lines are passed on" {
	make_stream s -d root,data -p 3
	put s
	stored acks.s >acks
	ps-cache ack -C C <acks >passed
	cmp acks passed
	[ -z "$(segments)$(segments data)" ]
	[ "$(field root accepted.seq)" = 3 ]
	[ "$(field root stored.seq)" = 3 ]
	[ "$(field root accepted.digest)" = "$(digest_of acks.s 3)" ]
	make_stream t -f "3:$(digest_of acks.s 3)"
	put t
	grep -q '^durable.web01.root.4' acks.t
}

@test "durable lines do not count, unless the level says so" {
	make_stream s -p 2
	put s
	ps-cache ack -C C <acks.s >passed
	cmp passed acks.s
	[ "$(segments)" = "1 2" ]
	ps-cache ack --level durable -C C <acks.s >/dev/null
	[ -z "$(segments)" ]
}

@test "a segment stays until all followers have it" {
	make_stream s -p 3
	put s
	ps-cache follow --once --for a -C C >/dev/null
	ps-cache follow --once --for b -C C >/dev/null
	stored acks.s | ps-cache ack --for a -C C >/dev/null
	[ "$(segments)" = "1 2 3" ]
	stored acks.s | head -n 2 | ps-cache ack --for b -C C >/dev/null
	[ "$(segments)" = 3 ]
	[ "$(field root stored.seq)" = 2 ]
	[ "$(ps-cache followers -C C | paste -sd ' ')" = "a b" ]
}

@test "a follower that is dropped keeps nothing back" {
	make_stream s -p 3
	put s
	ps-cache follow --once --for a -C C >/dev/null
	ps-cache follow --once --for b -C C >/dev/null
	stored acks.s | ps-cache ack --for a -C C >/dev/null
	ps-cache drop-follower b -C C
	[ -z "$(segments)" ]
	[ "$(ps-cache followers -C C)" = a ]
	fails_with 66 ps-cache drop-follower b -C C
}

@test "a follower that runs cannot be dropped" {
	start bash -c 'exec ps-cache follow -C C >out'
	wait_for test -e C/followers/default
	wait_for fails_with 75 ps-cache drop-follower default -C C
}

@test "refused puts that disk on hold, with the reason, and the others go on" {
	make_stream s -d root,data -p 2
	put s
	stored acks.s |
		sed '/root.1/s/.*/&/; /root.2/{s/^stored/refused/;s/$/\tno way/}' \
			>acks
	fails_with 1 ps-cache ack -C C <acks
	cmp acks out
	grep -q 'web01/root: on hold at segment 2: refused: no way' err
	[ "$(field root reason)" = "refused: no way" ]
	[ "$(segments)" = 2 ]
	[ -z "$(segments data)" ]
	[ "$(field data held)" = False ]
}

# The second line of acks.s as a refusal.
refusal() {
	sed -n '2{s/^durable/refused/;s/$/\tno way/;p}' acks.s
}

@test "with several followers a refusal holds its own; with none left, the disk" {
	make_stream s -p 3
	put s
	ps-cache follow --once --for a -C C >/dev/null
	ps-cache follow --once --for b -C C >/dev/null
	refusal >acks
	fails_with 1 ps-cache ack --for b -C C <acks
	grep -q 'web01/root: on hold for b at segment 2: refused: no way' err
	[ "$(field root held)" = False ]
	[ "$(field root followers.b.reason)" = "refused: no way" ]
	ps-cache follow --once --for b -C C >out 2>err
	[ ! -s out ]
	grep -q 'left out: refused: no way' err
	stored acks.s | ps-cache ack --for a -C C >/dev/null
	[ "$(field root followers.a.segments)" = 0 ]
	[ "$(field root followers.b.segments)" = 3 ]
	make_stream t -f "3:$(digest_of acks.s 3)"
	put t
	sed 's/^durable/refused/;s/$/\tme too/' acks.t >acks
	fails_with 1 ps-cache ack --for a -C C <acks
	[ "$(field root held)" = True ]
	make_stream u -f "4:$(digest_of acks.t 4)"
	fails_with 75 ps-cache put -C C <u
	ps-cache verify -C C >/dev/null
}

@test "the last one that goes on may not be dropped unseen" {
	make_stream s -p 3
	put s
	ps-cache follow --once --for a -C C >/dev/null
	ps-cache follow --once --for b -C C >/dev/null
	refusal >acks
	fails_with 1 ps-cache ack --for b -C C <acks
	ps-cache drop-follower a -C C
	[ "$(field root held)" = True ]
	[ "$(field root reason)" = "refused: no way" ]
}

@test "stored after N: it counts for what is idle, and never goes back" {
	make_stream s -p 3
	put s
	ps-cache follow --once --for a -C C >/dev/null
	ps-cache follow --once --for b -C C >/dev/null
	ps-cache follow --once --for c -C C >/dev/null
	stored acks.s | ps-cache ack --for a -C C >/dev/null
	stored acks.s | head -n 2 | ps-cache ack --for b -C C >/dev/null
	[ "$(field root stored.seq)" = 0 ]
	ps-cache init --stored-after 2 -C C
	[ "$(field root stored.seq)" = 2 ]
	ps-cache init --stored-after 1 -C C
	[ "$(field root stored.seq)" = 3 ]
	ps-cache init --stored-after 0 -C C
	[ "$(field root stored.seq)" = 3 ]
	[ "$(segments)" = "1 2 3" ]
	ps-cache stat -C C | grep -q '^followers: a b c$'
	fails_with 64 ps-cache init --stored-after 17 -C C
}

@test "a refusal of a segment that is not of this chain holds nothing" {
	make_stream s
	make_stream other
	put s
	ps-cache init -C R --keep-free 0 --keep-free-initial 0
	ps-cache put -C R <other | sed 's/^durable/refused/;s/$/\told/' |
		ps-cache ack -C C >/dev/null 2>err
	grep -q 'ignored: it is not about a segment of this chain' err
	[ "$(field root held)" = False ]
}

@test "stored with another content than here: held, exit 65, nothing removed" {
	make_stream s -d root,data
	make_stream other
	put s
	ps-cache init -C R --keep-free 0 --keep-free-initial 0
	ps-cache put -C R <other | stored >acks
	stored acks.s | grep data >>acks
	fails_with 65 ps-cache ack -C C <acks
	grep -q 'another content' err
	[ "$(segments)" = 1 ]
	[ "$(field root held)" = True ]
	[ -z "$(segments data)" ]
}

@test "what is not here is ignored with a note" {
	make_stream s
	put s
	{
		stored acks.s | sed 's/root/nodisk/'
		stored acks.s | sed 's/\t1\t/\t9\t/'
	} >acks
	ps-cache ack -C C <acks >passed 2>err
	cmp acks passed
	[ "$(grep -c ignored err)" -eq 2 ]
	[ "$(segments)" = 1 ]
	[ ! -e C/web01/nodisk ]
}

@test "the same acknowledgements twice are no news" {
	make_stream s -p 3
	put s
	stored acks.s | tee acks | ps-cache ack -C C >/dev/null
	ps-cache ack -C C <acks >/dev/null 2>err
	[ ! -s err ]
}

@test "a line that is none ends with 65, what came before counts" {
	make_stream s
	put s
	{
		stored acks.s
		echo hello
	} >acks
	fails_with 65 ps-cache ack -C C <acks
	grep -q "not an acknowledgement: 'hello'" err
	[ -z "$(segments)" ]
	stored acks.s | tr -d '\n' >acks
	fails_with 65 ps-cache ack -C C <acks
	grep -q 'cut short' err
	head -c 100000 /dev/zero | tr '\0' x >acks
	fails_with 65 ps-cache ack -C C <acks
}

@test "many lines at once cost one head for each disk" {
	local n
	command -v strace >/dev/null || skip "no strace"
	strace -qq -o /dev/null true || skip "strace cannot trace here"
	make_stream s -p 40 -s 64K -c 100
	put s
	stored acks.s >acks
	strace -f -e trace=renameat,renameat2,rename -o trace \
		ps-cache ack -C C <acks >/dev/null
	n=$(grep -c '"head"' trace)
	[ "$n" -le 2 ]
	[ -z "$(segments)" ]
}

@test "the loop follow, put elsewhere, ack empties the cache of several disks" {
	make_stream s -d root,data,log -p 5 -s 512K -n 128K
	put s
	ps-cache init -C R --keep-free 0 --keep-free-initial 0
	ps-cache follow --once -C C | ps-cache put -C R |
		ps-cache ack --level durable -C C >/dev/null
	[ -z "$(segments)$(segments data)$(segments log)" ]
	ps-cache verify -C R
	ps-cache verify -C C
	[ "$(ps-cache list --json -C R | grep -c '"arrived"')" -eq \
		"$(wc -l <acks.s)" ]
}
