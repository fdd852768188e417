#!/usr/bin/env bats
# ps-config serve, register and heartbeat, on loopback with SQLite.
load ../lib/common
load config

prepare() {
	command -v jq >/dev/null || skip "jq is not installed"
	MOUNTED=()
}

cleanup() {
	local dir
	for dir in "${MOUNTED[@]}"; do umount -l "$dir"; done
}

# failed_step WORD CODE COMMAND...: the step that failed has this name
failed_step() {
	local step=$1 code=$2
	shift 2
	fails_with "$code" "$@"
	grep -q "^FAILED $step " out
	grep -q "$step: " err
	[ "$(grep -vc '^ok' out)" -eq 1 ]
}

heard() { [ "$(answer '.contact != null' show "$1")" = true ]; }

@test "a server joins, is heard, is listed; to join again changes nothing" {
	local serial
	site
	join ps1 --address ps1.example --alt DNS:ps1-lan,IP:192.0.2.7 >out
	[ "$(awk '{print $1 $2}' out | tr '\n' ' ')" = \
		'okresolve oktcp oktls okpin oklogin okclock okregister okfiles ' ]
	openssl verify -CAfile ps1/authority.crt ps1/server.crt
	openssl x509 -in ps1/server.crt -noout -ext subjectAltName |
		grep -q 'DNS:ps1, DNS:ps1.example, DNS:ps1-lan, IP Address:192.0.2.7'
	[ "$(stat -c %a ps1/server.key ps1/login.key | tr '\n' ' ')" = \
		'600 600 ' ]
	! grep -rqf first ps1 || false # the passphrase is not kept
	[ "$(answer '[.[0].state, .[0].passphrase_generation]' list)" = \
		'["never",1]' ]
	serial=$(openssl x509 -in ps1/server.crt -noout -serial)
	# Without any input: it knows where, and has its key.
	ps-config register --identity ps1 --machine-id id-ps1 >out
	grep -q 'as before' out
	[ "$(openssl x509 -in ps1/server.crt -noout -serial)" = "$serial" ]
	# ps-health's folder may come later: it is looked for at each beat.
	beating ps1 --interval 1s
	wait_for heard ps1
	[ "$(answer '.servers[0].health' status)" = null ]
	mkdir health
	wait_for [ -e health/heartbeat ]
	healthy() { [ "$(answer '.servers[0].health' status)" = UNKNOWN ]; }
	wait_for healthy
	end "${STARTED[-1]}"
	[ "$(answer '[.state, .address, .version != null]' show ps1)" = \
		'["ok","ps1.example",true]' ]
	[ "$(answer '[.[] | select(.who == "server ps1") | .what]' audit)" = \
		'["server-add","certificate"]' ]
	ps-config register --identity ps1 --machine-id id-ps1 --port 9445 >out
	[ "$(answer '.[-1] | [.what, .detail]' audit --object ps1)" = \
		'["server-edit","ps ps1.example port 9445"]' ]
	# A master target under its own tool, with questions answered by options.
	cdpcli --registermt --identity mt1 --cs 127.0.0.1 \
		--cs-port "$(cat port)" -P first --name ps1 >out 2>err && false
	grep -q 'clone\|duplicate' err
	cdpcli --registermt --identity mt1 --cs 127.0.0.1 --instance second \
		--cs-port "$(cat port)" -P first --name mt1
	fails_with 78 cdpcli --registermt --identity mt1
	echo 'config: {instance: second}' >second.yaml
	cdpcli --registermt --identity mt1 --config second.yaml
	cp -r mt1 damaged
	echo '{' >damaged/identity.json
	fails_with 65 ps-config register --identity damaged
	grep -q damaged/identity.json err
	fails_with 78 cdpcli --registermt --identity mt1 --machine-id third
	fails_with 77 cdpcli --registermt --identity mt1 --instance second \
		--pin sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
}

