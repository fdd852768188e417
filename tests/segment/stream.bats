#!/usr/bin/env bats
# ps-stream: list, stat, verify, cat.
load ../lib/common
load common

@test "list has one line for each segment, with the fields of the manual" {
	make_segment -s 4M -n 1M -p 2 -d a,b -B night >s
	ps-stream list s >lines
	ps-stream cat s | ps-stream list - | cmp - lines
	[ "$(awk -F '\t' '{ print NF }' lines | sort -u)" = 15 ]
	head -n 1 lines | cut -f 1-8,13,14 | tr '\t' ' ' >first
	echo 'web01 a 1 base 1 night1 2026-01-01T01:00:00Z crash plain -' |
		cmp - first
	[ "$(cut -f 14 lines | grep -c last)" -eq 4 ]
}

@test "list -v shows each record before the segment's line" {
	make_segment -s 1M -b 64K -r 64K -z 50 >s
	ps-stream list -v s >lines
	records=$(ps-stream list s | cut -f 9)
	[ "$(grep -c '^	' lines)" -eq "$records" ]
	grep -q '^	0	[dz]' lines
	tail -n 1 lines | grep -q '^web01'
}

@test "list --json is one object a line" {
	make_segment -s 2M -p 2 -d a,b >s
	ps-compress s >c
	ps-stream list --json c >lines
	[ "$(jq -s length lines)" -eq 4 ]
	[ "$(jq -r 'select(.disk == "b" and .seq == 2).members | join(",")' \
		lines)" = web01/a,web01/b ]
	[ "$(jq -s 'all(.compressed and .authenticated)' lines)" = true ]
	[ "$(ps-stream list --json -v s | jq -s \
		'map(select(.type == "record").length) | add')" -eq \
		"$(jq -s 'map(.data_bytes + .zero_bytes) | add' lines)" ]
}

@test "what only a key can confirm is called unauthenticated" {
	make_segment -s 1M >s
	ps-encrypt --new-key k
	ps-encrypt -k k s >e
	[ "$(ps-stream list --json e | jq .authenticated)" = false ]
	ps-stream verify e | grep -q '	unauthenticated	'
	ps-stream verify -k k e | grep -q '	ok	'
	[ "$(ps-stream verify -k k --json e | jq -r .result)" = ok ]
}

@test "stat adds up" {
	make_segment -s 4M -p 3 -d a,b >s
	ps-stream stat --json s >sums
	[ "$(jq .segments sums)" -eq 6 ]
	[ "$(jq .disks sums)" -eq 2 ]
	[ "$(jq .last_parts sums)" -eq 6 ]
	[ "$(jq .bytes sums)" -eq "$(stat -c %s s)" ]
	[ "$(jq '.data_bytes' sums)" -eq \
		"$(ps-stream list s | awk '{ n += $10 } END { print n }')" ]
	ps-stream stat s | grep -q "^bytes	$(stat -c %s s)	"
	[ "$(ps-stream stat --json /dev/null | jq .segments)" -eq 0 ]
}

@test "verify accepts what is whole" {
	make_segment -s 6M -n 2M -p 3 -d a,b -b 4K >s
	ps-stream verify s >good
	[ "$(grep -c '	ok	' good)" -eq "$(ps-stream list s | wc -l)" ]
	ps-compress s | ps-stream verify | cmp - good
	[ -z "$(ps-stream verify -q s)" ]
}

@test "verify names the record whose data are not what was recorded" {
	make_segment -s 1M -b 64K -r 64K -z 0 >s
	forge_record s 3
	fails_with 65 ps-stream verify s
	grep -q '	damaged	record 3: .* at 196608 ' out
	ps-compress s >c # does not look at blocks
	fails_with 65 ps-stream verify c
}

@test "verify goes on behind a segment with wrong data" {
	make_segment -s 1M -b 64K -r 64K -z 0 -p 3 >s
	forge_record s 3
	fails_with 65 ps-stream verify s
	[ "$(grep -c '	ok	' out)" -eq 2 ]
	[ "$(grep -c '	damaged	' out)" -eq 1 ]
	fails_with 65 ps-stream verify -q --json s
	[ "$(jq .wrong_records out)" -eq 1 ]
}

