#!/usr/bin/env bats
# heavy: measures an honest peer beside a crowd of hostile ones
# Hostile peers: refused, logged once a minute, and nobody else harmed.

load ../lib/common
load common

prepare() { make_server; }

hostile() { "$PS_BUILD/tests/net/hostile" "$@"; }

# crowd KIND SECONDS ADDRESSES MAX RATE: in the background, as far away as it gets.
crowd() {
	start nice -n 19 "$PS_BUILD/tests/net/hostile" crowd "$PORT" "$@" \
		>crowd.out
	CROWD=${STARTED[-1]}
}

errors() { count_lines cache/.log/cxps.err .; }

# So much memory of its own has the whole server, in KiB.
memory() {
	local pid sum=0 n
	for pid in "$SERVER" $(pgrep -P "$SERVER"); do
		n=$(awk '/^Private_/ { s += $2 } END { print s + 0 }' \
			"/proc/$pid/smaps_rollup" 2>/dev/null) || n=0
		sum=$((sum + ${n:-0}))
	done
	echo "$sum"
}

descriptors() { find "/proc/$SERVER/fd" -mindepth 1 | wc -l; }

# logs_in: an honest machine gets through, with a few tries as agents do.
logs_in() {
	local i
	for ((i = 0; i < 5; i++)); do
		if client --list >/dev/null 2>&1; then return 0; fi
		sleep 0.2
	done
	return 1
}

@test "a head of a gigabyte is cut at its limit" {
	serve
	# Who hears nothing cannot go on after the answer either.
	cat >gigabyte.py <<-'END'
		import socket, ssl, sys
		tls = ssl.create_default_context()
		tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
		s = tls.wrap_socket(socket.create_connection(("127.0.0.1",
			int(sys.argv[1]))))
		n = s.send(b"GET / HTTP/1.1\r\nX: ")
		try:
		    while n < 1 << 30:
		        n += s.send(b"x" * 16384)
		except OSError:
		    pass
		print(n)
	END
	[ "$(python3 gigabyte.py "$PORT")" -lt 100000000 ]
	{
		printf 'GET / HTTP/1.1\r\nX: '
		head -c 1G /dev/zero | tr '\0' x
	} | raw_for 30 web01 >answer
	[ "$(awk -F'\t' '{ s += $7 } END { print s }' cache/.log/cxps.xfer)" \
		-lt 1000000 ]
	client --list
}

@test "paths that are no names are refused for a machine too" {
	serve
	local long path
	long=$(printf 'a%.0s' $(seq 1000))
	for path in "/v1/machines/web01/disks/../../web02/disks/root" \
		"/v1/machines/web01/disks/%2e%2e%2fweb02" \
		"/v1/machines/web02/disks/root" "/v1/machines/web01/disks/$long" \
		"//v1/machines/web01" "/v1/machines/web01/disks/a%00b"; do
		put_head "$path/segments/1" 'Content-Length: 0' \
			'Connection: close' >request
		raw web01 <request >answer
		grep -qE '^HTTP/1.1 (400|403|404|405) ' answer
	done
	printf 'GET /v1/machines/web01/disks/a\0b HTTP/1.1\r\nHost: x\r\n\r\n' \
		>request
	raw web01 <request >answer
	grep -a -q '^HTTP/1.1 400' answer
	[ -z "$(find cache -mindepth 2 -name root -o -name 'a*')" ]
}

# lie OFFSET: sends segment 1 with one bit turned over there.
lie() {
	cp stream lying
	flip_bit lying "$1"
	put_head /v1/machines/web01/disks/root/segments/1 \
		"Content-Length: $(stat -c %s lying)" >request
	cat lying >>request
	raw_for 20 web01 <request >answer
	grep -a -q '^HTTP/1.1 400' answer
}