@test "each thing that can be wrong has its name, and says what to do" {
	site
	echo aaaabbbbccccddddeeeeffff >wrong
	chmod 600 wrong
	failed_step resolve 69 ps-config register --identity x --name ps1 \
		--cs no-such-host.invalid -P first
	failed_step tcp 69 ps-config register --identity x --name ps1 \
		--cs 127.0.0.1 --cs-port 1 -P first
	grep -q 'ps-config serve running' err
	failed_step login 77 join ps1 -P wrong
	grep -q 'wrong passphrase' err
	failed_step login 66 join ps1 -P none
	! grep -q 'hint' err || false
	failed_step pin 77 join ps1 \
		--pin sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
	fails_with 64 join ps1 --pin hello
	grep -q "'hello' is none: ps-config cert pins" err
	fails_with 64 join ps1 --cs-port 70000
	grep -q "'70000' is no port" err
	failed_step register 64 join ps1 --address 'a b'
	fails_with 64 join ps_1
	fails_with 64 join "$(printf 'a%.0s' {1..64})" --identity x
	grep -q 'more than 63 characters' err
	[ "$(answer length list)" -eq 0 ]
	join ps1 >out
	# The name of another machine, the machine of another name, a copied folder.
	failed_step register 1 join ps1 --identity x --machine-id id-x
	grep -q 'duplicate: .*another machine has this name' err
	failed_step register 1 join ps2 --identity x --machine-id id-ps1
	grep -q 'clone: ' err
	grep -q -e 'second server on the same host: --instance' err
	cp -a ps1 copy
	fails_with 78 ps-config register --identity copy --machine-id id-copy
	grep -q 'clone' err
	fails_with 78 ps-config heartbeat --once --identity copy \
		--machine-id id-copy
	# Somebody else sits there now.
	mv config old
	end "$SERVER"
	cp first passphrase
	site
	failed_step pin 77 ps-config register --identity ps1 \
		--machine-id id-ps1 --cs-port "$(cat port)" -P passphrase
	grep -q 'certificate' err
}

# A server that is none of ours, on ./port: what listens, and how.
stranger() {
	rm -f port
	start python3 -c '
import socket, sys
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen(8)
print(s.getsockname()[1], flush=True)
while True:
    c = s.accept()[0]
    c.recv(1000)
    c.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    c.close()
' >port
	wait_for [ -s port ]
}

@test "what is no configuration server, and versions that do not fit, have names, too" {
	local version
	command -v faketime >/dev/null || skip "faketime is not installed"
	site
	at() {
		faketime -f "$1" ps-config register --cs 127.0.0.1 --cs-port \
			"$(cat port)" -P first --name ps1 --identity ps1 \
			--machine-id id-ps1
	}
	failed_step clock 78 at +16m
	grep -q NTP err
	at -14m >out
	# Another program would say another version: what is said to it.
	cxpsclient --derive-key ps2 -P first -o ps2.key
	for version in 99.0.0 0.0.-1; do
		jq -cn --arg v "$version" --arg t "$(date -u +%FT%TZ)" '{name:
			"ps2", role: "ps", address: "x", port: 1, version: $v,
			csr: "", time: $t}' >body
		printf 'POST /v1/register HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n' \
			"$(stat -c %s body)" | cat - body |
			timeout 20 "$PS_BUILD/tests/net/peer" raw 127.0.0.1 \
				"$(cat port)" ps2.key ps2 >"answer.$version" || true
	done
	grep -aq '^HTTP/1.1 409' answer.99.0.0
	grep -aq '"error":"version".*too new.*upgrade the configuration server first' \
		answer.99.0.0
	grep -aq '^HTTP/1.1 400' answer.0.0.-1
	# Not TLS; TLS, but nobody who knows the passphrase; the desk is not there.
	cp port good
	stranger
	failed_step tls 76 join ps3
	grep -q 'is it ps-config serve that listens there' err
	rm port
	ps-receive --new-cert --cert cert --key key
	start "$PS_BUILD/tests/net/peer" rogue cert key >port
	wait_for [ -s port ]
	head -n 1 port >first-line
	mv first-line port
	failed_step login 77 join ps3
	cp good port
	[ "$(answer '[.[].name]' list)" = '["ps1"]' ]
}

