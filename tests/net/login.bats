#!/usr/bin/env bats
# The login: who gets in, who does not, and what a login may do.

load ../lib/common
load common

prepare() { make_server; }

@test "a wrong passphrase is refused with 77 and logged" {
	serve
	ps-receive --new-passphrase -P other
	fails_with 77 cxpsclient -i 127.0.0.1 -l "$PORT" -P other --list
	grep -q '401' err
	grep -q "login as '\*' refused" cache/.log/cxps.err
	client --list
}

@test "the passphrase itself is never logged or shown" {
	serve -v
	client --list -v 2>client.err
	run ! grep -rqF "$(cat pass)" cache server.err client.err
	run ! grep -qF "$(cat pass)" "/proc/$SERVER/cmdline"
}

@test "a derived key logs in as its machine and writes its disk" {
	serve
	cxpsclient --derive-key web01 -P pass -o web01.key
	grep -q $'^ps-login-key-1\tweb01\t' web01.key
	[ "$(stat -c %a web01.key)" = 600 ]
	scan web01 root 1200000
	cxpsclient -i 127.0.0.1 -l "$PORT" -P web01.key --put stream >acks
	[ "$(count_lines acks ^durable)" -eq 2 ]
	cxpsclient -i 127.0.0.1 -l "$PORT" -P web01.key --status >heads
	grep -q $'^durable\tweb01\troot\t2' heads
}

@test "an existing key file is not written over" {
	echo precious >web01.key
	fails_with 73 cxpsclient --derive-key web01 -P pass -o web01.key
	grep -q precious web01.key
}

@test "a derived key is no key for another machine" {
	serve
	cxpsclient --derive-key web01 -P pass -o web01.key
	fails_with 77 cxpsclient -i 127.0.0.1 -l "$PORT" -P web01.key \
		-m web02 --list
	grep -q "logs in as 'web01'" err
	fails_with 77 cxpsclient --derive-key web02 -P web01.key
	# Renamed by hand: the server derives another key.
	sed 's/web01/web02/' web01.key >forged.key
	chmod 600 forged.key
	fails_with 77 cxpsclient -i 127.0.0.1 -l "$PORT" -P forged.key --list
}

@test "a machine cannot write another machine's disk" {
	serve
	scan web01 root 1200000
	fails_with 77 client -m web02 --put stream
	grep -q 403 err
	[ ! -s out ]
	[ ! -e cache/web01/root ]
}

@test "a machine sees its own disks only, the operator sees all" {
	serve
	scan web01 root 1000
	client --put stream >acks
	scan web02 root 1000
	client -m web02 --put stream >>acks
	client -m web02 --list >own
	[ "$(count_lines own web02)" -eq 2 ]
	[ "$(count_lines own web01)" -eq 0 ]
	client --list >all
	[ "$(count_lines all web01)" -eq 2 ]
	[ "$(count_lines all web02)" -eq 2 ]
	get_head /v1/machines/web01 >request
	start raw web02 request >answer
	wait_for grep -q 'HTTP/1.1 403' answer
}

@test "the operator may not write disks" {
	serve
	scan web01 root 1000
	fails_with 77 client -m '*' --put stream
	[ ! -e cache/web01/root ]
}

@test "a recorded login cannot be replayed" {
	serve
	peer replay 127.0.0.1 "$PORT" pass web01 >statuses
	[ "$(tr '\n' ' ' <statuses)" = '200 401 ' ]
	grep -q "login as 'web01' refused" cache/.log/cxps.err
}

@test "a login through a relay that ends TLS is refused" {
	serve
	ps-receive --new-cert --cert relay.pem --key relay.key
	start peer relay 127.0.0.1 "$PORT" relay.pem relay.key >relay.port
	fails_with 77 cxpsclient -i 127.0.0.1 -l "$(port_of relay.port)" \
		-P pass -m web01 --list
	grep -q "login as 'web01' refused" cache/.log/cxps.err
}

