#!/usr/bin/env bats
# A process of the server that an attacker has taken over: what it cannot do.
# needs: python3

load ../lib/common
load common

prepare() {
	make_server
	grep -q 'define PS_SANITIZE' "$PS_BUILD/config.h" &&
		skip "no seccomp in a build with sanitizers"
	serve_captive
	scan web02 root 1000
	client -m web02 --put stream >/dev/null
	scan web01 root 1000
	client --put stream >/dev/null
}

serve_captive() { LD_PRELOAD=$PS_BUILD/tests/net/captive.so serve "$@"; }

# order LOGIN VERB [ARG]: has it done in a gate ("-") or worker; the answer
# is in `got`.
order() {
	local who=WORKER
	[ "$1" != - ] || who=GATE
	printf 'GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s: %s %s \r\n\r\n' \
		"$who" "$2" "${3-}" |
		raw_for 20 "$1" >got
}

# not_done LOGIN VERB [ARG]: the process answers that it was not let.
not_done() {
	order "$@"
	grep -a -q "^captive: $2: \(Permission denied\|Operation not\)" got
}

# dies LOGIN VERB [ARG]: the process is ended by the kernel for trying. A
# server of its own, because the log has one line a minute of a stranger.
dies() {
	kill "$SERVER" && wait "$SERVER"
	rm -f cache/.log/cxps.err
	serve_captive
	order "$@"
	run ! grep -a -q '^captive' got
	wait_for grep -q 'ended by signal 31 (a system call' cache/.log/cxps.err
}

@test "a gate opens no file at all" {
	dies - open /etc/passwd
	dies - open "$T/key.pem"
	dies - open "$T/cache/web01/root/head"
}

@test "a gate starts nothing, reaches nobody, signs nothing else" {
	dies - connect "$PORT"
	dies - exec /bin/true
	dies - fork
	dies - wx
	dies - kill "$SERVER"
	dies - ptrace "$SERVER"
	# It answers what it was not asked yet, and has signed once.
	order - ask 2
	grep -a -q 'captive: ask: done' got
	order - ask 1
	grep -a -q 'captive: ask: Connection reset' got
	client --list
}

@test "a worker has its machine's folder and no other file" {
	local file
	order web01 open "$T/cache/web01/root/$(printf %020d 1)"
	grep -a -q '^captive: open: done' got
	for file in "$T/cache/web02/root/$(printf %020d 1)" /etc/passwd \
		"$T/key.pem" "$T/pass" /proc/self/maps "$T/cache/cache.json" \
		"$T/cache/.log/cxps.xfer" "$T/cache/web01/../web02/root/$(printf %020d 1)"; do
		not_done web01 open "$file"
	done
	not_done web01 make "$T/cache/failed"
	not_done web01 make "$T/cache/web02/root/$(printf %020d 2)"
	order web01 make "$T/cache/web01/own"
	grep -a -q '^captive: make: done' got
}

@test "a worker starts nothing and reaches nobody" {
	dies web01 connect "$PORT"
	dies web01 exec /bin/true
	dies web01 fork
	dies web01 wx
	start raw web02 /dev/null >other
	wait_for pgrep -P "$SERVER" -x ps-worker
	local other
	other=$(pgrep -n -P "$SERVER" -x ps-worker)
	order web01 kill "$other"
	order web01 ptrace "$other"
	run ! grep -a -q '^captive' got
	kill -0 "$other"
	client --list
}

@test "the operator has the cache to read, and nothing else" {
	not_done '*' open /etc/passwd
	not_done '*' make "$T/cache/failed"
	[ ! -e cache/failed ]
	not_done '*' make "$T/cache/web02/root/head"
	dies '*' connect "$PORT"
}

@test "nobody but the keeper has a key in memory" {
	[ "$(id -u)" = 0 ] || skip "needs root to look"
	local pid seen=
	start raw web01 /dev/null >one
	start raw - /dev/null >two
	wait_for pgrep -P "$SERVER" -x ps-worker
	keys() { python3 "$PS_SOURCE/tests/net/find-keys.py" key.pem pass "$1"; }
	keys "$(pgrep -P "$SERVER" -x ps-keeper)" >in-keeper
	# So we know that they would be seen.
	grep -qx key in-keeper
	grep -qx root in-keeper
	[ -z "$(keys "$SERVER")" ]
	for pid in $(pgrep -P "$SERVER" -x 'ps-gate|ps-worker'); do
		[ -z "$(keys "$pid")" ]
		seen+=x
	done
	[ "${#seen}" -ge 3 ]
}

@test "no process of it can be traced or dumps core" {
	local pid
	start raw web01 /dev/null >one
	wait_for pgrep -P "$SERVER" -x ps-worker
	for pid in $(pgrep -P "$SERVER"); do
		grep -q '^Max core file size *0 *0 ' "/proc/$pid/limits"
		grep -q '^NoNewPrivs:.*1' "/proc/$pid/status"
		grep -q '^Seccomp:.*2' "/proc/$pid/status"
	done
	[ "$(count_lines "/proc/$SERVER/status" '^CapEff:.*0000000000000000')" -eq 1 ]
}

@test "started as root it becomes the user, and the cache must be theirs" {
	[ "$(id -u)" = 0 ] || skip "needs root"
	fails_with 77 ps-receive --user nobody -l 127.0.0.1:0 -C cache \
		--cert cert.pem --key key.pem -P pass
	grep -q 'chown -R nobody' err
	fails_with 78 ps-receive --user no-such-user -l 127.0.0.1:0 -C cache \
		--cert cert.pem --key key.pem -P pass
	chmod 711 "$T"
	chmod 755 "$BATS_TEST_TMPDIR" "$(dirname "$BATS_TEST_TMPDIR")" || true
	chown -R nobody cache
	serve --user nobody
	local pid
	for pid in "$SERVER" $(pgrep -P "$SERVER"); do
		[ "$(stat -c %U "/proc/$pid/task")" = nobody ] ||
			grep -q "^Uid:.$(id -u nobody)" "/proc/$pid/status"
	done
	scan web03 root 1000
	client -m web03 --put stream >acks
	grep -q ^durable acks
	[ "$(stat -c %U cache/web03/root)" = nobody ]
	# What only root can read stays with the keeper.
	[ "$(stat -c %U key.pem)" = root ]
}