@test "register asks a terminal for its four inputs" {
	site
	PORT=$(cat port) timeout 60 python3 - <<'END'
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.execvp("ps-config", ["ps-config", "register", "--name", "ps1",
                            "--identity", "ps1", "--machine-id", "id-ps1"])
seen = b""
def answer(question, words):
    global seen
    while question not in seen:
        seen += os.read(fd, 1000)
    seen = b""
    os.write(fd, words + b"\n")
answer(b"Address of the configuration server: ", b"127.0.0.1")
answer(b"Its port [443]: ", os.environ["PORT"].encode())
answer(b"File with the passphrase: ", b"first")
answer(b"Port of the data on this server [9443]: ", b"")
try:
    while True:
        more = os.read(fd, 1000)
        if not more:
            break
        seen += more
except OSError:
    pass
sys.exit(os.waitpid(pid, 0)[1] != 0 or b"ok     files" not in seen)
END
	[ "$(answer '[.[] | .name, .port]' list)" = '["ps1",9443]' ]
	# A second time nothing is asked; without a terminal, what is missing is told.
	ps-config register --identity ps1 --machine-id id-ps1 </dev/null >out
	fails_with 64 ps-config register --identity x --name ps2 </dev/null
	grep -q -e '--cs is missing' err
}

@test "a passphrase is rotated: both are accepted, then the old one is not" {
	site
	join ps1 >out
	mv first zeroth
	(umask 077 && ps-config passphrase rotate --overlap 1h >first)
	beat ps1 --once # with the key of the old one
	wait_for join ps2
	[ "$(answer '[.[].passphrase_generation]' list)" = '[1,2]' ]
	(umask 077 && ps-config passphrase rotate --overlap 0 >third)
	refused() { ! beat ps2 --once 2>err; }
	wait_for refused
	grep -q 'passphrase rotated' err
	beat ps1 --once # its hour is not over
	mv third first
	join ps2 >out
	beat ps2 --once
}

@test "what is wanted of a server reaches it at once; it leaves when asked" {
	site
	join ps0 >out
	fails_with 69 ps-config unregister ps0
	grep -q 'was never heard' err
	ps-config server delete ps0
	join ps1 >out
	beating ps1 --interval 600s
	beater=${STARTED[-1]}
	wait_for ps-config refresh ps1
	begun=$SECONDS
	[ "$(ps-config refresh)" = "$(printf 'ps1\theard')" ]
	[ $((SECONDS - begun)) -lt 20 ] # not 600
	# A configuration server that dies takes nothing of that with it.
	port=$(cat port)
	kill -9 "$SERVER"
	wait "$SERVER" 2>/dev/null || true
	serve -l "127.0.0.1:$port"
	begun=$SECONDS
	[ "$(ps-config refresh)" = "$(printf 'ps1\theard')" ]
	[ $((SECONDS - begun)) -lt 30 ] # not 600
	fails_with 1 ps-config refresh ps9
	# Nothing listens on its data port: they do not reach each other.
	fails_with 69 ps-config unregister ps1
	grep -q -e '--force --yes' err
	fails_with 64 ps-config unregister ps1 --force
	[ "$(answer length list)" -eq 1 ]
	# Now something does, here the configuration server itself.
	join ps1 --port "$(cat port)" >out
	protected >/dev/null
	ps-config machine edit web01 --server ps1
	fails_with 1 ps-config unregister ps1
	grep -q 'machine web01 loses its process server' err
	ps-config machine edit web01 --server -
	join ps1 --port "$(cat port)" >out
	ps-config unregister ps1
	[ "$(answer '[.[].name]' list)" = '["mt1"]' ]
	wait_for [ ! -e ps1/login.key ]
	wait "$beater"
	grep -q 'unregistered, as the configuration server asked' beat.err
	# One that is gone for good takes no leave.
	join ps2 >out
	ps-config machine edit web01 --server ps2
	ps-config unregister ps2 --force --yes 2>err
	grep -q 'machine web01 loses its process server' err
	fails_with 1 beat ps2 --once
	grep -q 'ps-config register' err
}

