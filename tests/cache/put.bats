#!/usr/bin/env bats
# ps-cache init, put, list, stat, cat: segments arrive and stay.
load ../lib/common
load cache

@test "each segment is acknowledged durable with its digest, and is there" {
	make_stream s -d root,data -p 3 -s 1M -n 256K
	put s
	[ "$(grep -c ^durable acks.s)" -eq "$(wc -l <acks.s)" ]
	while read -r _ m d seq _; do
		[ -s "C/$m/$d/$(printf %020d "$seq")" ] || return 1
	done <acks.s
	ps-cache verify -C C
	no_leftovers
}

@test "what is put comes out again byte for byte" {
	local seq
	make_stream s -p 2 -s 1M -n 256K
	put s
	for seq in $(segments); do
		ps-cache cat web01 root "$seq" -C C
	done >out
	cmp s out
}

@test "the same segments again are acknowledged again and stored once" {
	make_stream s -p 2
	put s
	mv acks.s first
	put s
	cmp first acks.s
	[ "$(segments)" = "1 2" ]
}

@test "another content under an accepted sequence is refused, the old stays" {
	make_stream a -p 3
	make_stream b -p 3
	put a
	cp -r C before
	fails_with 1 ps-cache put -C C <b
	[ "$(grep -c '^refused.*another content' out)" -eq 3 ]
	diff -r --exclude .lease before/web01 C/web01
}

@test "a segment that was stored and removed is still told from another one" {
	make_stream a -p 3
	make_stream b -p 3
	put a
	ps-cache follow --once -C C >/dev/null
	stored acks.a | ps-cache ack -C C >/dev/null
	[ -z "$(segments)" ]
	put a
	[ "$(grep -c ^stored acks.a)" -eq 3 ]
	fails_with 1 ps-cache put -C C <b
	[ "$(grep -c '^refused.*another content' out)" -eq 3 ]
}

@test "a gap and a fork are refused with the reason" {
	make_stream a -p 2
	put a
	make_stream gap -f "5:$(digest_of acks.a 2)"
	make_stream fork -f "2:$(digest_of acks.a 1)"
	fails_with 1 ps-cache put -C C <gap
	grep -q '^refused.web01.root.6.*does not continue the head, which is 2' out
	fails_with 1 ps-cache put -C C <fork
	grep -q '^refused.web01.root.3.*the head 2 is' out
	[ "$(segments)" = "1 2" ]
}

@test "a later base continues the chain like any other segment" {
	make_stream s -p 3 -F 3
	put s
	ps-cache list --json -C C >out
	grep -c '"kind": "base"' out | grep -qx 2
	[ "$(segments)" = "1 2 3" ]
}

@test "a disk without a head takes only a first base, and waits otherwise" {
	make_stream a
	put a
	make_stream b -d data -f "7:$(digest_of acks.a 1)"
	cat b a >s
	fails_with 75 ps-cache put -C C <s
	grep -q 'web01/data: not taken from segment 8 on: no head' err
	[ "$(cut -f3 out)" = root ]
	[ "$(field data seated)" = False ]
	[ -z "$(segments data)" ]
}

@test "a disk on hold is left out, the others go on" {
	make_stream s -d root,data -p 2
	put s
	ps-cache hold web01 root "looks odd" -C C
	make_stream r -f "2:$(digest_of acks.s 2)" -p 3
	make_stream d -f "2:$(digest_of acks.s 2 data)" -d data
	cat r d >both
	fails_with 75 ps-cache put -C C <both
	[ "$(cut -f3,4 out)" = "data	3" ]
	[ "$(grep -c 'web01/root: not taken from segment 3 on: looks odd' err)" -eq 1 ]
	[ "$(segments)" = "1 2" ]
}

@test "a hold shows in stat, with its reason and exit 1" {
	make_stream s -d root,data
	put s
	ps-cache stat -C C
	ps-cache hold web01 root "looks odd" -C C
	fails_with 1 ps-cache stat -C C
	grep -q 'root .*on hold: looks odd' out
	[ "$(field root reason)" = "looks odd" ]
	[ "$(field data held)" = False ]
}

@test "with too little room nothing is taken, and nothing is lost" {
	make_stream s
	ps-cache init -C C --keep-free 100
	fails_with 75 ps-cache put -C C <s
	grep -q 'of the cache are free' err
	[ ! -s out ]
	[ -z "$(segments)" ]
	ps-cache init -C C --keep-free 0
	put s
	[ "$(segments)" = 1 ]
}

@test "initial replication has to wait before the changes do" {
	make_stream s -d root
	put s
	make_stream next -f "1:$(digest_of acks.s 1)"
	make_stream new -d data
	ps-cache init -C C --keep-free-initial 100
	cat new next >both
	fails_with 75 ps-cache put -C C <both
	grep -q 'web01/data: .*initial replication waits for 100 %' err
	[ "$(cut -f1,3,4 out)" = "durable	root	2" ]
}