@test "a segment that lies is refused and leaves nothing" {
	local size
	serve
	scan web01 root 300000
	size=$(stat -c %s stream)
	lie 40                   # header
	lie 5000                 # data
	lie $((size - 600))      # index
	lie $((size - 100))      # trailer with the digest
	lie $((size - 20))       # size
	[ -z "$(find cache/web01 -name '0*' -o -name '.tmp*')" ]
	# Twenty times the same lie is one line and a count.
	local i before
	before=$(errors)
	for ((i = 0; i < 20; i++)); do lie 40; done
	[ "$(errors)" -le $((before + 1)) ]
	client --put stream >acks
	grep -q ^durable acks
	kill "$SERVER"
	wait "$SERVER"
	grep -q 'machine web01: 24 more within a minute: 24 segments refused' \
		cache/.log/cxps.err
}

@test "a machine has one line a minute, whatever it tries; an error of ours is another" {
	local lines
	serve
	scan web01 root 300000
	lie 40
	put_head /v1/machines/web02/disks/root/segments/1 'Connection: close' \
		>request
	raw web01 <request >answer
	printf 'GET nowhere\r\n\r\n' >request
	raw web01 <request >answer
	touch cache/failed
	raw_for 20 web01 <request >answer
	kill "$SERVER"
	wait "$SERVER"
	cat cache/.log/cxps.err
	[ "$(count_lines cache/.log/cxps.err 'segment\|login .web01\|more')" -eq 2 ]
	grep -q 'machine web01: [23] more within a minute: [12] bad requests, 1 places refused;' \
		cache/.log/cxps.err
	grep -q 'marked failed' cache/.log/cxps.err
}

@test "new keys without an end are no way around the time limit" {
	serve
	# OpenSSL reads on behind each, and would never look at the clock.
	(yes K || true) | timeout 10 openssl s_client -quiet -no_ign_eof \
		-tls1_3 -connect "127.0.0.1:$PORT" >/dev/null 2>&1 ||
		[ $? -ne 124 ]
	wait_for grep -q 'new keys again and again' cache/.log/cxps.err
	client --list
}

@test "a machine takes no more than its share of the connections" {
	serve
	local i
	key_of web01
	for ((i = 0; i < 66; i++)); do
		start raw web01 /dev/null >/dev/null
	done
	# Where logins are slow some are cut as strangers: then it takes more.
	too_many() {
		grep -q 'web01 has 64 connections already' cache/.log/cxps.err ||
			{ start raw web01 /dev/null >/dev/null; false; }
	}
	wait_for too_many
	wait_for children_are 64
	client -m web02 --list
	# One that is only fast is told to wait, while it sends.
	scan web01 root 8000000
	fails_with 75 client --put stream --report report.json
	jq -e '.state == "waiting" and .cause == "connections" and
		.retry_after == 5' report.json
}

@test "probes of many connections have one bound" {
	serve
	local i
	head -c 16000000 /dev/zero >zeros
	put_head /v1/probe/p 'Content-Length: 16000000' >request
	cat zeros >>request
	key_of '*'
	for ((i = 0; i < 6; i++)); do
		start bash -c 'exec "$0" raw 127.0.0.1 "$1" "$2" "*" <request' \
			"$PS_BUILD/tests/net/peer" "$PORT" "$KEY" >"answer$i"
	done
	all_answered() { [ "$(cat answer? | grep -a -c '^HTTP')" -ge 6 ]; }
	wait_for all_answered
	# Those that come at once may be in each other's way.
	[ "$(cat answer? | grep -a -c '^HTTP/1.1 201')" -ge 1 ]
	[ "$(cat answer? | grep -a -c '^HTTP/1.1 201')" -le 4 ]
	[ "$(cat answer? | grep -a -c '^HTTP/1.1 507')" -ge 2 ]
	for i in "${STARTED[@]:1}"; do kill "$i" || true; done
	wait_for children_are 0
	client >out # there is room again
}

# insiders KIND SECONDS N [PATH]: in the background, logged in as web02.
insiders() {
	start nice -n 19 "$PS_BUILD/tests/net/hostile" login "$PORT" pass web02 \
		"$@" >insiders.out
	CROWD=${STARTED[-1]}
}