@test "a damaged segment is named, with what is wrong" {
	make_segment -s 256K -p 2 -z 0 >s
	flip_bit s 100000
	fails_with 65 ps-stream verify s
	grep -q '^web01	root	1	damaged	damaged segment: CRC of a record$' out
	[ "$(wc -l <err)" -eq 1 ]
	fails_with 65 ps-stream list s
	fails_with 65 ps-stream stat s
	fails_with 65 ps-stream cat s
}

@test "verify sees segments that are missing, out of order or not linked" {
	make_segment -s 256K -p 4 >s
	ps-stream cat --seq 1-2 s >one
	ps-stream cat --seq 4 s >four
	cat one four >gap
	fails_with 65 ps-stream verify gap
	grep -q 'out of order' out
	cat four one >back
	fails_with 65 ps-stream verify back
	make_segment -s 256K -p 4 >t
	ps-stream cat --seq 3 t >other
	cat one other >mixed
	fails_with 65 ps-stream verify mixed
	grep -q 'go on' out
	cat one one >again
	fails_with 65 ps-stream verify again
	cat four four >twice
	ps-stream verify twice
}

@test "cat passes selected segments as they are" {
	make_segment -s 1M -p 4 -d a,b >s
	ps-compress s >c
	ps-stream cat c | cmp - c
	ps-stream cat -d a c >c.a
	ps-stream cat -d b c >c.b
	[ $(($(stat -c %s c.a) + $(stat -c %s c.b))) -eq "$(stat -c %s c)" ]
	[ "$(ps-stream cat --seq 2-3 -d a c | ps-stream list | cut -f 3 |
		tr '\n' ' ')" = "2 3 " ]
	[ "$(ps-stream cat --seq 3- c | ps-stream list | cut -f 3 |
		tr '\n' ' ')" = "3 3 4 4 " ]
	[ "$(ps-stream cat --seq -1 c | ps-stream list | wc -l)" -eq 2 ]
	[ "$(ps-stream cat -m other c | wc -c)" -eq 0 ]
	ps-stream cat -d a -d b c | cmp - c
}

@test "a cut stream gives one clear line and 65" {
	local command
	make_segment -s 256K >s
	for n in 1 3 511 512 513 600 70000; do
		head -c "$n" s >short
		for command in list stat verify cat; do
			fails_with 65 ps-stream "$command" short
			[ "$(wc -l <err)" -eq 1 ]
			grep -qE 'ends (in|inside)' err
		done
	done
}

@test "garbage gives one clear line and 65" {
	random_file garbage 100000
	fails_with 65 ps-stream list garbage
	[ "$(cat err)" = "ps-stream: garbage: not a segment" ]
}

@test "an empty stream is a stream" {
	ps-stream list /dev/null
	ps-stream stat /dev/null
	ps-stream verify </dev/null
	ps-stream cat - </dev/null
}

@test "a full disk is an error, not silence" {
	make_segment -s 64K >s
	full() { ps-stream "$@" s >/dev/full; }
	fails_with 74 full list
	fails_with 74 full stat
	fails_with 74 full verify
	fails_with 75 full cat
}

@test "misuse is refused" {
	make_segment -s 64K >s
	fails_with 64 ps-stream
	fails_with 64 ps-stream look s
	fails_with 64 ps-stream cat --seq x s
	fails_with 64 ps-stream cat --seq 5-2 s
	fails_with 64 ps-stream cat --seq - s
	fails_with 64 ps-stream verify --disk root s
	fails_with 64 ps-stream list s s
	fails_with 66 ps-stream list missing
	fails_with 64 script -qec "ps-stream cat s" /dev/null
}

@test "memory stays under 64 MiB for a 16 TiB disk and for many records" {
	need_plain_build
	make_segment -s 16T -t zero >s
	rss_under 64 ps-stream list s
	rss_under 64 ps-stream verify s
	make_segment -s 64M -b 4K -r 4K -z 0 >s
	rss_under 64 ps-stream verify s
}
