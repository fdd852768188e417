#!/usr/bin/env bats
# ps-cache move-out, move-stay, move-in: a machine goes to another server.
load ../lib/common
load cache

mark() { cat C/web01/.moved 2>/dev/null; }

half_here() { find C/web01/root -name '.tmp.*' -size +1k | grep -q .; }

# All that is in the cache is in the vault.
store_all() {
	ps-cache follow --once -C C >followed
	stored "$@" | ps-cache ack -C C >/dev/null
}

@test "it goes when all is stored, and nothing of it stays" {
	make_stream a -p 2
	make_stream b -d data -p 1
	put a b
	fails_with 75 ps-cache move-out web01 --to ps2 --once -C C
	grep -q 'root: 2 segments, 1 to 2; data\|data: 1 segments, 1 to 1; root' err
	grep -q 'nobody follows this cache' err
	grep -q '^leaving ps2$' <(mark)
	store_all acks.a acks.b
	ps-cache move-out web01 --to ps2 -C C
	grep -q '^moved ps2$' <(mark)
	[ "$(ls -A C/web01)" = .moved ]
	ps-cache move-out web01 --to ps2 -C C # once more is no fault
	fails_with 1 ps-cache move-stay web01 -C C
	grep -q 'has moved to ps2 already' err
	ps-cache stat -C C
	ps-cache verify -C C
}

@test "nothing is taken of a machine that leaves, and of others it is" {
	make_stream a -p 1
	put a
	make_stream more -f "1:$(digest_of acks.a 1)"
	make_stream first -d new -p 1
	make_stream other -m db01 -p 1
	fails_with 75 ps-cache move-out web01 --to ps2 --once -C C
	fails_with 75 ps-cache put -C C <more
	grep -q 'the machine moves to ps2' err
	fails_with 75 ps-cache put -C C <first # a disk that nobody knows yet
	grep -q 'the machine moves to ps2' err
	put other
	ps-cache move-stay web01 -C C
	[ -z "$(mark)" ]
	put more first
	[ "$(segments)" = "1 2" ]
	store_all acks.a acks.more acks.first acks.other
	ps-cache move-out web01 --to ps2 -C C
	make_stream late -f "2:$(digest_of acks.more 2)"
	fails_with 75 ps-cache put -C C <late
	grep -q 'has moved to ps2: ask the configuration server' err
	[ "$(ls -A C/web01)" = .moved ] || [ -z "$(segments root)" ]
}

@test "it waits for each follower" {
	make_stream a -p 2
	ps-cache follow --once --for near -C C >/dev/null
	ps-cache follow --once --for far -C C >/dev/null
	put a
	stored acks.a | ps-cache ack --for near -C C >/dev/null
	fails_with 75 ps-cache move-out web01 --to ps2 --once -C C
	stored acks.a | ps-cache ack --for far -C C >/dev/null
	ps-cache move-out web01 --to ps2 --once -C C
}

@test "where only a relay has it, it stays: the vault may be behind" {
	make_stream a -p 2
	ps-cache follow --once --for site2 -C C >/dev/null
	put a
	ps-cache ack --for site2 --level durable -C C <acks.a >/dev/null
	[ -z "$(segments)" ]
	fails_with 1 ps-cache move-out web01 --to ps2 -C C
	grep -q 'web01/root: only a relay took it' err
	[ -z "$(mark)" ]
	ps-cache move-out other --to ps2 -C C # nothing of it was ever here
	# Who stores it beside the relay says when it may go.
	ps-cache follow --once --for near -C C >/dev/null
	fails_with 1 ps-cache move-out web01 --to ps2 --once -C C
	ps-cache move-stay web01 -C C
	make_stream more -f "2:$(digest_of acks.a 2)"
	put more
	ps-cache ack --for site2 --level durable -C C <acks.more >/dev/null
	fails_with 75 ps-cache move-out web01 --to ps2 --once -C C
	stored acks.more | ps-cache ack --for near -C C >/dev/null
	ps-cache move-out web01 --to ps2 --once -C C
}

@test "a disk on hold keeps its machine here" {
	make_stream a -p 2
	put a
	ps-cache hold web01 root 'the vault has another' -C C
	fails_with 1 ps-cache move-out web01 --to ps2 -C C
	grep -q 'web01/root: the vault has another: on hold' err
	grep -q 'move-stay web01' err
	ps-cache move-stay web01 -C C
	[ "$(segments)" = "1 2" ]
}

@test "who writes is ended, and the segment that is half here is not taken" {
	local writer
	make_stream a -p 1
	put a
	make_stream big -s 16M -c 50 -t random -f "1:$(digest_of acks.a 1)"
	mkfifo pipe
	ps-cache put -C C <pipe >acks.big 2>/dev/null 3>&- &
	writer=$!
	exec 4>pipe
	head -c 2000000 big >&4
	wait_for half_here
	store_all acks.a
	ps-cache move-out web01 --to ps2 -C C
	exec 4>&-
	wait "$writer" || true
	[ ! -s acks.big ]
	[ "$(ls -A C/web01)" = .moved ]
}

@test "killed anywhere, it is done again" {
	local n call
	make_stream a -p 2
	make_stream b -d data -p 1
	for call in fsync unlinkat renameat; do
		for ((n = 1; n < 30; n++)); do
			rm -rf C acks.*
			prepare
			put a b
			store_all acks.a acks.b
			if failing "$call" "$n" kill \
				ps-cache move-out web01 --to ps2 -C C 2>/dev/null; then
				break
			fi
			ps-cache move-out web01 --to ps2 -C C
			[ "$(ls -A C/web01)" = .moved ]
		done
		[ "$n" -gt 1 ]
	done
}

@test "it comes back, and is seated from the vault" {
	make_stream a -p 3
	put a
	store_all acks.a
	ps-cache move-out web01 --to ps2 -C C
	ps-cache move-in web01 -C C
	[ -z "$(mark)" ]
	make_stream next -f "7:$(digest_of acks.a 3)"
	fails_with 75 ps-cache put -C C <next # it has to be seated
	printf 'stored\tweb01\troot\t7\t%s\n' "$(digest_of acks.a 3)" |
		ps-cache seat -C C >/dev/null
	put next
	ps-cache move-in web01 -C C # at home: nothing to do
	[ "$(segments)" = 8 ]
}

@test "what a server had left when it was away is held, named, and dropped by hand" {
	make_stream a -p 3
	make_stream b -d data -p 1
	put a b
	stored acks.b | ps-cache ack -C C >/dev/null
	ps-cache move-out web01 --gone --to ps2 -C C >said
	grep -q '^web01: never stored: root: 3 segments, 1 to 3$' said
	[ ! -e C/web01/data ]
	[ "$(field root held)" = True ]
	ps-cache follow --once -C C >out
	[ ! -s out ] # the vault does not get them any more
	fails_with 1 ps-cache move-in web01 -C C
	grep -q 'root: 3 segments, 1 to 3' err
	ps-cache move-in web01 --drop -C C
	[ ! -e C/web01/root ]
	[ -z "$(mark)" ]
}

@test "a damaged mark takes nothing" {
	make_stream a -p 1
	put a
	echo nonsense >C/web01/.moved
	make_stream more -f "1:$(digest_of acks.a 1)"
	fails_with 65 ps-cache put -C C <more
	grep -q '.moved: damaged' err
	fails_with 64 ps-cache move-out web01 -C C
	fails_with 64 ps-cache move-out web01 --to ../x -C C
}
