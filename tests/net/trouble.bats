#!/usr/bin/env bats
# Each step of the self-test fails for a cause of real life, and says which.

load ../lib/common
load common

prepare() { make_server; }

# fails_at STEP CODE PATTERN OPTION...: the self-test ends there, with this
# code, and what it says (why and what is next) matches.
fails_at() {
	local step=$1 code=$2 words=$3
	shift 3
	fails_with "$code" cxpsclient -i 127.0.0.1 "$@"
	cat out
	grep -q "^FAILED *$step " out
	tail -n 2 out | grep -Eq -- "$words"
}

trouble() {
	start "$PS_BUILD/tests/net/trouble" "$@" >trouble.port
	LINE=$(port_of trouble.port)
}

# A server that is broken in the way that SPOIL says.
serve_spoiled() {
	export SPOIL=$1
	LD_PRELOAD=$PS_BUILD/tests/net/spoil-answers.so serve
	unset SPOIL
}

# cert_of BEGIN DAYS: a certificate made at another time
cert_of() {
	rm -f cert.pem
	faketime "$1" openssl req -x509 -new -key key.pem -days "$2" \
		-subj /CN=ps1.example -out cert.pem
}

free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

# web CONFIG...: nginx with these lines in its server block; sets LINE.
web() {
	LINE=$(free_port)
	cat >nginx.conf <<-END
		daemon off; master_process off; pid $T/nginx.pid;
		error_log $T/nginx.err;
		events {}
		http { access_log off; client_body_temp_path $T/body;
		proxy_temp_path $T/proxy; fastcgi_temp_path $T/fast;
		uwsgi_temp_path $T/uwsgi; scgi_temp_path $T/scgi;
		server { $* } }
	END
	sed -i "s/PORT/127.0.0.1:$LINE/" nginx.conf
	start env PATH="$PATH:/usr/sbin" nginx -e "$T/nginx.err" -p "$T" -c "$T/nginx.conf"
	wait_for bash -c "exec 3<>/dev/tcp/127.0.0.1/$LINE"
}

@test "tcp: a closed port: is ps-receive running?" {
	fails_at tcp 69 'next: .*is ps-receive running.*allow inbound TCP' \
		-l "$(free_port)"
}

@test "tcp: packets that are dropped: a firewall, NAT, a static address" {
	trouble deaf
	SECONDS=0
	fails_at tcp 69 'next: .*firewall that drops.*static, without NAT' \
		-l "$LINE" -y 2
	[ "$SECONDS" -lt 5 ]
}

@test "tls: a plain web server has the port" {
	web 'listen PORT; return 200 hello;'
	fails_at tls 76 "next: another program has this port" -l "$LINE" -y 10
	grep -q "it says 'HTTP/1.1 200 OK'" out
}

@test "tls: a proxy that wants to be authenticated: 407" {
	LINE=$(free_port)
	printf '%s\n' "Port $LINE" 'Listen 127.0.0.1' 'BasicAuth user word' \
		'Timeout 10' 'MaxClients 5' >tinyproxy.conf
	start env PATH="$PATH:/usr/sbin" tinyproxy -d -c tinyproxy.conf >proxy.log
	wait_for bash -c "exec 3<>/dev/tcp/127.0.0.1/$LINE"
	fails_at tls 76 'next: a proxy that wants to be authenticated' \
		-l "$LINE" -y 10
	grep -q '407 Proxy Auth' out
}

@test "tls: the words of a stranger steer no terminal and break no JSON" {
	cat >stranger.py <<-'END'
		import socket
		s = socket.create_server(("127.0.0.1", 0))
		print(s.getsockname()[1], flush=True)
		while True:
		    c, _ = s.accept()
		    c.recv(4096)
		    c.sendall(b"HTTP/1.1 200 \x1b[2J\xff|x\r\n\r\n")
		    c.close()
	END
	start python3 stranger.py >stranger.port
	LINE=$(port_of stranger.port)
	fails_at tls 76 "says 'HTTP/1.1 200 \?\[2J\?\?x'|next" -l "$LINE" -y 10
	fails_with 76 cxpsclient -i 127.0.0.1 -l "$LINE" -y 10 --json
	jq -e '.failed == "tls" and (.steps[2].detail | test("HTTP/1.1 200"))' out
	fails_with 2 cxpsclient -i 127.0.0.1 -l "$LINE" -y 10 --nagios
	[ "$(tr -cd '|' <out)" = "|" ]
}

@test "tls: somebody who ends TLS 1.2" {
	LINE=$(free_port)
	start openssl s_server -accept "127.0.0.1:$LINE" -cert cert.pem \
		-key key.pem -tls1_2 -quiet
	wait_for bash -c "exec 3<>/dev/tcp/127.0.0.1/$LINE"
	fails_at tls 76 'next: .*a load balancer' -l "$LINE" -y 10
	grep -q 'speaks TLSv1.2, wanted is TLS 1.3' out
}

