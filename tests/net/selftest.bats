#!/usr/bin/env bats
# cxpsclient without a command: the end-to-end self-test.

load ../lib/common
load common

prepare() { make_server; }

@test "all steps pass against a good server" {
	serve
	client >out
	[ "$(count_lines out '^ok ')" -eq 12 ]
	[ "$(awk '{print $2}' out | tr '\n' ' ')" = "resolve tcp tls browser clock login put list get delete upload download " ]
	[ ! -e cache/web01 ]
}

@test "a machine's key is enough for the self-test" {
	serve
	cxpsclient --derive-key web01 -P pass -o web01.key
	cxpsclient -i 127.0.0.1 -l "$PORT" -P web01.key >out
	grep -q "login .*as 'web01'" out
}

@test "without a key file it ends before the login, and says so" {
	serve
	cxpsclient -i 127.0.0.1 -l "$PORT" >out
	[ "$(count_lines out '^ok ')" -eq 5 ]
	grep -q -- '-P KEYFILE' out
}

@test "JSON tells the same" {
	serve
	client --json | jq -e '.result == "ok" and .exit == 0 and
		.machine == "*" and (.steps | length) == 12 and
		all(.steps[]; .result == "ok") and .steps[2].step == "tls" and
		(.steps[0].seconds | type) == "number" and
		.steps[11].bytes_per_second > 0'
}

@test "a name that does not exist fails at resolve with 69" {
	fails_with 69 cxpsclient -i nowhere.invalid -l 1 -y 5
	grep -q '^FAILED resolve' out
	grep -q 'next: .*DNS' out
}

@test "nobody there fails at tcp with 69 and speaks of firewalls" {
	fails_with 69 cxpsclient -i 127.0.0.1 -l 1 -y 5
	grep -q '^FAILED tcp' out
	grep -q 'next: .*firewall' out
}

@test "somebody who speaks no TLS fails at tls" {
	start peer inetd cat >port
	fails_with 76 cxpsclient -i 127.0.0.1 -l "$(port_of port)" -y 5
	grep -q '^FAILED tls' out
}

@test "somebody who says nothing fails at tls after -y" {
	start peer inetd sleep 30 >port
	SECONDS=0
	fails_with 69 cxpsclient -i 127.0.0.1 -l "$(port_of port)" -y 1
	grep -q '^FAILED tls' out
	[ "$SECONDS" -lt 5 ]
}

@test "another web server fails at browser with 76" {
	start peer rogue cert.pem key.pem >port
	fails_with 69 cxpsclient -i 127.0.0.1 -l "$(port_of port)" -y 1
	grep -q '^FAILED browser' out
}

@test "a wrong passphrase fails at login with 77" {
	serve
	ps-receive --new-passphrase -P other
	fails_with 77 cxpsclient -i 127.0.0.1 -l "$PORT" -P other
	grep -q '^FAILED login' out
	grep -q 'next: ' out
}

@test "repeated: every run, then lowest, median and highest of each step" {
	serve
	client -n 3 --interval 0 -q >out
	[ "$(count_lines out '^ok 127.0.0.1 port')" -eq 3 ]
	grep -qx '3 runs, 0 with warnings, 0 failed' out
	awk '$1 == "login" || $1 == "up" { n++; if (!($2 <= $4 && $4 <= $6)) exit 1 }
		END { exit n != 2 }' out
	client -n 2 --interval 0 --json >out.json
	jq -es 'length == 3 and .[0].result == "ok" and .[2].summary.runs == 2
		and any(.[2].summary.figures[]; .name == "up" and
			.unit == "bytes_per_second" and .min <= .median and
			.median <= .max)' out.json
}

@test "repeated: goes on after a failure, and tells that there was one" {
	serve
	start cxpsclient -i 127.0.0.1 -l "$PORT" -P pass -n 0 --interval 1 \
		-q >out
	wait_for grep -q '^ok' out
	kill "$SERVER"
	wait_for grep -q '^FAILED' out
	kill "${STARTED[-1]}"
	local code=0
	wait "${STARTED[-1]}" || code=$?
	[ "$code" -eq 69 ]
	grep -q '^[0-9]* runs, 0 with warnings, [1-9][0-9]* failed' out
}

@test "repeated: ends when nobody reads it any more" {
	serve
	timeout 20 bash -c 'cxpsclient -i 127.0.0.1 -l "$1" -n 0 --interval 0 -q |
		head -n 1; [ "${PIPESTATUS[0]}" -eq 75 ]' _ "$PORT" 2>err
}

@test "as a plugin: one line, figures, and the codes of Nagios" {
	serve
	client --nagios >out
	[ "$(wc -l <out)" -eq 1 ]
	grep -Eq '^CXPS OK - .* \| time=[0-9.]+s;;;0 .* up_rate=[0-9]+B;;;0 ' out
	fails_with 2 cxpsclient -i 127.0.0.1 -l 1 -P pass -y 5 --nagios
	grep -q '^CXPS CRITICAL - .*tcp: .*next: .*9443\|^CXPS CRITICAL - .*tcp: .*next: .*ps-receive' out
	fails_with 3 cxpsclient -i 127.0.0.1 -l 1 -P nothing --nagios
	fails_with 64 client --nagios --json
	fails_with 64 client --nagios -n 2
	fails_with 64 client --status -n 2
}

@test "misuse is 64" {
	fails_with 64 cxpsclient
	fails_with 64 cxpsclient -i h --put
	fails_with 64 cxpsclient -i h -P pass --put --list
	fails_with 64 cxpsclient -i h -P pass -m ../x --list
	fails_with 64 cxpsclient -i h -P pass -d d --status
	fails_with 64 cxpsclient -i h -P pass a b
}
