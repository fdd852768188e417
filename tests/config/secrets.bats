#!/usr/bin/env bats
# ps-config: accounts, certificates, backup and restore.
load ../lib/common
load config

prepare() {
	command -v jq >/dev/null || skip "jq is not installed"
	umask 077
	registry
}

# request NAME: a key and a certificate request
request() {
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-keyout "$1.key" -out "$1.csr" -subj /CN=anything 2>/dev/null
}

issue() { # issue NAME OPTION...
	ps-config cert issue "$1" --csr "$1.csr" -o "$1.pem" "${@:2}"
}

# pin_of FILE: as curl --pinnedpubkey takes it
pin_of() {
	printf 'sha256//'
	openssl x509 -in "$1" -pubkey -noout | openssl pkey -pubin -outform DER |
		openssl dgst -sha256 -binary | openssl base64
}

later() { faketime -f "$1" "${@:2}"; }

# What is in a backup, without the lines that tell of the backup itself.
rows() { grep '^{"table"' "$1" | grep -v '^{"table":"audit"'; }

@test "accounts: the secret is sealed, and comes back only by name" {
	printf 's3cret pass\n' >pw
	ps-config account add vc --login 'admin@site' --secret-file pw
	fails_with 1 ps-config account add vc --login x --secret-file pw
	[ "$(ps-config account secret vc)" = 's3cret pass' ]
	[ "$(answer '.[0] | [.name, .login]' account)" = \
		'["vc","admin@site"]' ]
	! grep -raq 's3cret' config || false
	ps-config account edit vc --login other
	[ "$(ps-config account secret vc)" = 's3cret pass' ]
	echo next >pw
	ps-config account edit vc --secret-file pw
	[ "$(ps-config account secret vc)" = next ]
	[ "$(answer '.[0].login' account)" = other ]
	[ "$(answer '[.[] | select(.what == "account-secret")] | length' \
		audit --object vc)" -eq 3 ]
	chmod 644 pw
	fails_with 77 ps-config account add vd --login x --secret-file pw
	chmod 600 pw
	: >pw
	fails_with 64 ps-config account add vd --login x --secret-file pw
	ps-config account delete vc
	fails_with 1 ps-config account secret vc
	fails_with 1 ps-config account delete vc
}

@test "accounts: a sealed secret in another row, or with another key, does not open" {
	command -v sqlite3 >/dev/null || skip "sqlite3 is not installed"
	echo one >pw
	ps-config account add a --login x --secret-file pw
	echo two >pw
	ps-config account add b --login x --secret-file pw
	sqlite3 config/registry.db "UPDATE accounts SET sealed =
		(SELECT sealed FROM accounts WHERE name = 'a') WHERE name = 'b'"
	[ "$(ps-config account secret a)" = one ]
	fails_with 65 ps-config account secret b
	[ ! -s out ]
}

@test "accounts: without a file the terminal is asked, and shows nothing" {
	timeout 60 python3 - <<'END'
import os, pty, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.execvp("ps-config", ["ps-config", "account", "add", "t",
                            "--login", "x"])
seen = b""
def until(words):
    global seen
    while words not in seen:
        seen += os.read(fd, 1000)
until(b"Secret: ")
os.write(fd, b"hidden\n")
until(b"Once more: ")
os.write(fd, b"hidden\n")
try:
    while True:
        more = os.read(fd, 1000)
        if not more:
            break
        seen += more
except OSError:
    pass
status = os.waitpid(pid, 0)[1]
sys.exit(1 if status or b"hidden" in seen else 0)
END
	[ "$(ps-config account secret t)" = hidden ]
}

@test "a certificate: names of the registry, a serial, a pin, signed by the authority" {
	ps-config server add ps1 --address 192.0.2.1
	request ps1
	fails_with 1 ps-config cert issue ps2 --csr ps1.csr
	issue ps1 --alt DNS:ps1.example
	ps-config cert authority >ca.pem
	openssl verify -x509_strict -CAfile ca.pem ps1.pem >out
	openssl verify -CAfile ca.pem -verify_ip 192.0.2.1 ps1.pem >out
	openssl verify -CAfile ca.pem -verify_hostname ps1.example ps1.pem >out
	! openssl verify -CAfile ca.pem -verify_hostname anything ps1.pem \
		>out 2>&1 || false
	[ "$(ps-config cert pins)" = "$(printf 'ps1\t%s' "$(pin_of ps1.pem)")" ]
	[ "$(answer '.[0].serial' cert)" = "$(openssl x509 -in ps1.pem -noout \
		-serial | sed 's/.*=//' | tr A-F a-f)" ]
	# The same key or another: the one before is replaced.
	issue ps1
	[ "$(answer '[.[].state]' cert --all)" = '["replaced","ok"]' ]
	# ps-receive works with it.
	ps-config passphrase new --keep >/dev/null
	ps-cache init -C cache >/dev/null
	start ps-receive -l 127.0.0.1:0 -C cache --cert ps1.pem --key ps1.key \
		-P config/connection.passphrase >port 2>receive.err
	wait_for [ -s port ]
	cxpsclient -i 127.0.0.1 -l "$(sed 's/.*://' port)" \
		-P config/connection.passphrase -y 1 >out 2>err
}