@test "one that may log in asks without end: it is answered at a rate" {
	local answered=0 runs=0
	serve
	SECONDS=0
	# On a busy machine who is nice needs more than one time to ask so much.
	while [ "$answered" -lt 100 ] && [ "$runs" -lt 10 ]; do
		insiders ask 2 4
		wait "$CROWD"
		answered=$((answered + $(cat insiders.out))) runs=$((runs + 1))
	done
	echo "$answered answers in $SECONDS s" >&3
	# Each connection has 30 at once; the rate of all four is 42 a second.
	[ "$answered" -ge 100 ]
	[ "$answered" -le $((runs * 4 * 30 + 50 * (SECONDS + 1))) ]
	client --list # another machine has a rate of its own
}

@test "a body that trickles is cut, one that gives signs of life is not" {
	local i path=/v1/machines/web02/disks/root/segments/1
	serve
	scan web01 root 300000
	insiders slow 2 1 "$path"
	{ # 40 bytes, one by one, and then the rest
		put_head /v1/machines/web01/disks/root/segments/1 \
			"Content-Length: $(stat -c %s stream)" 'Connection: close'
		for ((i = 1; i <= 40; i++)); do
			tail -c +$i stream | head -c 1
			sleep 0.02
		done
		tail -c +41 stream
		sleep 1
	} | raw_for 20 web01 >answer
	grep -a -q '^durable' answer
	wait "$CROWD"
	# It had to come again, if it had the time to.
	[ "$(cat insiders.out)" -ge 2 ] || {
		insiders slow 20 1 "$path"
		wait "$CROWD"
		[ "$(cat insiders.out)" -ge 2 ]
	}
	grep -q 'too slow: a few bytes at a time' cache/.log/cxps.err
	[ -z "$(find cache/web02 -name '.tmp*')" ]
}

# one_answer STATUS: the server gave exactly this one, and ended.
one_answer() {
	[ "$(grep -a -c '^HTTP/1.1 ' answer)" -eq 1 ]
	grep -a -q "^HTTP/1.1 $1 " answer
}

@test "requests are smuggled by nobody, not by a machine either" {
	local bad path=/v1/machines/web01/disks/root/segments/1
	local inner='GET /v1/machines/web01 HTTP/1.1\r\nHost: x\r\n\r\n'
	serve
	for bad in 'Content-Length: 4\r\nContent-Length: 40\r\n' \
		'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n' \
		'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n' \
		'Transfer-Encoding: xchunked\r\n' 'Transfer-Encoding : chunked\r\n' \
		'Content-Length: +4\r\n' 'Content-Length: 4, 4\r\n' \
		'Content-Length: 0x4\r\n' 'Content-Length:\r\n 4\r\n' \
		'X: a\r\n Content-Length: 4\r\n' 'Content-Length: 4\n' \
		'X: a\rContent-Length: 4\r\n' 'Host: y\r\n' 'X\0: 4\r\n' \
		'Content-Length: 99999999999999999999\r\n'; do
		# shellcheck disable=SC2059 # the escapes are meant
		printf "PUT $path HTTP/1.1\r\nHost: x\r\n$bad\r\n$inner" >request
		raw web01 <request >answer
		one_answer 400
	done
	for bad in '5;x=y\r\nhello\r\n0\r\n\r\n' '5 \r\nhello\r\n0\r\n\r\n' \
		'5\nhello\n0\n\n' '-5\r\nhello\r\n0\r\n\r\n' \
		'000000005\r\nhello\r\n0\r\n\r\n' '0\r\nX: y\r\n\r\n' \
		'5\r\nhello0\r\n\r\n'; do
		# shellcheck disable=SC2059
		printf "PUT $path HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n$bad$inner" \
			>request
		raw web01 <request >answer
		one_answer 400
	done
}

