#!/usr/bin/env bats
# ps-encrypt: sealing, opening, key files.
load ../lib/common
load common

prepare() {
	ps-encrypt --new-key k
}

@test "-d gives back the very bytes" {
	make_segment -s 6M -n 2M -p 2 -d a,b >s
	ps-compress s >c
	ps-encrypt -k k s >e
	ps-encrypt -k k -d e | cmp - s
	ps-encrypt -k k c >e
	ps-encrypt -k k -d e | cmp - c
	ps-encrypt -k k -d e | ps-compress -d | cmp - s
}

@test "the digest of a segment stays what it was" {
	make_segment -s 2M -p 3 >s
	ps-stream list s | cut -f 15 >before
	ps-encrypt -k k s | ps-stream list | cut -f 15 | cmp - before
}

@test "what is sealed passes a second time unchanged, with any key" {
	make_segment -s 1M >s
	ps-encrypt -k k s >e
	ps-encrypt --new-key k2
	ps-encrypt -k k2 e | cmp - e
	ps-encrypt -k k -d s | cmp - s
}

@test "no plaintext is left in a sealed stream" {
	make_segment -s 1M -t text >s
	grep -aq 'replica' s
	ps-encrypt -k k s >e
	[ "$(grep -ac 'replica' e)" -eq 0 ]
}

@test "the same content is sealed differently each time" {
	make_segment -s 64K -t random >s
	ps-encrypt -k k s >e1
	ps-encrypt -k k s >e2
	[ "$(cmp -l e1 e2 | wc -l)" -gt 60000 ]
}

@test "sizes that are no multiple of anything come back" {
	local size
	for size in 0 1 511 512 4095 4096 4097 65537 1048575 1048577; do
		make_segment -s "$size" -b 4K -p 2 >s
		ps-encrypt -k k s >e
		ps-stream verify -k k e >/dev/null
		ps-encrypt -k k -d e | cmp - s
	done
}

@test "another key is 77 and nothing comes out" {
	make_segment -s 1M >s
	ps-encrypt -k k s >e
	ps-encrypt --new-key other
	fails_with 77 ps-encrypt -k other -d e
	[ ! -s out ]
	fails_with 77 ps-stream verify -k other e
	grep -q "$(ps-encrypt --list-keys -k k | cut -f 1)" err
}

@test "a changed key does not open, and is found out when it is read" {
	sed -i '/^vault/s/ [0-9a-f]\{4\}\([0-9a-f]*\) \([0-9a-f]\{8\}\)$/ 0000\1 \2/' k
	fails_with 78 ps-encrypt --list-keys -k k
	grep -q 'k:4:' err
}

@test "a stream that was forged in its middle stops there with 65" {
	make_segment -s 3M -t random -r 64K -z 0 >s
	ps-encrypt -k k s >e
	swap_records e
	fails_with 65 ps-encrypt -k k -d e
	# 512 + (36 + 65536) is the first record's end; the third is wrong
	[ "$(stat -c %s out)" -le $((512 + 2 * 65572)) ]
	head -c "$(stat -c %s out)" s | cmp - out
	fails_with 65 ps-stream verify -k k e
}

@test "a cut tail is 65" {
	make_segment -s 1M >s
	ps-encrypt -k k s >e
	head -c -1 e >short
	fails_with 65 ps-encrypt -k k -d short
	mv out partial
	fails_with 65 ps-stream list partial
	head -c -700 e >short
	fails_with 65 ps-encrypt -k k -d short
}

@test "a new key file is for its owner alone and is never overwritten" {
	[ "$(stat -c %a k)" = 600 ]
	cp k before
	fails_with 73 ps-encrypt --new-key k
	grep -q -- '--add-key' err
	cmp k before
	[ "$(find . -name '.tmp*' | wc -l)" -eq 0 ]
}

@test "a key that others can read is refused" {
	make_segment -s 1 >s
	chmod 644 k
	fails_with 77 ps-encrypt -k k s
	grep -q 'chmod 600' err
}

@test "the newest key seals, all of them open" {
	make_segment -s 256K >s
	ps-encrypt -k k s >old
	cp -p k k1
	ps-encrypt --add-key -k k
	ps-encrypt -k k s >new
	ps-encrypt -k k -d old | cmp - s
	ps-encrypt -k k -d new | cmp - s
	ps-encrypt -k k1 -d old | cmp - s
	fails_with 77 ps-encrypt -k k1 -d new
	[ "$(ps-encrypt --list-keys -k k | wc -l)" -eq 2 ]
	ps-encrypt --list-keys -k k | tail -n 1 | grep -q 'seals$'
	[ "$(stat -c %a k)" = 600 ]
}

