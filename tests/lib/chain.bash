# A whole chain for tests: source -> TLS -> server -> vault. After
# `load common`. All that is started has a path below $T in its arguments.
# shellcheck shell=bash

# new_server [NAME]: a cache, certificate and port of its own; one vault, one
# key and one passphrase for all servers.
new_server() {
	local s=${1:-s1}
	umask 077
	if [ ! -e "$T/vault" ]; then
		ps-vault init "$T/vault" >/dev/null
		ps-encrypt --new-key "$T/vault.key" >/dev/null
		new_passphrase "$T/passphrase"
		: >"$T/empty.yaml"
	fi
	mkdir -p "$T/$s"
	ps-cache init -C "$T/$s/cache" >/dev/null
	ps-receive --new-cert --cert "$T/$s/cert" --key "$T/$s/key" >/dev/null
	cat >"$T/$s/ps.yaml" <<-END
		cache: $T/$s/cache
		vault: $T/vault
		key: $T/vault.key
		receive:
		  listen: 127.0.0.1:0
		  cert: $T/$s/cert
		  key: $T/$s/key
		  passphrase: $T/passphrase
		pipeline:
		  max-wait: 1
	END
}

# receive [NAME]: starts ps-receive, on the port that it had before if any.
receive() {
	local s=${1:-s1} port=0
	[ ! -s "$T/$s/port" ] || port=$(server_port "$s")
	start ps-receive --config "$T/$s/ps.yaml" -l "127.0.0.1:$port" \
		>"$T/$s/port.new" 2>>"$T/$s/receive.err"
	wait_for [ -s "$T/$s/port.new" ] || { cat "$T/$s/receive.err"; false; }
	mv "$T/$s/port.new" "$T/$s/port"
}

server_port() { sed 's/.*://' "$T/${1:-s1}/port"; }

# pipeline [NAME] [OPTION...]: starts ps-pipeline
pipeline() {
	local s=${1:-s1}
	shift || true
	start ps-pipeline --config "$T/$s/ps.yaml" "$@" \
		>>"$T/$s/acks" 2>>"$T/$s/pipeline.err"
}

# client MACHINE SERVER ARGS...: cxpsclient with the machine's own key
client() {
	local m=$1 s=$2
	shift 2
	[ -e "$T/$m.key" ] ||
		machine_key "$m" "$T/passphrase" "$T/$m.key"
	cxpsclient -i 127.0.0.1 -l "$(server_port "$s")" -P "$T/$m.key" "$@"
}

# settle MACHINE DISK [SERVER]: what an agent does before each scan
settle() {
	client "$1" "${3:-s1}" --status --machine "$1" --disk "$2" |
		ps-scan --commit --settle --map "$T/$1.$2.map" >/dev/null
}

# pass MACHINE DISK IMAGE [SERVER] [OPTION...]: settle, scan, send, commit
pass() {
	local m=$1 d=$2 image=$3 s=${4:-s1} code=0
	shift 3
	shift || true
	settle "$m" "$d" "$s" || code=$?
	[ "$code" -eq 0 ] || return "$code"
	ps-scan --machine "$m" --disk "$d" --map "$T/$m.$d.map" "$@" "$image" |
		ps-compress --config "$T/empty.yaml" |
		client "$m" "$s" --put - |
		ps-scan --commit --map "$T/$m.$d.map" >/dev/null
}

# What the vault has of a disk: its last sequence.
vault_seq() {
	ps-vault head "$T/vault" --machine "$1" --disk "$2" | cut -f 4
}

# Everything that the cache of a server took is in the vault.
drained() {
	[ "$(ps-cache stat --json -C "$T/${1:-s1}/cache" | jq '.segments')" = 0 ]
}

point_exists() { # MACHINE POINT
	ps-vault list "$T/vault" --machine "$1" -k "$T/vault.key" --json |
		jq -e --arg p "$2" 'any(.[]; .point == $p and .complete)' \
			>/dev/null
}

# restored_sum MACHINE DISK POINT: SHA-256 of the restored disk
restored_sum() {
	ps-restore "$T/vault" --machine "$1" --disk "$2" --point "$3" \
		-k "$T/vault.key" -q -o - | sha256sum | cut -d' ' -f 1
}

# scribble IMAGE SEED [WRITES]: other bytes at places that the seed says
scribble() {
	local i blocks size n=${3:-5}
	size=$(stat -c %s "$1")
	blocks=$((size / 4096))
	RANDOM=$2
	for ((i = 0; i < n; i++)); do
		random_file "$T/bytes" $((1 + RANDOM % 40000)) $(($2 * 100 + i))
		dd if="$T/bytes" of="$1" conv=notrunc status=none bs=4096 \
			seek=$(((RANDOM * 32768 + RANDOM) % (blocks - 10)))
	done
}
