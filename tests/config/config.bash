# A registry for tests of ps-config. After `load ../lib/common`.
# shellcheck shell=bash

# No test here cuts the power: what a program has written outlives it, synced
# or not, and the disk of a busy machine syncs for seconds.
if command -v eatmydata >/dev/null; then
	export LD_PRELOAD=libeatmydata.so
fi

# use DIR: the registry that is meant from now on
use() {
	export PS_CONFIG_DIR=$1
}

# registry: an empty one in SQLite
registry() {
	use "$T/config"
	ps-config init
}

# answer FILTER ARGS...: what ps-config says in JSON
answer() {
	local filter=$1
	shift
	ps-config "$@" --json | jq -rc "$filter"
}

# protected: one machine with all that it needs
protected() {
	ps-config policy add gold --multi-vm yes
	ps-config server add ps1 --address 192.0.2.1
	ps-config server add mt1 --role mt --address mt1.example --port 9444
	ps-config machine add web01 --policy gold --server ps1 --target mt1 \
		--vault s3://bucket/site --recovered-name web01-dr \
		--recovered-size '4 vCPU' --recovered-network 'grün'
	ps-config machine disk web01 root --size 40G
	ps-config machine enable web01
}

# ---- the server itself ----

# serve OPTIONS...: a configuration server on loopback; its port is in ./port
serve() {
	rm -f port
	start ps-config serve -l 127.0.0.1:0 "$@" >port 2>>serve.err
	# shellcheck disable=SC2034
	SERVER=${STARTED[-1]} # for tests
	wait_for [ -s port ]
}

# a site: registry, passphrase in the file `first`, server
site() {
	registry
	(umask 077 && ps-config passphrase new >first)
	serve "$@"
}

# join NAME OPTIONS...: a process server that registers; its folder is ./NAME
join() {
	local name=$1
	shift
	ps-config register --cs 127.0.0.1 --cs-port "$(cat port)" -P first \
		--name "$name" --identity "$name" --machine-id "id-$name" "$@"
}

# beat NAME OPTIONS...: its heartbeat
beat() {
	local name=$1
	shift
	ps-config heartbeat --identity "$name" --machine-id "id-$name" \
		--health "$T/health" "$@"
}

# beating NAME OPTIONS...: the same in the background
beating() {
	local name=$1
	shift
	start ps-config heartbeat --identity "$name" --machine-id "id-$name" \
		--health "$T/health" "$@" 2>beat.err
}

# end PID: stops a program that start() has begun, and waits for it
end() {
	kill "$1"
	wait "$1" 2>/dev/null || true
}
