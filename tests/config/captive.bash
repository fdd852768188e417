# The desk of a configuration server that an attacker has taken over. After
# `load config`.
# shellcheck shell=bash

# can_capture: else the test is skipped
can_capture() {
	grep -q 'define PS_SANITIZE' "$PS_BUILD/config.h" &&
		skip "no seccomp in a build with sanitizers"
	[ -x "$PS_BUILD/tests/net/peer" ] ||
		{ echo "tests/net/peer is not built (make check)" >&2; return 1; }
}

serve_captive() {
	: >serve.err
	LD_PRELOAD=$PS_BUILD/tests/net/captive.so serve -v "$@"
	# TCP is known to Landlock since Linux 6.7.
	TCP_CONFINED=$(grep -c 'Landlock ABI \([4-9]\|[1-9][0-9]\)' serve.err ||
		true)
}

# no_tcp PORT: it may not connect to that one
no_tcp() { [ "$TCP_CONFINED" -eq 0 ] || not_done connect "$1"; }

# raw LOGIN BODY: a heartbeat with these bytes; the answer is in ./answer
raw() {
	[ -e "$1.key" ] || cxpsclient --derive-key "$1" -P first -o "$1.key"
	printf 'POST /v1/heartbeat HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s' \
		"${#2}" "$2" |
		timeout 20 "$PS_BUILD/tests/net/peer" raw 127.0.0.1 \
			"$(cat port)" "$1.key" "$1" >answer || true
}

# order VERB [ARG]: the desk does it; what it says is in serve.err
order() { raw m "{\"name\":\"m\",\"x\":\"DESK: $1 ${2-} \"}"; }

# done_there, not_done, dies VERB [ARG]: how it went
done_there() {
	order "$@"
	wait_for grep -q "^captive: $1: done" serve.err
}

not_done() {
	: >serve.err
	order "$@"
	wait_for grep -q "^captive: $1: \(Permission denied\|Operation not\)" \
		serve.err
}

# dies VERB [ARG]: the kernel ends the desk for trying; the server ends with it
dies() {
	: >serve.err
	order "$@"
	! grep -q '^captive' serve.err || false
	! wait "$SERVER" || false
	serve_captive
}