@test "tls: how long the certificate lives" {
	local days
	for days in 20:'renew it now' 45:'plan to renew' 90:'^'; do
		cert_of now "${days%%:*}"
		serve
		client >out
		[ "$(count_lines out '^warn *tls')" -eq \
			"$([ "${days%%:*}" -lt 60 ] && echo 1 || echo 0)" ]
		grep -q "${days#*:}" out
		fails_with "$([ "${days%%:*}" -lt 60 ] && echo 1 || echo 0)" \
			client --nagios
		kill "$SERVER"
	done
}

@test "tls: a certificate that has expired, or is not valid yet" {
	cert_of '400 days ago' 30
	serve
	fails_at tls 77 'next: renew it' -l "$PORT" -P pass
	grep -Eq 'expired 3(69|70|71) days ago' out
	kill "$SERVER"
	cert_of '40 days' 90 # from then on
	serve
	fails_at tls 77 'next: a clock is wrong' -l "$PORT" -P pass
	grep -Eq 'begins only in (39|40) days' out
}

@test "tls: a certificate that --ca did not sign" {
	serve
	ps-receive --new-cert --cert other.pem --key other.key
	fails_at tls 77 'next: .*not what --ca asks for' -l "$PORT" --ca other.pem
	fails_at tls 66 'next: --ca wants a file' -l "$PORT" --ca nowhere.pem
}

@test "browser: a proxy that looks into TLS answers 407" {
	web "listen PORT ssl; ssl_protocols TLSv1.3; ssl_certificate $T/cert.pem;
		ssl_certificate_key $T/key.pem; return 407;"
	fails_at browser 76 'next: a proxy in between' -l "$LINE" -y 10
	grep -q 'answered 407, a process server answers 400' out
}

@test "clock: six minutes are a warning, sixteen a failure" {
	local library
	library=$(faketime -f +0 printenv LD_PRELOAD)
	# Without faketime itself, which would not pass on that it is to end.
	export LD_PRELOAD=$library FAKETIME=-6m
	serve
	unset LD_PRELOAD FAKETIME
	client >out
	grep -Eq '^warn *clock .* 3(59|60|61) s behind' out
	export LD_PRELOAD=$library FAKETIME=+16m
	serve
	unset LD_PRELOAD FAKETIME
	fails_at clock 78 'next: .*NTP' -l "$PORT" -P pass
	grep -q 's ahead' out
}

@test "login: a line that goes dead is not blamed on the passphrase" {
	serve
	start "$PS_BUILD/tests/lib/proxy" --fault 2/down:stall:300 127.0.0.1 \
		"$PORT" >proxy.port 2>struck
	LINE=$(port_of proxy.port)
	fails_at login 69 'next: it answered just before' -l "$LINE" -P pass -y 2
}

@test "put: the cache of the server has failed" {
	serve
	: >cache/failed
	fails_at put 69 'next: see cxps.err' -l "$PORT" -P pass
}

@test "list: what was put is not there" {
	serve_spoiled 'probe	p=probe	q'
	fails_at list 76 'not listed|next' -l "$PORT" -P pass
}

@test "get: a bit that turned over on the server" {
	serve_spoiled body
	fails_at get 65 'next: .*memory' -l "$PORT" -P pass
}

@test "delete: a server that keeps it" {
	serve_spoiled 'HTTP/1.1 404=HTTP/1.1 200'
	fails_at delete 76 'still there|next' -l "$PORT" -P pass
}

@test "upload: a line that goes dead under load" {
	serve
	trouble line 127.0.0.1 "$PORT" 50M 300K
	fails_at upload 69 'next: .*MTU' -l "$LINE" -P pass -y 4
}

@test "download: bits that turn over in large answers only" {
	serve_spoiled large
	fails_at download 65 'next: .*MTU' -l "$PORT" -P pass
}

@test "a slow line is measured in bounded time" {
	serve
	trouble line 127.0.0.1 "$PORT" 400K 0
	SECONDS=0
	cxpsclient -i 127.0.0.1 -l "$LINE" -P pass --json >out.json
	[ "$SECONDS" -lt 10 ]
	jq -e '.result == "ok" and all(.steps[10, 11];
		.bytes_per_second > 150000 and .bytes_per_second < 700000)' out.json
}

@test "a line that is too slow ends with the time of -y" {
	serve
	trouble line 127.0.0.1 "$PORT" 5K 0
	SECONDS=0
	fails_with 69 cxpsclient -i 127.0.0.1 -l "$LINE" -P pass -y 3
	[ "$SECONDS" -lt 6 ]
	grep -q '^FAILED' out
}
