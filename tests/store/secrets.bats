#!/usr/bin/env bats
# Credentials stand in no log, message, process list or core.
load ../lib/common
load store

prepare() {
	PATH=$PS_BUILD/tests/segment:$PATH
	strict
	make-segment >s
}

# none_in FILE...: neither the secret key nor the token
none_in() {
	! grep -a -l -F -e "$AWS_SECRET_ACCESS_KEY" -e "$AWS_SESSION_TOKEN" \
		"$@" || false
}

@test "no message and no log has them, whatever fails" {
	local i=0 plan
	ps-vault init s3://bucket/site -v >o.init 2>&1
	for plan in '{}' '{"at": [2, 3], "kind": ["503", "reset"]}' \
		'{"at": [1], "kind": "cut"}'; do
		i=$((i + 1))
		plan "$plan"
		timeout 60 ps-upload -v s3://bucket/site s >"o.$i" 2>&1 || true
		timeout 60 ps-vault -v stat s3://bucket/site >>"o.$i" 2>&1 || true
	done
	plan '{}'
	AWS_ACCESS_KEY_ID=AKIAOTHER ps-vault stat -v s3://bucket/site \
		>o.key 2>&1 || true
	AWS_REGION=other ps-vault stat -v s3://bucket/site >o.region 2>&1 || true
	AWS_ENDPOINT_URL=http://127.0.0.1:1 timeout 60 ps-vault stat -v \
		s3://bucket/site >o.away 2>&1 || true
	settings '{"clock": 5000}'
	ps-vault stat -v s3://bucket/site >o.clock 2>&1 || true
	[ "$(cat o.* | wc -l)" -gt 8 ]
	none_in o.* strict/log
	# The test would see them.
	run ! none_in strict/env
}

@test "the process list and a core have none" {
	ps-vault init s3://bucket/site
	plan '{"every": 1, "match": "^PUT", "kind": "stall"}'
	ulimit -c unlimited || true
	ps-upload s3://bucket/site s >o 2>&1 3>&- &
	local pid=$!
	STARTED+=("$pid")
	wait_for grep -q '"fault": "stall"' strict/log
	tr '\0' '\n' <"/proc/$pid/cmdline" >cmdline
	grep -q site cmdline
	none_in cmdline
	grep -q '^Max core file size *0 ' "/proc/$pid/limits"
	kill -SEGV "$pid"
	wait "$pid" || true
	[ -z "$(find . -name 'core*')" ]
	none_in o
}
