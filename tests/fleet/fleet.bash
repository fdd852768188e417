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
	for s; do wait_for is_heard "$s"; done
}

is_heard() { config server show "$1" --json | jq -e '.contact != null'; }

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
		--machine-id "id-of-$1" \
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

# ---- agents, and kills of anything ----

declare -gA RUNS # "KIND NAME" -> process id
FLEET_PROVIDERS=$(cd "${BASH_SOURCE[0]%/*}/../lib/providers" && pwd)

# up KIND [NAME]: serve, receive, pipeline, heartbeat, agent
up() {
	case $1 in
	agent)
		PS_PROVIDER_DIR=$FLEET_PROVIDERS \
			start ps-agent run -c "$T/$2.yaml" 2>>"$T/$2.err"
		;;
	*) "$@" ;;
	esac
	RUNS["$*"]=${STARTED[-1]}
}

# fleet_up SERVER...: as fleet, each process known by its name
fleet_up() {
	local s
	fleet "$@"
	set -- serve
	RUNS[serve]=${STARTED[0]}
	for ((s = 1; s < ${#STARTED[@]}; s++)); do
		case $(((s - 1) % 3)) in
		0) RUNS["receive s$(((s + 2) / 3))"]=${STARTED[s]} ;;
		1) RUNS["pipeline s$(((s + 2) / 3))"]=${STARTED[s]} ;;
		2) RUNS["heartbeat s$(((s + 2) / 3))"]=${STARTED[s]} ;;
		esac
	done
}

# agent_up MACHINE SERVER: protects the disk MACHINE.img, at first there. What
# each point has to be is written down by its snapshot, in $T/witness.
agent_up() {
	local m=$1
	truncate -s 4M "$T/$m.img"
	scribble "$T/$m.img" "${m#m}" 3
	protect "$m" "$2" d
	cxpsclient --derive-key "$m" -P "$T/passphrase" -o "$T/$m.key"
	cat >"$T/$m.yaml" <<-END
		machine: $m
		server: {key: $T/$m.key, timeout: 20}
		config-server: {address: 127.0.0.1, port: $(cat "$T/cs.port")}
		state: $T/$m.state
		interval: 1
		max-wait: 1
		disks:
		  - name: d
		    source: $T/$m.img
		    provider: witness
		    options: {sums: $T/witness}
	END
	up agent "$m"
}

# kill_one KIND [NAME]: with SIGKILL, and starts it again
kill_one() {
	stop_one "${RUNS["$*"]}"
	up "$@"
}

# kill_any: one of those that move data or drive it
kill_any() {
	local keys=("${!RUNS[@]}")
	# shellcheck disable=SC2086 # kind and name are two words
	kill_one ${keys[RANDOM % ${#keys[@]}]}
}

# Notes the points that agents were told to be taken.
note_points() {
	local m
	for m; do
		jq -r --arg m "$m" '.disks[].points[].bookmark | "\($m) \(.)"' \
			"$T/$m.state/state.json" 2>/dev/null || true
	done | sort -u - <(cat "$T/taken" 2>/dev/null) >"$T/taken.new"
	mv "$T/taken.new" "$T/taken"
}

# The latest point of a machine is its image.
is_whole() {
	[ "$(restored_sum "$1" d latest)" = "$(sha256sum <"$T/$1.img" |
		cut -d' ' -f 1)" ]
}

listed() { # listed MACHINE...: their complete points
	local m
	for m; do
		ps-vault list "$T/vault" --machine "$m" -k "$T/vault.key" --json |
			jq -r --arg m "$m" '.[] | select(.complete) | "\($m) \(.point)"'
	done | sort -u
}

# bury SERVER TO MACHINE...: it dies for good, with its cache. Who was there may lose the
# points that only it had, and no others.
bury() {
	local kind m from=$1 to=$2
	shift 2
	for m; do
		! is_at "$m" "$from" || BURIED+=("$m")
	done
	for kind in pipeline receive heartbeat; do
		stop_one "${RUNS["$kind $from"]}"
		unset "RUNS[$kind $from]"
		# Something has been taken and not stored when it dies.
		[ "$kind" != pipeline ] || [ -z "${BURIED[*]}" ] ||
			wait_for has_unstored "$from"
	done
	note_points "$@"
	cp "$T/taken" "$T/taken.bury"
	mv "$T/$from/cache" "$T/$from/burnt"
	balance switch "$from" "$to" --dead
}
BURIED=()
has_unstored() { ! drained "$1"; }

may_be_lost() { # lines "MACHINE POINT"
	local m p
	while read -r m p; do
		[[ " ${BURIED[*]} " == *" $m "* ]] || return 1
		grep -qxF "$m $p" "$T/taken.bury" || return 1
	done
}

# is_as_witnessed MACHINE POINT: its bytes are what its snapshot was.
is_as_witnessed() {
	local sum
	sum=$(restored_sum "$1" d "$2")
	grep -qxF "$1 $2 $sum" "$T/witness" || {
		echo "$1 $2 is $sum, and was:"
		grep -F "$1 $2 " "$T/witness"
		return 1
	} >&2
}

# check_fleet MACHINE...: the fleet comes to rest, then check_points
check_fleet() {
	local m s
	for m; do wait_for is_whole "$m"; done
	for m; do stop_one "${RUNS["agent $m"]}"; done
	note_points "$@"
	for s in "$T"/s[0-9]; do
		s=${s##*/}
		[ -z "${RUNS["pipeline $s"]:-}" ] || wait_for drained "$s"
	done
	check_points "$@"
}

# check_points MACHINE...: nobody writes any more. Everything that was taken is
# there (or died with its server), is what its source was, and no chain has a
# gap or had two writers.
check_points() {
	local m p
	listed "$@" >"$T/listed"
	[ -s "$T/taken" ] && [ -s "$T/listed" ] || return 1
	for m; do grep "^$m " "$T/taken"; done | sort |
		comm -23 - "$T/listed" >"$T/missing"
	may_be_lost <"$T/missing" || { cat "$T/missing" >&2; return 1; }
	# Two writers of one disk: the vault had to refuse one.
	! grep -h '^refused' "$T"/s*/acks || return 1
	while read -r m p; do
		is_as_witnessed "$m" "$p" || return 1
	done <"$T/listed"
	ps-vault verify "$T/vault" -k "$T/vault.key" --data >/dev/null
}