@test "a machine's key works for this machine alone, and the vault's opens it" {
	make_segment -s 256K -m web01 >web
	make_segment -s 256K -m db01 >db
	ps-encrypt --derive web01 -k k -o k.web
	[ "$(stat -c %a k.web)" = 600 ]
	ps-encrypt -k k.web web >e
	ps-encrypt -k k -d e | cmp - web
	ps-encrypt -k k.web -d e | cmp - web
	fails_with 77 ps-encrypt -k k.web db
	ps-encrypt -k k db >e
	fails_with 77 ps-encrypt -k k.web -d e
	[ ! -s out ]
	fails_with 77 ps-encrypt --derive db01 -k k.web
	fails_with 77 ps-encrypt --add-key -k k.web
}

@test "a derived key goes to a file or a pipe, never to a terminal" {
	ps-encrypt --derive web01 -k k >k.web
	grep -q '^machine=web01 ' k.web
	fails_with 64 script -qec "ps-encrypt --derive web01 -k k" /dev/null
	fails_with 73 ps-encrypt --derive web01 -k k -o k.web
	fails_with 64 ps-encrypt --derive ../web01 -k k
	# shellcheck disable=SC2317 # called by fails_with
	full() { ps-encrypt --derive web01 -k k >/dev/full; }
	fails_with 74 full
}

@test "the secret is in no message and no argument list" {
	local secret
	secret=$(awk '/^vault/ { print $4 }' k)
	make_segment -s 64K >s
	ps-encrypt -v -k k s 2>err >e
	[ "$(grep -c "$secret" err)" -eq 0 ]
	sed -i 's/^vault/vaul/' k
	fails_with 78 ps-encrypt -v -k k s
	[ "$(grep -c "$secret" err)" -eq 0 ]
}

@test "the key file comes from the environment or from ps.yaml" {
	make_segment -s 64K >s
	PS_KEY_FILE=k ps-encrypt s >e
	printf 'key: %s\n' "$PWD/k" >ps.yaml
	ps-encrypt --config ps.yaml -d e | cmp - s
	fails_with 64 ps-encrypt s
	fails_with 66 ps-encrypt -k missing s
}

@test "actions exclude each other" {
	fails_with 64 ps-encrypt -d --add-key -k k
	fails_with 64 ps-encrypt --new-key x --derive web01
	fails_with 64 ps-encrypt --add-key -k k s
	fails_with 64 ps-encrypt -k k -o x s
}

@test "an empty stream stays empty, a full disk is an error" {
	ps-encrypt -k k </dev/null >out
	[ ! -s out ]
	make_segment -s 1M >s
	full() { ps-encrypt -k k s >/dev/full; }
	fails_with 75 full
	fails_with 64 script -qec "ps-encrypt -k k s" /dev/null
}

@test "a segment leaves as soon as its trailer has come" {
	make_segment -s 300K >s
	mkfifo in
	start sh -c 'ps-encrypt -k k <in >live'
	exec 7>in
	cat s >&7
	complete() { [ -s live ] && ps-stream verify -k k live; }
	wait_for complete
	exec 7>&-
}

@test "a process that holds keys leaves no core and cannot be traced" {
	mkfifo in
	start ps-encrypt -k k in
	exec 7>in
	wait_for grep -q 'Max core file size  *0  *0' "/proc/${STARTED[0]}/limits"
	exec 7>&-
}

@test "memory stays under 64 MiB for a 16 TiB disk and for many records" {
	need_plain_build
	make_segment -s 16T -t zero >s
	rss_under 64 ps-encrypt -k k s
	make_segment -s 64M -b 4K -r 4K -z 0 >s
	ps-encrypt -k k s >e
	rss_under 64 ps-encrypt -k k s
	rss_under 64 ps-encrypt -k k -d e
}

@test "keys that are added at the same time are all kept" {
	local i
	ps-encrypt --new-key ring
	for i in 1 2 3 4 5 6; do start ps-encrypt --add-key -k ring; done
	for i in "${STARTED[@]}"; do wait "$i"; done
	[ "$(ps-encrypt --list-keys -k ring | wc -l)" -eq 7 ]
}
