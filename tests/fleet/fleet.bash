# A registry and process servers for tests of moves. After lib/common and
# lib/chain; servers are s1, s2 ..., all with one vault.
# shellcheck shell=bash

balance() { ps-balance --wait 40s "$@" --dir "$T/registry"; }
config() { ps-config "$@" --dir "$T/registry"; }

# What the parts of a test that failed had to say.
cleanup() {
	[ -z "${BATS_TEST_COMPLETED:-}" ] || return 0
	tail -n 15 "$T"/cs.err "$T"/moved* "$T"/*/*.err "$T"/*.err 2>/dev/null
	config audit --json 2>/dev/null | jq -c '.[] | [.what, .object, .detail]'
	ps-balance resume --wait 0s --dir "$T/registry" --json
} >&2

# fleet SERVER...: a configuration server and these, registered and running
fleet() {
	local s
	for s; do new_server "$s"; done
	config init >/dev/null
	config passphrase new >"$T/passphrase"
	config policy add gold
	serve
	for s; do
		receive "$s"
		ps-config register --cs 127.0.0.1 --cs-port "$(cat "$T/cs.port")" \
			-P "$T/passphrase" --name "$s" --address 127.0.0.1 \
			--port "$(server_port "$s")" --machine-id "id-of-$s" \
			--identity "$T/$s/identity" >"$T/$s/register"
		pipeline "$s"
		heartbeat "$s"
	done
}

# serve: starts the configuration server, on the port that it had if any
serve() {
	local port=0
	[ ! -s "$T/cs.port" ] || port=$(cat "$T/cs.port")
	start ps-config serve -l "127.0.0.1:$port" --dir "$T/registry" \
		--log-dir "$T/registry" \
		>"$T/cs.new" 2>>"$T/cs.err"
	wait_for [ -s "$T/cs.new" ] || { cat "$T/cs.err"; false; }
	mv "$T/cs.new" "$T/cs.port"
}

# heartbeat SERVER: does what the registry orders it to do
heartbeat() {
	start ps-config heartbeat --identity "$T/$1/identity" \
		-C "$T/$1/cache" --health "$T/$1/health" \
		>>"$T/$1/heartbeat.out" 2>>"$T/$1/heartbeat.err"
}

# order_note SERVER WHAT: what came of its last order of this kind
order_note() {
	config audit --json | jq -r --arg s "$1" --arg w "$2" '
		[.[] | select(.what == "order-end") | .detail |
			select(test("server \($s) \($w) "))] | last'
}

# protect MACHINE SERVER DISK...
protect() {
	local m=$1 s=$2 d
	shift 2
	config machine add "$m" --policy gold --server "$s" --vault "$T/vault"
	for d; do config machine disk "$m" "$d" --size 8M; done
	config machine enable "$m"
}

server_of() { config machine show "$1" --json | jq -r .server; }
is_at() { [ "$(server_of "$1")" = "$2" ]; }

# stop_one PID: one of those that `start` began, by its id
stop_one() {
	local i
	kill -9 "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
	for i in "${!STARTED[@]}"; do
		[ "${STARTED[i]}" != "$1" ] || unset "STARTED[i]"
	done
}
