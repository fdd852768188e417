#!/usr/bin/env bats
# unifiedsetup --check: a server that is fit, and one fault after another.
load ../lib/common
load setup

prepare() {
	command -v jq >/dev/null || skip "jq is not installed"
	files
	ps-vault init vault >/dev/null
}

# check [FLAG...]: of the usual server
check() {
	ps_flags --check --root "$T/root" --skip-space-check --name ps1 \
		--cs-port "$CS_PORT" /DataTransferSecurePort "$PORT" "$@"
}

# verdict NAME: of the last answer in JSON
verdict() { jq -r --arg n "$1" '.checks[] | select(.step == $n) | .result' out; }

# fault STEP WORDS FLAG...: this check fails, and says what and what to do
fault() {
	local step=$1 words=$2
	shift 2
	fails_with 1 check --json "$@" || { cat out; return 1; }
	[ "$(verdict "$step")" = failed ] || { cat out; return 1; }
	jq -r --arg n "$step" '.checks[] | select(.step == $n) |
		.what, .next, .evidence[]' out >words
	says words "$words"
	[ -n "$(jq -r --arg n "$step" '.checks[] | select(.step == $n) | .next' out)" ]
	[ ! -e root ]
}

@test "a server that is fit: a table, JSON, nothing is changed" {
	other_end
	PORT=$(free_port)
	find vault | sort >before
	check --json /VaultCredsFilePath vaultcreds >out || { cat out; false; }
	[ "$(jq -r '.result, .mode, .address, .failed' out | xargs)" = \
		"ready PS 127.0.0.1 0" ]
	local step
	for step in rights versions cs nat store ports; do
		[ "$(verdict $step)" = passed ] || { cat out; false; }
	done
	[ "$(verdict psip)" = warning ]
	check >table
	says table "cs        127.0.0.1 answers, and takes the passphrase"
	says table "nat       the configuration server sees 127.0.0.1"
	says table "Ready:"
	[ ! -e root ]
	find vault | sort | diff before -
	lacks "out table" "$(cat pass)"
}

@test "a reader that went: told as that, and not as a fault of the output" {
	local code=0
	other_end
	PORT=$(free_port)
	mkfifo gone
	exec 5<>gone 6>gone 5<&-
	check >&6 2>err || code=$?
	exec 6>&-
	[ "$code" -eq 75 ]
	says err "standard output: Broken pipe"
}

@test "the configuration server: a wrong passphrase, nobody there" {
	other_end
	PORT=$(free_port)
	echo 'something else' >pass
	fault cs "the passphrase is not that of the configuration server"
	CS_PORT=$(free_port)
	fault cs "Connection refused"
	says words "Allow TCP $CS_PORT"
}

@test "an address that is translated on the way" {
	other_end
	PORT=$(free_port)
	cat >relay.py <<-'END'
		import socket, sys, threading
		def pump(a, b):
		    while True:
		        data = a.recv(65536)
		        if not data:
		            break
		        b.sendall(data)
		    b.shutdown(socket.SHUT_WR)
		s = socket.create_server(("127.0.0.1", 0))
		print(s.getsockname()[1], flush=True)
		while True:
		    c, _ = s.accept()
		    o = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10,
		                                 ("127.0.0.5", 0))
		    for pair in (c, o), (o, c):
		        threading.Thread(target=pump, args=pair, daemon=True).start()
	END
	start python3 relay.py "$CS_PORT" >relay.port
	wait_for [ -s relay.port ]
	CS_PORT=$(cat relay.port)
	check --json >out
	[ "$(verdict cs) $(verdict nat)" = "passed warning" ] || { cat out; false; }
	says out "sees 127.0.0.5, but this machine speaks from 127.0.0.1"
}

@test "addresses and ports: PSIP elsewhere, a port that is taken" {
	other_end
	PORT=$(free_port)
	fault psip "no interface here has 192.0.2.77" /PSIP 192.0.2.77
	PORT=$CS_PORT
	fault ports "is in use"
}

@test "the store: not there, and a proxy that refuses" {
	other_end
	PORT=$(free_port)
	printf 'vault: %s/none\nexpires: never\n' "$T" >vaultcreds
	fault store "none" /VaultCredsFilePath vaultcreds
	cat >proxy.py <<-'END'
		import socket
		s = socket.create_server(("127.0.0.1", 0))
		print(s.getsockname()[1], flush=True)
		while True:
		    c, _ = s.accept()
		    c.recv(4096)
		    c.sendall(b"HTTP/1.1 407 Who are you\r\nProxy-Authenticate: "
		              b"Basic realm=x\r\nContent-Length: 0\r\n"
		              b"Connection: close\r\n\r\n")
		    c.close()
	END
	start python3 proxy.py >proxy.port
	wait_for [ -s proxy.port ]
	sed -i "s/192.0.2.7/127.0.0.1/; s/3128/$(cat proxy.port)/" proxy
	cat >vaultcreds <<-END
		vault: azblob://account/container
		expires: never
		credentials:
		  AZURE_STORAGE_KEY: c3RvcmFnZS1rZXktc2VjcmV0
	END
	fault store "407" /VaultCredsFilePath vaultcreds \
		/ProxySettingsFilePath proxy
	lacks "out" s3cret-pw c3RvcmFnZS1r
	# There is no ps.yaml yet: where the log-in belongs is the file that was given.
	jq -r '.checks[] | select(.step == "store") | .next' out >words
	says words "ProxyAuthentication, ProxyUserName, ProxyPassword in proxy"
	lacks words ps.yaml
	# Each URL by itself, with the reason, and what the proxy has to do.
	[ "$(verdict urls)" = failed ]
	jq -r '.checks[] | select(.step == "urls") | .what, .next' out >words
	says words "1 of 1 fail; https://account.blob.core.windows.net/: no answer: "
	says words "407"
	says words "ProxyAuthentication, ProxyUserName, ProxyPassword in proxy"
}

@test "room: less than 5 GB fails, and goes on when told to" {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	unshare -m true 2>/dev/null || skip "no mount namespaces here"
	mkdir small
	small() {
		unshare -m sh -c 'mount -t tmpfs -o size=64m none small &&
			exec "$@"' sh unifiedsetup --check --json --name ps1 \
			/ServerMode PS /InstallLocation "$T/small/ps" \
			/EnvType VMWare /CSIP 127.0.0.1 --cs-port 1 \
			/PassphraseFilePath pass "$@"
	}
	fails_with 1 small
	[ "$(verdict space)" = failed ]
	says out "5 GB is the least"
	fails_with 1 small /SkipSpaceCheck
	[ "$(verdict space)" = warning ]
}