@test "a request that is damaged, weak, or asks for odd names is refused" {
	ps-config server add ps1 --address ps1.example
	request ps1
	fails_with 64 issue ps1 --alt 'DNS:a,email:x@y'
	fails_with 64 issue ps1 --alt 'IP:300.1.1.1'
	openssl req -new -newkey rsa:1024 -nodes -keyout weak.key \
		-out weak.csr -subj /CN=x 2>/dev/null
	fails_with 65 ps-config cert issue ps1 --csr weak.csr
	openssl req -in ps1.csr -outform DER -out der
	flip_bit der $(($(stat -c %s der) - 5))
	openssl req -inform DER -in der -out ps1.csr 2>/dev/null
	fails_with 65 issue ps1
	grep -q 'not signed with its own key' err
	fails_with 65 ps-config cert issue ps1 --csr ps1.key
	[ ! -e ps1.pem ]
	[ "$(answer length cert)" -eq 0 ]
}

@test "renewing: told 60 days ahead; one that has expired with the passphrase" {
	command -v faketime >/dev/null || skip "faketime is not installed"
	ps-config passphrase new >pass
	ps-config server add ps1 --address ps1.example
	request ps1
	issue ps1 --valid 100d
	[ "$(later +39d ps-config cert --json 2>err | jq -r '.[0].state')" = ok ]
	[ ! -s err ]
	[ "$(later +41d ps-config cert --json 2>err | jq -r '.[0].state')" = \
		renew ]
	grep -q "'ps1' expires in 58 days" err
	[ "$(later +101d ps-config cert --json 2>err | jq -r '.[0].state')" = \
		expired ]
	fails_with 77 later +101d ps-config cert issue ps1 --csr ps1.csr
	grep -q 'renew it with the passphrase' err
	echo wrong >other
	fails_with 77 later +101d ps-config cert issue ps1 --csr ps1.csr -P other
	grep -q 'wrong passphrase' err
	rm other
	cxpsclient --derive-key ps2 -P pass -o other
	fails_with 77 later +101d ps-config cert issue ps1 --csr ps1.csr -P other
	rm other
	cxpsclient --derive-key ps1 -P pass -o other
	later +101d ps-config cert issue ps1 --csr ps1.csr -P other -o ps1.pem
	[ "$(later +101d ps-config cert --json | jq -r '.[0].state')" = ok ]
	# Who proved to have the passphrase has followed.
	[ "$(answer '.behind | length' passphrase status)" -eq 0 ]
}

@test "backup and restore: the same, whole or not at all" {
	echo pw >pw
	protected
	ps-config account add vc --login x --secret-file pw
	ps-config passphrase new >pass
	ps-config machine disable web01 --purge >/dev/null
	request ps1
	issue ps1
	ps-config backup b1
	[ "$(stat -c %a b1)" = 600 ]
	! grep -q "$(cat pass)" b1 || false
	fails_with 1 ps-config restore b1
	grep -q -e --replace err
	ps-config policy add later
	ps-config restore b1 --replace
	fails_with 1 ps-config policy show later
	ps-config backup b2
	cmp <(rows b1) <(rows b2)
	# Into nothing, with the key file; what was sealed opens.
	mkdir other
	cp config/config.key other
	use "$T/other"
	ps-config restore b1
	[ "$(ps-config account secret vc)" = pw ]
	ps-config backup - >b3
	cmp <(rows b1) <(rows b3)
	# Numbers of jobs go on.
	ps-config jobs cancel 1
	ps-config machine enable web01
	[ "$(ps-config machine disable web01 --purge)" = 'job 2' ]
}

# of_schema N FILE: as a program with those tables would have written it
of_schema() {
	sed "1s/\"schema\":[0-9]*/\"schema\":$1/; \$d" "$2"
	printf '{"rows":%d,"sha256":"%s"}\n' "$(($(wc -l <"$2") - 2))" \
		"$(sed "1s/\"schema\":[0-9]*/\"schema\":$1/; \$d" "$2" |
			sha256sum | cut -d' ' -f1)"
}

@test "a backup of older tables is entered, one of newer ones is refused" {
	protected
	ps-config backup b
	of_schema 1 b >old
	ps-config policy add later
	ps-config restore old --replace --json | jq -e '.rows > 10'
	fails_with 1 ps-config policy show later
	[ "$(answer .state machine show web01)" = enabled ]
	answer '.[-1].detail' audit | grep -q \
		'rows of 20[-0-9T:.]*Z, in place of others'
	of_schema 99 b >new
	fails_with 78 ps-config restore new --replace
	grep -q 'version 99, this program knows' err
}

@test "a backup that is damaged, cut off or of another registry is refused" {
	local at size
	protected
	ps-config backup b
	size=$(stat -c %s b)
	for at in 5 $((size / 2)) $((size - 20)); do
		cp b bad
		flip_bit bad "$at"
		fails_with 65 ps-config restore bad --replace
		head -c "$at" b >bad
		fails_with 65 ps-config restore bad --replace
	done
	sed '3d' b >bad
	fails_with 65 ps-config restore bad --replace
	cat b b >bad
	fails_with 65 ps-config restore bad --replace
	[ "$(answer .state machine show web01)" = enabled ]
	use "$T/other"
	fails_with 66 ps-config restore b
	grep -q 'config.key' err
	[ ! -e other/config.key ]
	ps-config init
	fails_with 78 ps-config restore b
	grep -q 'another key' err
	fails_full
	fails_with 66 ps-config backup nowhere/b
	# A pipe or a device stays one.
	mkfifo pipe
	timeout 20 cat pipe >got &
	ps-config backup pipe
	wait "$!"
	[ -p pipe ]
	tail -n 1 got | jq -e .sha256
}

# fails_with() has its own standard output.
fails_full() {
	local code=0
	ps-config backup - >/dev/full 2>err || code=$?
	[ "$code" -eq 75 ]
}