@test "the same relay passes what needs no login" {
	serve
	start peer relay 127.0.0.1 "$PORT" cert.pem key.pem >relay.port
	cxpsclient -i 127.0.0.1 -l "$(port_of relay.port)" >out
	grep -q '^ok  *browser' out
}

@test "a server that does not know the key gets nothing but the login" {
	start peer rogue cert.pem key.pem >rogue.out
	scan web01 root 1000
	fails_with 77 cxpsclient -i 127.0.0.1 -l "$(port_of rogue.out)" \
		-P pass --put stream
	grep -q 'does not know our key' err
	wait_for grep -q proof rogue.out
	run ! grep -q PUT rogue.out
}

@test "a secret file that others can read is refused" {
	chmod 644 pass
	fails_with 77 cxpsclient -i 127.0.0.1 -l 1 -P pass --list
	fails_with 77 ps-receive -l 127.0.0.1:0 -C cache --cert cert.pem \
		--key key.pem -P pass
	chmod 600 pass
	chmod 644 key.pem
	fails_with 77 ps-receive -l 127.0.0.1:0 -C cache --cert cert.pem \
		--key key.pem -P pass
}

@test "a server does not start with a derived key" {
	cxpsclient --derive-key web01 -P pass -o web01.key
	fails_with 78 ps-receive -l 127.0.0.1:0 -C cache --cert cert.pem \
		--key key.pem -P web01.key
}

@test "before the login every request is answered 400 and the end" {
	serve
	local path
	for path in / /index.html /v1/machines /v1/time /v1/probe/x; do
		get_head "$path" | raw - >answer
		grep -q '^HTTP/1.1 400 Bad Request' answer
	done
	put_head /v1/machines/m/disks/d/segments/1 'Content-Length: 3' |
		raw - >answer
	grep -q '^HTTP/1.1 400' answer
}

# RFC 9110, 9.3.2
@test "the answer to HEAD has a head, and no body" {
	serve
	local who path
	for who in - web01; do
		for path in / /v1/time /v1/machines/web01/disks/none/nowhere; do
			printf 'HEAD %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' \
				"$path" | raw "$who" >answer
			grep -q '^HTTP/1.1 40[04] ' answer
			grep -q '^Content-Length: [1-9]' answer
			[ -z "$(sed '1,/^\r$/d' answer)" ]
		done
	done
}

@test "a browser gets 400 Bad Request" {
	command -v curl >/dev/null || skip "no curl"
	serve
	[ "$(curl -sk -o body -w '%{http_code}' \
		"https://127.0.0.1:$PORT/")" = 400 ]
	grep -q 'Bad Request' body
}

@test "TLS older than 1.3 is refused" {
	serve
	run ! openssl s_client -connect "127.0.0.1:$PORT" -tls1_2 </dev/null
	openssl s_client -connect "127.0.0.1:$PORT" -tls1_3 </dev/null \
		>out 2>&1
	grep -q 'TLSv1.3' out
}

@test "with --ca a certificate of somebody else is refused" {
	serve
	ps-receive --new-cert --cert other.pem --key other.key
	fails_with 77 client --ca other.pem --list
	grep -q certificate err
}

@test "with --ca the name must be that of the certificate" {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-keyout key.pem -out cert.pem -subj /CN=localhost \
		-addext subjectAltName=DNS:localhost -days 2 2>/dev/null
	chmod 600 key.pem
	serve
	cxpsclient -i localhost -l "$PORT" -P pass --ca cert.pem --list
	fails_with 77 client --ca cert.pem --list
}

@test "new certificates and passphrases replace nothing" {
	cp key.pem key.old
	fails_with 73 ps-receive --new-cert --cert new.pem --key key.pem
	[ ! -e new.pem ]
	fails_with 73 ps-receive --new-cert --cert cert.pem --key new.key
	[ ! -e new.key ]
	fails_with 73 ps-receive --new-passphrase -P pass
	cmp key.pem key.old
}
