# Loaded by the bats files of this folder after lib/common.
# shellcheck shell=bash disable=SC2034

peer() { "$PS_BUILD/tests/net/peer" "$@"; }

# A certificate, a passphrase, a cache in $T.
make_server() {
	[ -x "$PS_BUILD/tests/net/peer" ] ||
		{ echo "tests/net/peer is not built (make check)" >&2; return 1; }
	ps-receive --new-cert --cert cert.pem --key key.pem
	new_passphrase pass
	ps-cache init -C cache --keep-free 0 --keep-free-initial 0
}

# Waits for the port that a program prints first: `PORT=$(port_of FILE)`.
port_of() {
	wait_for test -s "$1"
	head -n 1 "$1"
}

# serve [OPTION...]: a server on any port; sets PORT and SERVER (its id).
serve() {
	rm -f port
	start ps-receive -l 127.0.0.1:0 -C cache --cert cert.pem \
		--key key.pem -P pass "$@" >port 2>server.err
	SERVER=${STARTED[-1]}
	PORT=$(port_of port)
}

# key_of MACHINE: sets KEY to the file with its key.
key_of() {
	KEY=$T/key.$1
	if [ ! -e "$KEY" ]; then
		machine_key "$1" pass "$KEY.$BASHPID"
		mv "$KEY.$BASHPID" "$KEY"
	fi
}

# client OPTION...: the client, pointed at the server, with the key of the
# machine after -m; what is sent without one is web01's, all else is asked by
# the operator.
client() {
	local as='*' i word=
	for i; do
		[ "$word" != -m ] || as=$i
		word=$i
		if [ "$i" = --put ] && [ "$as" = '*' ]; then as=web01; fi
	done
	key_of "$as"
	cxpsclient -i 127.0.0.1 -l "$PORT" -y 20 -P "$KEY" "$@"
}

# scan MACHINE DISK BYTES [SEED [SIZE]]: a stream of segments of SIZE (1 MiB)
# in $T/stream. Records have up to 1 MiB.
scan() {
	random_file "$2.img" "$3" "${4:-1}"
	ps-scan --machine "$1" --disk "$2" --map "$1-$2.map" \
		--segment-size "${5:-1M}" "$2.img" >stream
}

# segment_file SEQ: where the cache keeps a segment of web01/root.
segment_file() { printf 'cache/web01/root/%020d' "$1"; }

# raw MACHINE [FILE]: sends a file after the login ("-": without one) and prints
# the answers until the server has closed.
raw() {
	if [ "$1" = - ]; then KEY=-; else key_of "$1"; fi
	peer raw 127.0.0.1 "$PORT" "$KEY" "$1" <"${2:-/dev/stdin}"
}

# raw_for SECONDS MACHINE: the same with standard input, for so long at most.
raw_for() {
	if [ "$2" = - ]; then KEY=-; else key_of "$2"; fi
	timeout "$1" "$PS_BUILD/tests/net/peer" raw 127.0.0.1 "$PORT" "$KEY" \
		"$2" || true
}

# True when a segment of web01/root is on its way into the cache.
half_there() { [ -n "$(find cache/web01/root -name '.tmp*')" ]; }

# True when the server serves so many logins.
children_are() { [ "$(pgrep -c -P "$SERVER" -x ps-worker)" = "$1" ]; }

# count_lines FILE PATTERN
count_lines() { grep -c -- "$2" "$1" || true; }

# put_head PATH [FIELD...]: the head of a raw request.
put_head() {
	local path=$1 field
	shift
	printf 'PUT %s HTTP/1.1\r\nHost: x\r\n' "$path"
	for field in "$@"; do printf '%s\r\n' "$field"; done
	printf '\r\n'
}

get_head() { printf 'GET %s HTTP/1.1\r\nHost: x\r\n\r\n' "$1"; }
