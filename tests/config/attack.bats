#!/usr/bin/env bats
# What an attacker who may log in, or a full disk, does to the configuration
# server: refused by name, and nobody else notices.
load ../lib/common
load config

prepare() {
	command -v jq >/dev/null || skip "jq is not installed"
	[ -x "$PS_BUILD/tests/net/peer" ] ||
		{ echo "tests/net/peer is not built (make check)" >&2; return 1; }
}

# key NAME: the derived key of a login, in ./NAME.key
key() {
	[ -e "$1.key" ] || cxpsclient --derive-key "$1" -P first -o "$1.key"
}

# request METHOD PATH FILE: with the file as its body, onto standard output
request() {
	printf '%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n' \
		"$1" "$2" "$(stat -c %s "$3")"
	cat "$3"
}

# talk LOGIN: sends standard input, and ends; what came is in ./answer
talk() {
	key "$1"
	{
		cat
		printf 'GET /v1/time HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
	} | timeout 60 "$PS_BUILD/tests/net/peer" raw 127.0.0.1 "$(cat port)" \
		"$1.key" "$1" >answer || true
}

# statuses: of all answers but that for the time
statuses() { sed -n 's|^.*HTTP/1.1 \([0-9]*\) .*|\1|p' answer | head -n -1 | xargs; }

revision() {
	sqlite3 -cmd '.timeout 5000' config/registry.db \
		'SELECT revision FROM state'
}

@test "bodies that are no requests: refused one by one, nothing is changed" {
	local before n=0 body path
	command -v sqlite3 >/dev/null || skip "sqlite3 is not installed"
	site
	join ps1 >out
	ps-config machine add web01 --server ps1
	before=$(revision)
	deep() { head -c "$2" /dev/zero | tr '\0' "$1"; }
	{
		printf ''
	} >b0
	printf '{' >b1
	printf '[]' >b2
	printf '"name"' >b3
	printf '{"name":"ps1","name":"ps2"}' >b4
	printf '{"name":"ps1\\u0000"}' >b5
	printf '{"name":"\377"}' >b6
	printf '{"name":["ps1"]}' >b7
	printf '{"name":"ps1"} {}' >b8
	printf '{"name":"../ps1"}' >b9
	{
		printf '{"name":"ps1","health":'
		deep '[' 900000
	} >b10
	{
		printf '{"name":"ps1","health":'
		deep '[' 300000
		deep ']' 300000
		printf '}'
	} >b11
	printf '{"name":"ps1","time":1e999}' >b12
	printf '\0\0\0\0' >b13
	printf '{"name":"ps1","time":"2026-11-21T00:00:00Z\\n"}' >b14
	for path in /v1/register /v1/heartbeat /v1/leave; do
		for body in b? b1?; do
			n=$((n + 1))
			request POST "$path" "$body"
		done
	done >all
	n=$(grep -a -c '^POST\|POST /v1' all)
	talk ps1 <all
	[ "$(statuses | wc -w)" -eq "$n" ]
	# One of them asks to leave, and a machine would lose its server.
	[ "$(statuses | tr ' ' '\n' | sort -u | xargs)" = '400 409' ]
	[ "$(statuses | tr ' ' '\n' | grep -c 409)" -eq 1 ]
	[ "$(revision)" -eq "$before" ]
	# One byte more than a body may have.
	head -c 1048577 /dev/zero >long
	request POST /v1/heartbeat long | talk ps1
	grep -aq '^HTTP/1.1 413' answer
	beat ps1 --once
	kill -0 "$SERVER"
	! grep -q signal serve.err || false
}

