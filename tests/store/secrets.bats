#!/usr/bin/env bats
# Credentials stand in no log, message, process list or core.
load ../lib/common
load store

prepare() {
	PATH=$PS_BUILD/tests/segment:$PATH
	strict
	make-segment >s
}

# none_in FILE...: no secret of any kind of login
none_in() {
	! grep -a -l -F -e "$AWS_SECRET_ACCESS_KEY" -e "$AWS_SESSION_TOKEN" \
		-e "$AZURE_STORAGE_KEY" \
		${AZURE_CLIENT_SECRET:+-e "$AZURE_CLIENT_SECRET"} "$@" || false
}

silent() { # STORE
	local i=0 plan url away=http://127.0.0.1:1
	url=$(store_of "$1")/site
	ps-vault init "$url" -v >o.init 2>&1
	for plan in '{}' '{"at": [2, 3], "kind": ["503", "reset"]}' \
		'{"at": [1], "kind": "cut"}'; do
		i=$((i + 1))
		plan "$plan"
		timeout 60 ps-upload -v "$url" s >"o.$i" 2>&1 || true
		timeout 60 ps-vault -v stat "$url" >>"o.$i" 2>&1 || true
	done
	plan '{}'
	AWS_ACCESS_KEY_ID=AKIAOTHER AZURE_STORAGE_ACCOUNT=other \
		ps-vault stat -v "$url" >o.key 2>&1 || true
	AWS_REGION=other AZURE_STORAGE_BLOB_ENDPOINT=nonsense \
		ps-vault stat -v "$url" >o.region 2>&1 || true
	timeout 60 ps-vault stat -v --endpoint $away --retry-for 1 "$url" \
		>o.away 2>&1 || true
	settings '{"clock": 5000}'
	ps-vault stat -v "$url" >o.clock 2>&1 || true
	settings '{"clock": 0}'
	[ "$(cat o.* | wc -l)" -gt 8 ]
	none_in o.* strict/log
}

@test "no message and no log has them, whatever fails" {
	silent s3
	silent azblob
	# The test would see them.
	run ! none_in strict/env
}

@test "nor those of an application of Entra ID" {
	# shellcheck disable=SC1091
	source strict/env.entra
	export AZURE_STORAGE_AUTH_TYPE=spn
	export AZURE_AUTHORITY_HOST=http://127.0.0.1:$STRICT_PORT/
	silent azblob
	grep -q '"auth": "Bearer"' strict/log
	AZURE_CLIENT_SECRET=wrong-secret fails_with 77 ps-vault stat -v \
		"$(store_of azblob)/site"
	! grep -q wrong-secret err || false
	run ! none_in strict/env.entra
}

hidden() { # STORE
	local pid url
	url=$(store_of "$1")/site
	ps-vault init "$url"
	: >strict/log
	plan '{"every": 1, "match": "^PUT", "kind": "stall"}'
	ulimit -c unlimited || true
	ps-upload "$url" s >o 2>&1 3>&- &
	pid=$!
	STARTED+=("$pid")
	wait_for grep -q '"fault": "stall"' strict/log
	tr '\0' '\n' <"/proc/$pid/cmdline" >cmdline
	tr '\0' '\n' <"/proc/$pid/environ" >environ
	grep -q site cmdline
	case $1 in
	s3) ! grep -a -F "$AWS_SECRET_ACCESS_KEY" cmdline environ || false ;;
	azblob) ! grep -a -F "$AZURE_STORAGE_KEY" cmdline environ || false ;;
	esac
	grep -q '^Max core file size *0 ' "/proc/$pid/limits"
	kill -SEGV "$pid"
	wait "$pid" || true
	[ -z "$(find . -name 'core*')" ]
	plan '{}'
	none_in o cmdline
}

@test "the process list, the environment and a core have none" {
	hidden s3
	hidden azblob
}
