# A registry and process servers for tests of moves. After lib/common and
# lib/chain; servers are s1, s2 ..., all with one vault.
# shellcheck shell=bash

balance() { ps-balance "$@" --dir "$T/registry"; }
config() { ps-config "$@" --dir "$T/registry"; }

# fleet SERVER...: a registry with them, each running
fleet() {
	local s
	for s; do new_server "$s"; done
	config init >/dev/null
	config policy add gold
	for s; do
		receive "$s"
		pipeline "$s"
		config server add "$s" --address 127.0.0.1 \
			--port "$(server_port "$s")"
		orders "$s"
	done
}

# orders SERVER: does what the registry orders it to do
orders() {
	start "$PS_BUILD/tests/fleet/run-orders" "$T/registry" "$1" \
		"$T/$1/cache" >>"$T/$1/orders" 2>>"$T/$1/orders.err"
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
