#!/usr/bin/env bats
# Every n-th request fails: upload and restore end right, or say what it was.
# PS_LONG=1: each n of 1 to 30 with each kind of failure.
load ../lib/common
load store

prepare() {
	strict --page 4
	three_passes
}

# Sequences in the order in which they became visible: always 1, 2, 3.
in_order() {
	local seen
	seen=$(jq -r --arg at "/$1/m/d/" 'select(.status >= 200 and
		.status < 300 and .fault != "lost-500" and
		(.target | contains($at)) and
		(.method == "PUT" or .method == "POST") and
		(.target | test("comp=block(&|$)|partNumber=|uploads=") | not)) |
		.target | capture("/d/0*(?<n>[0-9]+)").n' strict/log)
	[ "$(uniq <<<"$seen" | tr '\n' ,)" = 1,2,3, ] || {
		echo "visible in this order: $seen"
		return 1
	}
}

# Exit codes that say "not now": the service is away, or try again.
later() { [ "$1" -eq 69 ] || [ "$1" -eq 75 ]; }

# survive PROTOCOL N KINDS
survive() {
	local vault code=0 patience=120
	# Nothing ever gets through: no need to wait for long.
	[ "$2" -gt 1 ] || patience=4
	vault="$(store_of "$1")/v$2-${#3}-$RANDOM"
	ps-vault init "$vault"
	plan "{\"every\": $2, \"kind\": $3}"
	timeout 300 ps-upload --retry-for "$patience" "$vault" s >acks 2>err || code=$?
	if [ "$code" -ne 0 ]; then
		later "$code" || { cat err; return 1; }
		plan '{}'
		ps-upload "$vault" s >acks
		plan "{\"every\": $2, \"kind\": $3}"
	fi
	[ "$(grep -c ^stored acks)" -eq 3 ]
	in_order "${vault##*/}"
	code=0
	timeout 300 ps-restore --retry-for "$patience" "$vault" --machine m --disk d -o restored \
		2>err || code=$?
	if [ "$code" -eq 0 ]; then
		cmp restored disk.3
		rm restored
	else
		later "$code" || { cat err; return 1; }
		[ ! -e restored ]
	fi
	plan '{}'
	[ -z "${PS_LONG:-}" ] || ps-vault verify "$vault" --data
}

mixed='["503", "reset", "stall+1", "cut", "429+1", "lost", "early", "500"]'

mixed_up() { # PROTOCOL
	local n few='3 8 19'
	[ -z "${PS_LONG:-}" ] || few=$(seq 30)
	for n in $few; do survive "$1" "$n" "$mixed"; done
}

every_nth() { # PROTOCOL KIND
	local n
	[ -n "${PS_LONG:-}" ] || skip "PS_LONG=1: minutes"
	for ((n = 1; n <= 30; n++)); do survive "$1" "$n" "\"$2\""; done
}

@test "S3: every n-th request fails, each in another way" { mixed_up s3; }
@test "S3: every n-th request is answered 503" { every_nth s3 503; }
@test "S3: every n-th connection is reset" { every_nth s3 reset; }
@test "S3: every n-th request stalls" { every_nth s3 stall+1; }
@test "S3: every n-th answer is cut" { every_nth s3 cut; }
@test "S3: every n-th answer is lost" { every_nth s3 lost; }

@test "Azure: every n-th request fails, each in another way" { mixed_up azblob; }
@test "Azure: every n-th request is answered 503" { every_nth azblob 503; }
@test "Azure: every n-th connection is reset" { every_nth azblob reset; }
@test "Azure: every n-th request stalls" { every_nth azblob stall+1; }
@test "Azure: every n-th answer is cut" { every_nth azblob cut; }
@test "Azure: every n-th answer is lost" { every_nth azblob lost; }

@test "a service that resets each connection is unreachable: 69 or 75, nothing there" {
	ps-vault init s3://bucket/away
	inventory s3 >before
	plan '{"every": 1, "kind": "reset"}'
	code=0
	timeout 60 ps-upload --retry-for 3 s3://bucket/away s >acks 2>err || code=$?
	later "$code"
	[ ! -s acks ]
	inventory s3 | diff before -
}

@test "a spoilt answer is never taken for data" {
	ps-vault init s3://bucket/spoilt
	ps-upload s3://bucket/spoilt s >acks
	plan '{"every": 2, "match": "GET .*/m/d/", "kind": "flip"}'
	fails_with 65 ps-restore s3://bucket/spoilt --machine m --disk d \
		-o restored
	[ ! -e restored ]
}
