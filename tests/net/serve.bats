#!/usr/bin/env bats
# The server as a daemon: limits, signals, logs, odd peers.

load ../lib/common
load common

prepare() { make_server; }

@test "with port 0 it prints the port, and the notify socket hears READY" {
	export NOTIFY_SOCKET=$T/socket
	start peer notified "$NOTIFY_SOCKET" >heard
	wait_for test -S "$NOTIFY_SOCKET"
	serve
	[ "$PORT" -gt 0 ]
	wait_for grep -q '^READY=1' heard
}

@test "each connection is a process of its own, one that dies hurts no other" {
	serve
	start raw web01 /dev/null >one
	start raw web02 /dev/null >two
	wait_for children_are 2
	kill -ABRT "$(pgrep -P "$SERVER" -x ps-worker | head -n 1)"
	wait_for children_are 1
	client --list
	grep -q 'ended by signal 6' cache/.log/cxps.err
}

@test "what happens to a machine again and again is one line of the log" {
	local i
	serve
	key_of web01
	for i in 1 2 3; do
		start peer raw 127.0.0.1 "$PORT" "$KEY" web01 >one
		wait_for children_are 1
		pkill -9 -P "${STARTED[-1]}" || kill -9 "${STARTED[-1]}"
		wait_for children_are 0
	done
	kill "$SERVER"
	wait "$SERVER"
	[ "$(count_lines cache/.log/cxps.err $'\tthe connection was cut')" -eq 1 ]
	grep -q 'machine web01: 2 more within a minute: 2 cut' cache/.log/cxps.err
	# The address is a column, and not in the words.
	run ! grep -E $'\t(127.0.0.1:[0-9]+)\t\1' cache/.log/cxps.err
}

@test "more connections than allowed are closed, and served again later" {
	serve --max-connections 1
	start raw web01 /dev/null >one
	wait_for grep -q login cache/.log/cxps.xfer
	fails_with 69 client --list
	grep -q 'connections already' cache/.log/cxps.err
	# The self-test does not only blame the way.
	fails_with 69 client -m web01
	grep -q 'next: .*the server has all connections that it may have' out
	pkill -P "$SERVER" -x ps-worker
	wait_for children_are 0
	client --list
}

@test "SIGTERM finishes the segment in flight and ends with 0" {
	serve
	scan web01 root 4000000 1 8M
	mkfifo pipe
	start client --put pipe >acks
	exec 7>pipe
	head -c 2500000 stream >&7
	wait_for half_there
	kill "$SERVER"
	sleep 0.3
	tail -c +2500001 stream >&7
	wait_for grep -q ^durable acks
	exec 7>&-
	wait "$SERVER"
	[ -e "$(segment_file 1)" ]
}

@test "SIGTERM ends idle connections at once" {
	serve
	start raw web01 /dev/null >one
	wait_for grep -q login cache/.log/cxps.xfer
	SECONDS=0
	kill "$SERVER"
	wait "$SERVER"
	[ "$SECONDS" -lt 5 ]
}

@test "who asks all processes at once to end finds the keeper at its work until the server ends" {
	serve
	kill -TERM "$(pgrep -P "$SERVER" -x ps-keeper)"
	kill -INT "$(pgrep -P "$SERVER" -x ps-keeper)"
	start raw web01 /dev/null >one # a login asks the keeper
	wait_for grep -q login cache/.log/cxps.xfer
	kill "$SERVER"
	wait "$SERVER"
}

@test "who has ended is not read from" {
	strace -qq -o /dev/null true || skip "strace cannot trace here"
	[ "${PS_SANITIZE:-}" != 1 ] || skip "sanitizers and strace exclude each other"
	strace -f -qq -e trace=recvfrom -o trace ps-receive --stdio -C cache \
		--cert cert.pem --key key.pem -P pass </dev/null >out
	grep -q 'recvfrom([0-9]' trace # it was seen
	run ! grep 'recvfrom(-1' trace
}

@test "SIGTERM waits only a little for a peer that hangs in a segment" {
	serve
	scan web01 root 4000000 1 8M
	mkfifo pipe
	start client --put pipe >acks
	exec 7>pipe
	head -c 2500000 stream >&7
	wait_for half_there
	SECONDS=0
	kill "$SERVER"
	wait "$SERVER"
	[ "$SECONDS" -lt 8 ]
	exec 7>&-
	[ -z "$(find cache/web01/root -name '.tmp*')" ]
}

@test "who does not log in is cut after the login timeout" {
	serve --login-timeout 1s
	SECONDS=0
	start raw - /dev/null >out
	exec 8<>/dev/tcp/127.0.0.1/"$PORT"
	gates_are() { [ "$(pgrep -c -P "$SERVER" -x ps-gate)" = "$1" ]; }
	wait_for gates_are 2
	wait_for gates_are 0
	[ "$SECONDS" -lt 10 ]
	exec 8>&-
	# One line a minute and address, then a count.
	[ "$(count_lines cache/.log/cxps.err 'timed out')" -eq 1 ]
	kill "$SERVER"
	wait "$SERVER"
	grep -q '127.0.0.1: 1 more within a minute: 1 cut' cache/.log/cxps.err
}

@test "a head that trickles in is cut" {
	serve --login-timeout 1s
	trickle() {
		while printf X 2>/dev/null; do sleep 0.2; done |
			raw web01
	}
	start trickle >out
	wait_for grep -q 'timed out' cache/.log/cxps.err
}