@test "a crowd of strangers keeps no machine out and takes little" {
	local kind addresses before
	serve
	client --list # our address is known from now on
	before=$(memory)
	for kind in idle half hello drip noise; do
		for addresses in 1 10000; do
			crowd "$kind" 2 "$addresses" 10000 100000
			sleep 0.5
			logs_in
			[ "$(memory)" -lt $((before + 256 * 1024)) ]
			[ "$(descriptors)" -lt 300 ]
			wait "$CROWD"
			echo "$kind from $addresses: $(cat crowd.out), memory $(memory) KiB" \
				>&3
		done
	done
	[ "$(errors)" -lt 200 ]
	logs_in
}

@test "a server that is started again in a flood still knows its machines" {
	serve
	client --list
	kill "$SERVER"
	wait "$SERVER"
	[ "$(wc -l <cache/.known)" -eq 2 ]
	serve
	# Of a new address 40 may come in so short a time.
	local i
	for ((i = 0; i < 120; i++)); do
		(exec 3<>"/dev/tcp/127.0.0.1/$PORT") || true
	done
	client --list
	run ! grep 'too many connections' cache/.log/cxps.err
	# Whatever stands there: the server starts.
	for i in '' 'ps-known 1' 'ps-known 2\nx' 'ps-known 1\n0 0\n' \
		'ps-known 1\n00000000000000000000ffff7f000001 99999999999999999999\n'; do
		kill "$SERVER"
		wait "$SERVER"
		printf '%b' "$i" >cache/.known
		serve
		client --list
	done
	kill "$SERVER"
	wait "$SERVER"
	rm -f cache/.known
	head -c 1M /dev/urandom >cache/.known
	serve
	client --list
}

# measure FIRST FILE...: p50 and p99 of the acknowledgements.
measure() { hostile acks "$PORT" pass web01 "$@"; }

@test "acknowledgements of an honest machine stay fast beside a crowd" {
	local i n=60 was50 was99 p50 p99 kind seq=1 files words
	[ "${PS_SANITIZE:-}" != 1 ] || skip "sanitizers take time of their own"
	# Of 60 the slowest is what p99 says.
	[ -z "${PS_LONG:-}" ] || n=500
	serve
	# Small segments: of 1 MiB, but it compresses well.
	yes 'all work and no play' | head -c $((14 * n))M >root.img
	ps-scan --machine web01 --disk root --map root.map \
		--segment-size 1M root.img | ps-compress >stream
	rm root.img
	next() {
		files=()
		for ((i = seq; i < seq + n; i++)); do
			files+=("seg.$(printf %04d "$i")")
			ps-stream cat -s "$i" stream >"${files[-1]}"
		done
	}
	next
	measure "$seq" "${files[@]}" >/dev/null # warm
	seq=$((seq + n))
	next
	measure "$seq" "${files[@]}" >figures
	read -r was50 was99 <figures
	seq=$((seq + n))
	echo "alone: p50 $was50 us, p99 $was99 us" >&3
	# beside KIND: true when it was not much slower.
	beside() {
		next
		# What makes the noise must not be what is heard: this machine
		# is attacker and attacked.
		case $1 in
		a*) read -r -a words <<<"$1" && insiders "${words[@]}" ;;
		*) crowd "$1" 3 10000 10000 1000 ;;
		esac
		sleep 0.3
		measure "$seq" "${files[@]}" >figures
		read -r p50 p99 <figures
		seq=$((seq + n))
		kill "$CROWD" 2>/dev/null || true
		echo "beside $1: p50 $p50 us, p99 $p99 us" >&3
		# Twice as long, and one turn of a busy machine's scheduler.
		[ "$p99" -le $((2 * was99 + 10000)) ]
	}
	local kinds=(idle drip 'ask 2 4' 'again 2 4')
	[ -z "${PS_LONG:-}" ] ||
		kinds+=(hello 'ask 2 60 /v1/machines/web02')
	for kind in "${kinds[@]}"; do
		# Others use this machine, too: one that is slow by chance is not
		# so twice.
		beside "$kind" || beside "$kind"
	done
}