@test "a login gets its own and nobody else's, in each place" {
	command -v sqlite3 >/dev/null || skip "sqlite3 is not installed"
	site
	protected
	ps-config machine add web02
	join ps1 >out
	join ps2 >out
	beat ps1 --once
	sqlite3 config/registry.db "INSERT INTO orders (server, what, machine,
		dest, state, made, changed) VALUES
		('ps1', 'move-out', 'web01', 'ps2', 'open', 1, 1)"
	printf '{"name":"ps1","time":"%s"}' "$(date -u +%FT%TZ)" >as-ps1
	printf '{"name":"web01","role":"ps","address":"x","port":1,"version":"%s","csr":"","time":"%s"}' \
		"$(ps-config --version | head -n 1 | awk '{print $NF}')" \
		"$(date -u +%FT%TZ)" >be-server
	: >nothing
	{
		for path in machines/web02 machines/web99 machines/ps1 status \
			jobs; do
			request GET "/v1/$path" nothing
		done
		for path in heartbeat register leave; do
			request POST "/v1/$path" as-ps1
		done
	} | talk web01
	[ "$(statuses)" = '403 403 403 403 403 403 403 403' ]
	request GET /v1/servers nothing | talk web01
	grep -aq '^\[\]' answer
	openssl req -new -key ps1/server.key -subj /CN=x -out csr 2>/dev/null
	jq --rawfile csr csr '.csr = $csr' be-server >with-csr
	request POST /v1/register with-csr | talk web01
	[ "$(statuses)" = 409 ]
	grep -aq '"error":"duplicate"' answer
	# The orders of another server: not shown, and no word on them counts.
	printf '{"name":"ps2","time":"%s","orders":[{"id":1,"state":"done","note":"x"}]}' \
		"$(date -u +%FT%TZ)" >lie
	request POST /v1/heartbeat lie | talk ps2
	[ "$(statuses)" = 200 ]
	grep -aq '"orders":\[\]' answer
	[ "$(sqlite3 config/registry.db 'SELECT state FROM orders')" = open ]
	{
		request GET /v1/machines/web01 nothing
		request POST /v1/leave as-ps1
	} | talk ps2
	[ "$(statuses)" = '403 403' ]
	# A recorded login, and a recorded registration under another.
	key ps1
	"$PS_BUILD/tests/net/peer" replay 127.0.0.1 "$(cat port)" ps1.key ps1 \
		>replayed
	[ "$(xargs <replayed)" = '200 401' ]
	[ "$(answer '[.[].name]' list)" = '["mt1","ps1","ps2"]' ]
}

@test "logins without end, and bodies without end: others get through" {
	local i begun before
	site
	join ps1 >out
	beat ps1 --once
	key ps2
	before=$(awk '/^VmRSS/ { print $2 }' "/proc/$SERVER/status")
	start "$PS_BUILD/tests/net/hostile" login "$(cat port)" ps2.key ps2 \
		again 1 8 >again
	hostile=${STARTED[-1]}
	# Bodies of which a byte comes now and then.
	for ((i = 0; i < 4; i++)); do
		start bash -c '{
			printf "POST /v1/heartbeat HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
			for ((k = 0; k < 40; k++)); do printf x; sleep 0.05; done
		} | timeout 60 "$0" raw 127.0.0.1 "$1" ps2.key ps2' \
			"$PS_BUILD/tests/net/peer" "$(cat port)" >slow
	done
	begun=$SECONDS
	for ((i = 0; i < 3; i++)); do wait_for beat ps1 --once; done
	[ $((SECONDS - begun)) -lt 60 ]
	wait "$hostile"
	echo "logins: $(cat again)" >&3
	[ "$(awk '/^VmRSS/ { print $2 }' "/proc/$SERVER/status")" -lt \
		$((before + 16384)) ]
	kill -0 "$SERVER"
	wait_for beat ps1 --once # from here came the flood as well
}

# failing CALL HOW N: adds policy pN, with its N-th such call failing
failing() {
	LD_PRELOAD=$PS_BUILD/tests/lib/fail-call.so FAIL_CALL=$1 FAIL_AT=$3 \
		FAIL_HOW=$2 ps-config policy add "p$3" >out 2>err
}

@test "the disk is full, or we are killed, at each write: whole or not at all" {
	local call how n code there
	registry
	protected
	for how in ENOSPC kill; do
		for call in pwrite fsync; do
			[ "$call.$how" != fsync.ENOSPC ] || continue
			for ((n = 1; n <= 9; n++)); do
				code=0
				failing "$call" "$how" "$n" || code=$?
				there=$(answer "map(select(.name == \"p$n\")) |
					length" policy)
				case $code in
				0) [ "$there" -eq 1 ] ;;
				75) [ "$there" -eq 0 ] &&
					grep -q 'make room' err ;;
				137) ;; # either, but whole
				*) cat err && false ;;
				esac
				# Who was told is who was changed.
				[ "$(answer "map(select(.what == \"policy-add\" and
					.object == \"p$n\")) | length" audit -n 0)" \
					-eq "$there" ]
				[ "$there" -eq 0 ] || ps-config policy delete "p$n"
				[ "$code" -eq 0 ] || codes+=" $how$code"
			done
		done
	done
	# It did happen.
	[[ $codes == *ENOSPC75* && $codes == *kill137* ]]
	[ "$(answer .state machine show web01)" = enabled ]
}