@test "a small body that trickles in is cut after three times the login timeout" {
	serve --login-timeout 1s
	SECONDS=0
	{
		printf 'GET /v1/time HTTP/1.1\r\nHost: x\r\nContent-Length: 90\r\n\r\n'
		while printf X 2>/dev/null; do sleep 0.5; done
	} | raw_for 30 web01 >answer
	[ "$SECONDS" -lt 20 ]
	grep -q $'\ttimed out' cache/.log/cxps.err
}

@test "garbage to the port hurts nobody" {
	serve
	random_file garbage 100000
	cat garbage >/dev/tcp/127.0.0.1/"$PORT" || true
	printf 'GET / HTTP/1.1\r\n\r\n' >/dev/tcp/127.0.0.1/"$PORT"
	raw - <garbage >answer || true
	raw web01 <garbage >answer || true
	printf 'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n%s\r\n\r\n' \
		'Transfer-Encoding: chunked' |
		raw web01 >answer
	grep -q '^HTTP/1.1 400' answer
	client --list
	run ! grep -qE 'ended (by|with)' cache/.log/cxps.err
}

@test "a path with the name of nobody is refused" {
	serve
	local path
	for path in /v1/machines/..%2f/disks/d /v1/machines/web01/disks/../x \
		/v1/machines/web01/disks/.hidden /v1/machines/-x /v1//x /v2; do
		{ get_head "$path"; } >request
		sed -i 's/^Host/Connection: close\r\nHost/' request
		raw '*' <request >answer
		grep -qE '^HTTP/1.1 (400|403|404|405) ' answer
	done
}

@test "--stdio serves one connection, as inetd starts it" {
	start peer inetd ps-receive --stdio -C cache --cert cert.pem \
		--key key.pem -P pass >inetd.port 2>inetd.err
	PORT=$(port_of inetd.port)
	scan web01 root 1200000
	client --put stream >acks
	[ "$(count_lines acks ^durable)" -eq 2 ]
	wait "${STARTED[0]}"
}

@test "every request has a line in cxps.xfer" {
	serve
	scan web01 root 1000
	client --put stream >acks
	local line
	wait_for grep -q PUT cache/.log/cxps.xfer # written behind the answer
	line=$(grep PUT cache/.log/cxps.xfer)
	[ "$(awk -F'\t' '{print NF}' <<<"$line")" -eq 11 ]
	[ "$(cut -f 3-6 <<<"$line")" = $'web01\tPUT\t/v1/machines/web01/disks/root/segments/1\t200' ]
	[ "$(cut -f 7 <<<"$line")" -gt 1000 ]
	[ "$(cut -f 10-11 <<<"$line")" = "$(cut -f 4-5 acks)" ]
}

@test "logs are rotated at their size and old ones go" {
	serve --log-dir log --log-size 4096
	local i
	for i in $(seq 1 400); do get_head /v1/time; done >requests
	start raw web01 requests >answers
	wait_for test -e log/cxps.xfer.5
	[ ! -e log/cxps.xfer.6 ]
	[ "$(stat -c %s log/cxps.xfer.1)" -lt 5000 ]
}

@test "what cannot work is said before anybody connects" {
	fails_with 64 ps-receive -C cache --cert cert.pem --key key.pem -P pass
	fails_with 64 ps-receive -l 0 --cert cert.pem --key key.pem -P pass
	fails_with 64 ps-receive -l x:y -C cache --cert cert.pem --key key.pem \
		-P pass
	fails_with 66 ps-receive -l 0 -C cache --cert none --key key.pem -P pass
	fails_with 66 ps-receive -l 0 -C cache --cert cert.pem --key none -P pass
	mkdir empty
	fails_with 78 ps-receive -l 0 -C empty --cert cert.pem --key key.pem \
		-P pass
	ps-receive --new-cert --cert c2.pem --key k2.pem
	fails_with 78 ps-receive -l 0 -C cache --cert cert.pem --key k2.pem \
		-P pass
	serve
	fails_with 69 ps-receive -l "127.0.0.1:$PORT" -C cache \
		--cert cert.pem --key key.pem -P pass
}

@test "IPv6 and IPv4 are served by one socket" {
	[ -e /proc/net/if_inet6 ] || skip "no IPv6"
	start ps-receive -l 0 -C cache --cert cert.pem --key key.pem -P pass \
		>port 2>server.err
	PORT=$(port_of port)
	client --list
	if grep -q '^00000000000000000000000000000001' /proc/net/if_inet6; then
		cxpsclient -i ::1 -l "$PORT" -P pass --list
	fi
}

@test "heads of many disks are listed" {
	serve
	scan web01 d1 1000
	mv stream all
	local i
	for i in 2 3 4 5; do
		scan web01 "d$i" 1000 "$i"
		cat stream >>all
	done
	client --put all >acks
	client --list | grep -c ^durable >n
	[ "$(cat n)" -eq 5 ]
	client --list --json | jq -e 'length == 5 and .[4].durable.seq == 1'
	client --status -m web01 | cmp - <(client --list)
}

@test "strangers who take all connections keep no machine out" {
	local i fd strangers=()
	serve --max-connections 4
	start raw web01 /dev/null >one
	wait_for grep -q login cache/.log/cxps.xfer
	for ((i = 0; i < 6; i++)); do
		exec {fd}<>"/dev/tcp/127.0.0.1/$PORT"
		strangers+=("$fd")
	done
	wait_for grep -q 'not logged in, ended' cache/.log/cxps.err
	client --list
	for fd in "${strangers[@]}"; do
		exec {fd}>&-
	done
	# The one that had logged in is still there.
	kill -0 "${STARTED[-1]}"
}