@test "an agent sees its own machine, and nobody else's" {
	site
	protected
	ps-config machine add web02
	(umask 077 && cxpsclient --derive-key web01 -P first >web01.key)
	ps-config fetch web01 --cs 127.0.0.1 --cs-port "$(cat port)" \
		-P web01.key >out
	[ "$(jq -c '[.server.address, .policy.multi_vm, .disks[0].disk]' out)" = \
		'["192.0.2.1",true,"root"]' ]
	fails_with 77 ps-config fetch web02 --cs 127.0.0.1 \
		--cs-port "$(cat port)" -P web01.key
	fails_with 1 ps-config fetch web03 --cs 127.0.0.1 \
		--cs-port "$(cat port)" -P first
	# Who knows the passphrase, but is no configuration server; and nobody.
	ps-cache init -C cache >/dev/null
	ps-receive --new-cert --cert cert --key key
	start ps-receive -l 127.0.0.1:0 -C cache --cert cert --key key \
		-P first >receiver 2>receive.err
	wait_for [ -s receiver ]
	fails_with 76 ps-config fetch web01 --cs 127.0.0.1 \
		--cs-port "$(sed 's/.*://' receiver)" -P web01.key
	grep -q 'no configuration server' err
	end "$SERVER"
	fails_with 69 ps-config fetch web01 --cs 127.0.0.1 \
		--cs-port "$(cat port)" -P web01.key
	[ ! -s out ]
}

@test "our own certificate: made once, made anew when it is not good" {
	local pin serial
	site
	serial() { openssl x509 -in config/serve/server.crt -noout -serial; }
	serial=$(serial)
	end "$SERVER"
	serve
	[ "$(serial)" = "$serial" ]
	join ps1 >out
	pin=$(jq -r .pin ps1/identity.json)
	end "$SERVER"
	openssl req -x509 -key config/server.key -subj /CN=x -days 2 \
		-out config/serve/server.crt 2>/dev/null
	serve --alt IP:127.0.0.1
	[ "$(serial)" != "$serial" ]
	openssl x509 -in config/serve/server.crt -noout -checkip 127.0.0.1 |
		grep -q 'does match'
	ps-config register --identity ps1 --machine-id id-ps1 \
		--cs-port "$(cat port)" >out
	[ "$(jq -r .pin ps1/identity.json)" = "$pin" ] # the key stays
	[ "$(stat -c %a config/server.key)" = 600 ]
	end "$SERVER"
	# Or one from elsewhere, with a serial as long as RFC 5280 lets it be.
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-keyout other.key -out other.crt -subj /CN=x -days 2 \
		-set_serial 0x7fffffffffffffffffffffffffffffffffffffff 2>/dev/null
	serve --cert other.crt --key other.key
	join ps2 >out
	[ "$(jq -r .pin ps2/identity.json)" != "$pin" ]
	fails_with 64 ps-config serve -l 127.0.0.1:0 --cert other.crt
}

@test "the registry's disk is full: told so, nothing is lost, it goes on" {
	[ "$(id -u)" -eq 0 ] || skip "only root can mount"
	mkdir config
	mount -t tmpfs -o size=1m tmpfs "$T/config" 2>/dev/null ||
		skip "mounting is not permitted here"
	MOUNTED+=("$T/config")
	local i names=ps0
	site
	join ps0 >out
	dd if=/dev/zero of=config/fill bs=4k 2>/dev/null || true
	for ((i = 1; i < 50; i++)); do
		join "ps$i" >out 2>err || break
		names+=" ps$i"
	done
	grep -q 'register: disk-full: ' err
	grep -q 'make room' err
	rm config/fill
	[ "$(answer '[.[].name] | sort | join(" ")' list)" = \
		"$(tr ' ' '\n' <<<"$names" | sort | tr '\n' ' ' | sed 's/ $//')" ]
	beat ps0 --once
	join another >out
	kill -0 "$SERVER"
}

@test "a stranger gets 400; what is no request of ours, a refusal" {
	site
	fails_with 76 cxpsclient -i 127.0.0.1 -l "$(cat port)" -P first -y 20
	grep -q '^ok     login' out
	grep -q '^FAILED put' out # it is no process server
	kill -0 "$SERVER"
	! grep -q 'signal' serve.err || false
	grep -q "POST	/v1/login	200" config/serve/log/cxps.xfer
}

@test "the database is locked by another: 503, then it goes on" {
	[ -n "${PS_LONG-}" ] || skip "long: PS_LONG=1 (MariaDB that is away is not)"
	command -v python3 >/dev/null || skip "python3 is not installed"
	site
	join ps1 >out
	cat >lock.py <<'END'
import signal, sqlite3
db = sqlite3.connect("config/registry.db", isolation_level=None)
db.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
signal.pause()
END
	start python3 lock.py >locked
	wait_for [ -s locked ]
	fails_with 75 beat ps1 --once
	grep -q database err
	end "${STARTED[-1]}"
	wait_for beat ps1 --once
}
