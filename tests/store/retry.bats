#!/usr/bin/env bats
# Which answers are tried again, and when; and what goes on where it was.
# PS_LONG=1: each status, each store.
load ../lib/common
load store

prepare() {
	PATH=$PS_BUILD/tests/segment:$PATH
	strict
}

# sent: how many requests brought the segment of the vault
sent() { requests '.method == "PUT" and (.target | test("/m/d/0000"))'; }

# answered STORE STATUS HOW: an upload whose requests are answered so
answered() {
	vault=$(store_of "$1")/v$2
	ps-vault init "$vault"
	: >strict/log
	plan "{$3, \"match\": \"PUT .*/m/d/\", \"kind\": \"$2\"}"
	code=0
	ps-upload "$vault" s >acks 2>err || code=$?
	plan '{}'
	echo "$1, $2: exit $code, $(sent) requests, $(cat err)"
}

@test "408, 429 and 5xx are tried again; 400, 403, 404, 409 and 412 are not" {
	local kind status vault code again='408 502' final='404 409 412'
	[ -z "${PS_LONG:-}" ] || again='408 429 500 502 503 504'
	[ -z "${PS_LONG:-}" ] || final='400 403 404 409 412'
	make-segment -m m -d d -s 64K >s
	for kind in azblob s3; do
		for status in $again; do
			answered "$kind" "$status" '"at": [1]'
			[ "$code" -eq 0 ]
			grep -q ^stored acks
			[ "$(sent)" -eq 2 ]
		done
		for status in $final; do
			# A conflict of two creators is neither's fault at S3.
			[ "$kind-$status" != s3-409 ] || continue
			answered "$kind" "$status" '"every": 1'
			[ "$code" -ne 0 ]
			! grep -q ^stored acks || false
			[ "$(sent)" -eq 1 ]
		done
	done
}

@test "Retry-After is obeyed" {
	local kind
	make-segment -m m -d d -s 64K >s
	for kind in azblob s3; do ps-vault init "$(store_of "$kind")/later"; done
	: >strict/log
	plan '{"at": [1, 2], "match": "PUT .*/m/d/", "kind": "429+2"}'
	ps-upload "$(store_of azblob)/later" s >acks.azblob 3>&- &
	ps-upload "$(store_of s3)/later" s >acks.s3
	wait $!
	# Of each, or both of one: none came again before it was time.
	jq -s -e 'map(select(.method == "PUT" and
		(.target | test("/m/d/0000")))) | length == 4 and
		.[2].time - .[0].time >= 1.99 and
		.[3].time - .[0].time < 15' strict/log
	grep -q ^stored acks.azblob
	grep -q ^stored acks.s3
}

@test "a download that breaks off goes on where it was" {
	local kind vault kinds=s3
	[ -z "${PS_LONG:-}" ] || kinds='azblob s3'
	make-segment -m m -d d -s 4M -n 8M -t random -z 0 -o want >s
	for kind in $kinds; do
		vault=$(store_of "$kind")/broken
		ps-vault init "$vault"
		ps-upload "$vault" s >acks
		: >strict/log
		plan '{"every": 3, "match": "GET .*/m/d/0000", "kind": "cut"}'
		ps-restore "$vault" --machine m --disk d -q -o got
		plan '{}'
		cmp got want.d.1
		rm got
		# After each cut somebody asks for the second half alone.
		jq -s -e '
			def part: .headers | (."x-ms-range" // .range) |
				capture("=(?<a>[0-9]+)-(?<b>[0-9]+)") |
				{a: (.a | tonumber), b: (.b | tonumber)};
			map(select(.target | test("/m/d/0000")) | select(.method ==
				"GET") | {part: part, fault}) as $all |
			[$all[] | select(.fault == "cut")] as $cut |
			($cut | length) > 0 and ($cut | all(. as $c | $all | any(
				.part.b == $c.part.b and .part.a > $c.part.a and
				.part.a <= $c.part.a + ($c.part.b - $c.part.a + 1) / 2
			)))' strict/log
	done
}

@test "Azure Blob: when the blocks are gone, it is said, and the next run stores" {
	local vault pid code=0
	vault=$(store_of azblob)/gone
	ps-vault init "$vault"
	make-segment -m m -d d -s 5M -n 8M -t random -z 0 >s
	plan '{"at": [1], "match": "PUT .*comp=blocklist", "kind": "503+1"}'
	ps-upload "$vault" s >acks 2>err 3>&- &
	pid=$!
	wait_for grep -q '"fault": "503+1"' strict/log
	control PUT forget '"container/gone/m/d/00000000000000000001"'
	wait "$pid" || code=$?
	cat err
	[ "$code" -eq 75 ]
	[ ! -s acks ]
	grep -q 'blocks are gone, and nobody committed' err
	ps-upload "$vault" s | grep -q ^stored
	ps-vault verify "$vault" --data
}
