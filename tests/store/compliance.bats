#!/usr/bin/env bats
# What all stores promise, on each of them; and the strict server itself,
# measured by what others' programs send.
load ../lib/common
load store

@test "a folder does what all stores promise" {
	mkdir folder
	compliant "$T/folder"
}

@test "a bucket of the strict server does, over pages of 5" {
	strict --page 5
	compliant s3://bucket
	[ "$(requests '.target | test("continuation-token=")')" -gt 4 ]
	[ "$(requests '.headers["if-none-match"] == "*" and .status == 412')" -ge 15 ]
	[ "$(requests '.status >= 400 and .status != 404 and .status != 412 and .status != 416')" -eq 0 ]
	[ -z "$(unfinished s3)" ]
	[ ! -s strict/err ]
}

@test "a container of the strict server does, over pages of 5" {
	knows azblob
	strict --page 5
	PS_TEST_STORE_NONE=azblob://$AZURE_STORAGE_ACCOUNT/none \
		compliant "azblob://$AZURE_STORAGE_ACCOUNT/container"
	[ "$(requests '.target | test("marker=")')" -gt 4 ]
	[ ! -s strict/err ]
}

@test "a bucket of s3rver does, but for what it cannot" {
	s3rver_peer
	PS_TEST_STORE_LAX=1 compliant s3://bucket
}

@test "a store that refuses no second create makes a single writer's vault" {
	s3rver_peer
	ps-vault init s3://bucket/site
	ps-vault stat s3://bucket/site >stat
	grep -q 'a single writer is assumed' stat
	ps-vault stat s3://bucket/site --json | grep -q '"fence": *"single-writer"'
	PATH=$PS_BUILD/tests/segment:$PATH
	make-segment | ps-upload --report report s3://bucket/site >acks 2>err
	grep -q 'refuses no second create' err
	jq -e .single_writer report
}

@test "so does the strict server when it is lax, and not when it is not" {
	strict
	ps-vault init s3://bucket/strict
	ps-vault stat s3://bucket/strict --json | grep -q '"fence": *"store"'
	settings '{"lax": true}'
	ps-vault init s3://bucket/lax
	ps-vault stat s3://bucket/lax --json |
		grep -q '"fence": *"single-writer"'
}

@test "health tells of a vault with a single writer, and of no other" {
	local vault
	strict
	PATH=$PS_BUILD/tests/segment:$PATH
	export PS_HEALTH_DIR=$T/health
	ps-vault init s3://bucket/strict
	settings '{"lax": true}'
	ps-vault init s3://bucket/lax
	for vault in strict lax; do
		ps-cache init --keep-free 0 --keep-free-initial 0 -C "$vault"
		make-segment | ps-cache put -C "$vault" >acks
		printf '%s\n' "cache: $T/$vault" "vault: s3://bucket/$vault" >ps.yaml
		ps-pipeline --config ps.yaml --once 2>err
		ps-health sample --config ps.yaml
		ps-health check --json >"$vault.json" || [ $? -le 3 ]
	done
	jq -e '.alerts | map(select(.code == "single-writer")) == []' strict.json
	jq -e '.alerts[] | select(.code == "single-writer") |
		.level == "notice"' lax.json
}

@test "the strict server takes what rclone sends, and refuses what is wrong" {
	strict --page 3
	mkdir src
	random_file src/large 12000000
	for i in 1 2 3 4 5 6 7; do echo "$i" >"src/a $i+ä"; done
	rclone_s3 --s3-upload-cutoff 6M --s3-chunk-size 5M copy src r:bucket/p
	rclone_s3 check --download src r:bucket/p
	[ "$(requests '.target | test("partNumber=3")')" -eq 1 ]
	AWS_SECRET_ACCESS_KEY=wrong run ! rclone_s3 copy r:bucket/p other
	[ "$(curl -s -o out -w '%{http_code}' "$AWS_ENDPOINT_URL/bucket/p/large")" \
		-eq 403 ]
	settings '{"clock": 1000}'
	run ! rclone_s3 copy r:bucket/p other
	grep -q '"status": 403' strict/log
}
