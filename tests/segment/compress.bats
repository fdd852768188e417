#!/usr/bin/env bats
# ps-compress: what it makes, what it leaves alone, how it fails.
load ../lib/common
load common

@test "-d gives back the very bytes, at every level and with each codec" {
	local how
	make_segment -s 2M -n 1M -p 2 -d a,b >s
	for how in -1 -2 -3 -4 -5 -6 -7 -8 -9 --best --fast "-l 5" \
		"--codec deflate" "--codec none" "--codec zstd" \
		"--codec zstd -9"; do
		case $how in *zstd*)
			ps-compress --version | grep -q zstd || continue ;;
		esac
		# shellcheck disable=SC2086
		ps-compress $how s >c
		ps-compress -d c | cmp - s
	done
}

@test "compressible data get smaller, and no record larger" {
	make_segment -s 8M -t text >s
	ps-compress s >c
	[ "$(stat -c %s c)" -lt "$(($(stat -c %s s) / 2))" ]
	make_segment -s 8M -t random >s
	ps-compress s >c
	[ "$(stat -c %s c)" -eq "$(stat -c %s s)" ]
}

@test "the digest of a segment stays what it was" {
	make_segment -s 4M -p 3 >s
	ps-stream list s | cut -f 15 >before
	ps-compress s | ps-stream list | cut -f 15 | cmp - before
}

@test "what is compressed passes a second time unchanged" {
	make_segment -s 4M -p 2 >s
	ps-compress s >c
	ps-compress --codec deflate -9 c | cmp - c
}

@test "plain and compressed segments may be mixed in one stream" {
	make_segment -s 4M -d sda >a
	make_segment -s 4M -d sdb >b
	ps-compress b >b.c
	cat a b.c >mixed
	ps-compress mixed >c
	ps-stream verify c >/dev/null
	cat a b >plain
	ps-compress -d c | cmp - plain
	ps-compress -d mixed | cmp - plain
}

@test "sealed segments pass, and -d says that they must be opened first" {
	make_segment -s 1M >s
	ps-encrypt --new-key k
	ps-encrypt -k k s >e
	ps-compress e | cmp - e
	fails_with 65 ps-compress -d e
	grep -q 'ps-encrypt -d' err
	[ ! -s out ]
}

@test "any number of threads gives the same bytes" {
	local n
	make_segment -s 12M -n 3M >s
	ps-compress -j 1 s >one
	for n in 2 3 7 64; do
		ps-compress -j "$n" s | cmp - one
	done
}

@test "sizes that are no multiple of anything come back" {
	local size
	for size in 0 1 511 512 4095 4096 4097 65535 65536 65537 \
		1048575 1048576 1048577; do
		make_segment -s "$size" -b 4K -z 0 -p 2 >s
		ps-compress s >c
		ps-stream verify c >/dev/null
		ps-compress -d c | cmp - s
	done
}

@test "an empty stream stays empty" {
	ps-compress </dev/null >out
	[ ! -s out ]
	ps-compress -d </dev/null >out
	[ ! -s out ]
}

@test "a segment leaves as soon as its trailer has come" {
	make_segment -s 300K -p 2 >s
	ps-stream cat --seq 1 s >first
	mkfifo in
	start sh -c 'ps-compress <in >live'
	exec 7>in
	cat first >&7
	wait_for complete live
	ps-stream list live | grep -q '^web01	root	1	'
	exec 7>&-
}

complete() {
	[ -s "$1" ] && ps-stream verify "$1"
}

@test "what is no stream is refused" {
	echo "hello, this is not a segment at all" >garbage
	fails_with 65 ps-compress garbage
	fails_with 65 ps-compress -d garbage
	[ ! -s out ]
	[ "$(wc -l <err)" -eq 1 ]
}

@test "a segment from the future is told from a damaged one" {
	make_segment -s 64K >s
	future_version s
	fails_with 76 ps-compress s
	fails_with 76 ps-stream verify s
	grep -q 'newer' err
}

@test "a cut stream gives one line and 65" {
	make_segment -s 1M >s
	ps-compress s >c
	head -c 200000 s >short
	fails_with 65 ps-compress short
	[ "$(wc -l <err)" -eq 1 ]
	head -c -1 c >short
	fails_with 65 ps-compress -d short
	mv out partial
	fails_with 65 ps-stream list partial
}

@test "a full disk is an error, not silence" {
	make_segment -s 1M >s
	full() { ps-compress "$@" >/dev/full; }
	fails_with 75 full s
	make_segment -s 1 >s
	fails_with 75 full s
}

@test "a terminal gets no binary data" {
	make_segment -s 64K >s
	fails_with 64 script -qec "ps-compress s" /dev/null
}

@test "misuse is refused" {
	make_segment -s 1 >s
	fails_with 64 ps-compress --level 10 s
	fails_with 64 ps-compress --codec lzma s
	fails_with 64 ps-compress -j 0 s
	fails_with 64 ps-compress s s
	fails_with 66 ps-compress missing
}

@test "level, codec and threads come from ps.yaml" {
	make_segment -s 2M -t text >s
	printf 'compress:\n  codec: none\n' >ps.yaml
	ps-compress --config ps.yaml s | cmp - s
	printf 'compress:\n  level: 9\n  jobs: 1\n' >ps.yaml
	ps-compress --config ps.yaml s >nine
	ps-compress -9 s | cmp - nine
	ps-compress -1 --config ps.yaml s >one
	ps-compress s | cmp - one
	printf 'compress:\n  level: 10\n' >ps.yaml
	fails_with 78 ps-compress --config ps.yaml s
}

@test "memory stays under 64 MiB for a 16 TiB disk and for many records" {
	need_plain_build
	make_segment -s 16T -t zero >s
	rss_under 64 ps-compress s
	make_segment -s 64M -b 4K -r 4K -t text -z 0 >s
	ps-compress s >c
	rss_under 64 ps-compress s
	rss_under 64 ps-compress -d c
	make_segment -s 24M -t text -z 0 >s
	rss_under 64 ps-compress s
	rss_under 64 ps-compress -9 s
	if ps-compress --version | grep -q zstd; then
		rss_under 64 ps-compress --codec zstd -9 s
	fi
}