@test "a disk that has reached its limit waits until segments are stored" {
	make_stream s -p 4 -s 256K -c 100 -t random -z 0
	ps-cache init -C C --disk-limit 300K
	fails_with 75 ps-cache put -C C <s
	grep -q 'have reached its limit' err
	[ "$(segments)" = "1 2" ]
	stored out | ps-cache ack -C C >/dev/null
	put s
	[ "$(segments)" = "3 4" ]
}

@test "damaged input ends with 65 and leaves no part of its segment" {
	make_stream s -p 2
	flip_bit s 3000
	fails_with 65 ps-cache put -C C <s
	[ ! -s out ]
	[ -z "$(segments)" ]
	no_leftovers
}

@test "input that is cut leaves what was whole" {
	local size
	make_stream s -p 2
	size=$(stat -c %s s)
	head -c $((size - 10)) s >short
	fails_with 65 ps-cache put -C C <short
	[ "$(segments)" = 1 ]
	[ "$(cut -f4 out)" = 1 ]
	no_leftovers
}

@test "a machine cannot take the name of the cache's own files" {
	local name
	for name in followers failed cache.json; do
		make_stream s -m "$name"
		fails_with 1 ps-cache put -C C <s
		grep -q "^refused.$name" out
	done
	ps-cache stat -C C
}

@test "files are for their owner alone" {
	umask 0
	rm -rf C
	prepare
	make_stream s
	put s
	[ -z "$(find C -perm /077)" ]
}

@test "init again changes nothing, with a limit only that limit" {
	make_stream s
	put s
	ps-cache init -C C
	[ "$(segments)" = 1 ]
	ps-cache init -C C --disk-limit 5M
	ps-cache stat --json -C C >j
	grep -q '"disk_bytes_max": 5242880' j
	grep -q '"keep_free_percent": 0' j
}

@test "a folder that is no cache is refused with the way to make one" {
	mkdir D
	fails_with 78 ps-cache put -C D <"$PS_SOURCE/README.md"
	grep -q 'not a cache' err
	grep -q 'ps-cache init' err
	fails_with 66 ps-cache stat -C nowhere
	echo '{"format": "ps-cache", "version": 2}' >D/cache.json
	fails_with 78 ps-cache stat -C D
}

@test "a second process takes a disk: the former one is ended" {
	make_stream a -p 2
	mkfifo pipe
	start bash -c 'exec ps-cache put -C C <pipe >acks.first'
	first=${STARTED[-1]}
	exec 9>pipe
	cat a >&9
	wait_for grep -q 'root.2' acks.first
	make_stream b -f "2:$(digest_of acks.first 2)"
	ps-cache put -C C <b >acks.b
	grep -q '^durable.web01.root.3' acks.b
	wait_for gone "$first"
	exec 9>&-
}

@test "two processes put different disks side by side" {
	make_stream a -d root
	make_stream b -d data
	mkfifo pipe
	start bash -c 'exec ps-cache put -C C <pipe >acks.a'
	first=${STARTED[-1]}
	exec 9>pipe
	cat a >&9
	wait_for grep -q durable acks.a
	put b
	kill -0 "$first"
	exec 9>&-
	wait "$first"
}

@test "a full standard output is an error of each command that writes there" {
	local cmd
	make_stream s
	fails_with 75 bash -c 'ps-cache put -C C <s >/dev/full'
	[ "$(segments)" = 1 ]
	for cmd in stat list "stat --json" "list --json" verify \
		"cat web01 root 1" "follow --once"; do
		fails_with 74 bash -c "ps-cache $cmd -C C >/dev/full" ||
			fails_with 75 bash -c "ps-cache $cmd -C C >/dev/full"
		grep -q 'standard output' err
	done
}

gone() {
	! kill -0 "$1" 2>/dev/null
}

@test "an endless segment is cut off at the limit of its disk" {
	ps-cache init -C C --disk-limit 1M
	make_stream s -s 160M -n 256M -z 0 -t random
	fails_with 75 ps-cache put -C C <s
	grep -q 'reached its limit' err
	no_leftovers
	[ -z "$(segments)" ]
}

@test "a machine may have a thousand disks, not any number" {
	local i
	mkdir -p C/web01
	for ((i = 0; i < 1024; i++)); do mkdir "C/web01/d$i"; done
	make_stream s -s 64K
	fails_with 75 ps-cache put -C C <s
	grep -q 'web01 has 1024 disks here already' err
	[ ! -e C/web01/root ]
	make_stream t -s 64K -d d7
	put t
	[ -s acks.t ]
}

@test "who looks at a cache makes nothing in it" {
	make_stream s -p 2
	put s
	rm C/.counters
	find C | sort >before
	ps-cache stat -C C
	ps-cache stat --json -C C
	ps-cache list -C C
	ps-cache verify -C C
	find C | sort | diff before -
}
