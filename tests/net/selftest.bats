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
	client --json | jq -e 'length == 12 and all(.[]; .result == "ok") and
		.[2].step == "tls" and (.[0].seconds | type) == "number"'
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

@test "misuse is 64" {
	fails_with 64 cxpsclient
	fails_with 64 cxpsclient -i h --put
	fails_with 64 cxpsclient -i h -P pass --put --list
	fails_with 64 cxpsclient -i h -P pass -m ../x --list
	fails_with 64 cxpsclient -i h -P pass -d d --status
	fails_with 64 cxpsclient -i h -P pass a b
}
