#!/usr/bin/env bats
# s3://: what goes over the wire, and what people are told when it fails.
load ../lib/common
load store

prepare() {
	PATH=$PS_BUILD/tests/segment:$PATH
	strict
}

large() { # a stream whose segment is longer than three parts
	random_file disk.img $((17 << 20)) 7
	ps-scan --machine m --disk d --map map disk.img 2>/dev/null
}

vault() { ps-vault init s3://bucket/site; }

said() { grep -q -e "$1" err || { cat err; return 1; }; }

@test "a small segment is one PUT, a large one is sent in parts" {
	vault
	make-segment -p 2 | ps-upload s3://bucket/site >acks
	[ "$(requests '.method == "PUT" and (.target | test("/0000"))')" -eq 2 ]
	large >s
	ps-upload s3://bucket/site s >>acks
	[ "$(requests '.target | test("partNumber=")')" -ge 4 ]
	[ "$(grep -c ^stored acks)" -eq 3 ]
	ps-vault verify s3://bucket/site --data
	# Each body has a digest, each creation its condition.
	[ "$(requests '.method == "PUT" and (.target | test("/site/")) and
		(.headers["x-amz-checksum-sha256"] == null)')" -eq 0 ]
	[ "$(requests '.method == "POST" and (.target | test("uploadId")) and
		.headers["if-none-match"] != "*"')" -eq 0 ]
	ps-restore s3://bucket/site --machine m --disk d -o restored
	cmp disk.img restored
}

@test "another's code reads back what was stored, byte for byte" {
	vault
	large >s
	ps-upload s3://bucket/site s >acks
	ps-vault init copy
	ps-upload copy s >acks
	rclone_s3 copy r:bucket/site theirs
	cmp copy/m/d/00000000000000000001 theirs/m/d/00000000000000000001
}

@test "virtual hosts: the bucket's name goes where the endpoint says" {
	export AWS_ENDPOINT_URL="http://{bucket}.localhost:$STRICT_PORT/"
	vault
	make-segment | ps-upload s3://bucket/site >acks
	ps-vault verify s3://bucket/site
	[ "$(requests '.headers.host | test("^bucket.localhost:")')" -gt 5 ]
	[ "$(requests '.headers.host | test("^127")')" -eq 0 ]
}

@test "no keys, wrong keys, an ended token: each in its own words" {
	vault
	(
		unset AWS_ACCESS_KEY_ID
		fails_with 78 ps-vault stat s3://bucket/site
		said 'there are no keys for S3'
	)
	AWS_ACCESS_KEY_ID=AKIAOTHER fails_with 77 ps-vault stat s3://bucket/site
	said 'no such AWS_ACCESS_KEY_ID'
	AWS_SECRET_ACCESS_KEY=other fails_with 77 ps-vault stat s3://bucket/site
	said 'AWS_SECRET_ACCESS_KEY is not that of the key id'
	AWS_SESSION_TOKEN=other fails_with 77 ps-vault stat s3://bucket/site
	said 'AWS_SESSION_TOKEN has ended'
}

@test "a clock that is off is named, with how much and whose" {
	vault
	settings '{"clock": 1200}'
	fails_with 77 ps-vault stat s3://bucket/site
	said 'our clock is .* behind'
	settings '{"clock": -1200}'
	fails_with 77 ps-vault stat s3://bucket/site
	said 'our clock is .* ahead'
	settings '{"clock": 800}'
	ps-vault stat s3://bucket/site
}

@test "wrong region, no bucket, no vault, no URL, no endpoint" {
	AWS_REGION=us-west-9 fails_with 78 ps-vault stat s3://bucket/site
	said 'AWS_REGION'
	fails_with 66 ps-vault stat s3://bucket/site
	said 'NoSuchBucket'
	vault
	fails_with 66 ps-vault stat s3://bucket/other
	said 'ps-vault init s3://bucket/other'
	fails_with 64 ps-vault stat s3://B
	fails_with 64 ps-vault stat s3://bucket/a/../b
	AWS_ENDPOINT_URL=nonsense fails_with 78 ps-vault stat s3://bucket/site
	[ "$(requests '.target | test("other|a/b")')" -le 2 ]
}

@test "a locked object: create works, removal is told as what it is" {
	settings '{"lock": true}'
	fails_with 77 ps-vault init s3://bucket/site
	said 'is locked (Object Lock)'
	settings '{"lock": false}'
	vault
	settings '{"lock": true}'
	make-segment -p 2 | ps-upload s3://bucket/site >acks
	[ "$(grep -c ^stored acks)" -eq 2 ]
	ps-vault verify s3://bucket/site
}

@test "uploads that nobody finished are ended after a day, by its clock" {
	vault
	large >s
	plan '{"every": 1, "match": "^(POST|DELETE) .*uploadId", "kind": "reset"}'
	start ps-upload s3://bucket/site s >acks 2>err
	one_unfinished() { [ "$(unfinished s3 | wc -l)" -eq 1 ]; }
	wait_for one_unfinished
	kill -KILL "${STARTED[-1]}"
	wait "${STARTED[-1]}" || true
	one_unfinished
	plan '{}'
	settings '{"upload_age": 80000}'
	make-segment | ps-upload s3://bucket/site >acks
	one_unfinished
	settings '{"upload_age": 90000}'
	make-segment -d other | ps-upload s3://bucket/site >acks
	[ -z "$(unfinished s3)" ]
}

@test "an upload that is broken off leaves nothing" {
	vault
	inventory s3 >before
	large >s
	head -c 14000000 s >cut
	fails_with 65 ps-upload s3://bucket/site cut
	inventory s3 | diff before -
	[ -z "$(unfinished s3)" ]
}

@test "a body that is spoilt on its way is sent again, or nothing is there" {
	vault
	inventory s3 >before
	plan '{"at": [1, 3], "match": "PUT .*site/m", "kind": "flip-in"}'
	large >s
	ps-upload s3://bucket/site s >acks
	ps-vault verify s3://bucket/site --data
	[ "$(requests '.fault == "flip-in" and .status == 400')" -eq 2 ]
	plan '{"every": 1, "match": "PUT .*site/web", "kind": "flip-in"}'
	inventory s3 >before
	make-segment >s
	fails_with 75 ps-upload s3://bucket/site s
	inventory s3 | diff before -
}

@test "a commit whose answer is lost is ours, and not a stranger's" {
	vault
	plan '{"at": [1], "match": "PUT .*site/.*/0000", "kind": "lost"}'
	make-segment | ps-upload s3://bucket/site >acks
	grep -q ^stored acks
	large >s
	plan '{"at": [1, 2], "match": "POST .*uploadId", "kind": ["lost-500", "lost"]}'
	ps-upload s3://bucket/site s >acks
	grep -q ^stored acks
	[ -z "$(unfinished s3)" ]
	ps-vault verify s3://bucket/site --data
}

@test "a success that is none, or an error in it, is not believed" {
	vault
	large >s
	plan '{"at": [1, 2, 3], "match": "POST .*uploadId", "kind": ["empty", "error-200", "409"]}'
	ps-upload s3://bucket/site s >acks
	plan '{"at": [1, 2], "match": "PUT .*site/", "kind": "empty"}'
	make-segment | ps-upload s3://bucket/site >>acks
	[ "$(grep -c ^stored acks)" -eq 2 ]
	plan '{"every": 3, "match": "HEAD|GET", "kind": "empty"}'
	ps-vault verify s3://bucket/site --data
}
