#!/usr/bin/env bats
# unifiedsetup: a whole site below folders, by the programs that register
# servers and run services, from the first installation to the last trace.
load ../lib/common
load setup
load versions

prepare() {
	command -v jq >/dev/null || skip "jq is not installed"
	command -v ps-service >/dev/null || skip "no ps-service"
	ps-config --dump-options | grep -q '^cmd.serve' ||
		skip "ps-config does not serve"
	files
	ps-vault init vault >/dev/null
}

cleanup() {
	local root
	for root in site branch; do
		[ ! -e "$T/$root" ] || ps-service stop --root "$T/$root" || true
	done
}

runs() { # runs ROOT SERVICE: as ps-service says
	ps-service status --root "$T/$1" --json | jq -e --arg s "$2" \
		'.[] | select(.name == $s) | .state | . == "running" or . == "idle"'
}

site() { # the configuration server; its ports are $cs and $own
	unifiedsetup --root site --skip-space-check /ServerMode CS \
		/InstallLocation /data /EnvType NonVMWare /PSIP 127.0.0.1 \
		--cs-port "$cs" /DataTransferSecurePort "$own" \
		/VaultCredsFilePath vaultcreds --name cs1 >out || {
		local rc=$?
		cat out >&2
		return "$rc"
	}
}

branch() { # [FLAG...]: a process server of the site; its ports are $cs and $data
	unifiedsetup --root branch --skip-space-check /ServerMode PS \
		/InstallLocation /data /EnvType NonVMWare /CSIP 127.0.0.1 \
		--cs-port "$cs" /DataTransferSecurePort "$data" --name ps1 \
		/VaultCredsFilePath vaultcreds /PassphraseFilePath pass "$@" >out || {
		local rc=$?
		cat out >&2
		return "$rc"
	}
}

alerts() { # codes of what ps-health says of the branch
	ps-health sample -q --config "$branch"
	ps-health check --config "$branch" --format json >health || true
	jq -r '.alerts[].code' health
}

later() { # later ROOT OPTION...: what is done to an installation
	local root=$1
	shift
	unifiedsetup --root "$root" "$@" >out 2>later.err ||
		{ cat out later.err; false; }
}

server() { # server FILTER: what the site has of ps1
	ps-config server list --config "$yaml" --json |
		jq -e "any(.[]; .name == \"ps1\" and ($1))"
}

selftest() {
	cxpsclient -i 127.0.0.1 -l "$data" -P pass -y 20 >selftest ||
		{ cat selftest; false; }
}

# replicate: the disk changes, goes to the branch, and has to come back.
replicate() {
	n=$((${n:-0} + 1))
	random_file change 65536 "$n"
	dd if=change of=disk bs=65536 seek="$n" conv=notrunc status=none
	ps-scan --machine web01 --disk root --map map disk >stream
	cxpsclient -i 127.0.0.1 -l "$data" -P pass --put stream >acks
	ps-scan --commit --map map <acks >/dev/null
}

stored() {
	rm -f back
	ps-restore vault --machine web01 --disk root -q \
		-k "$ETC/vault.key" -o back >/dev/null 2>&1 && cmp disk back
}

@test "configuration server, process server, heartbeat, kit, another port, and away again" {
	local cs data own
	cs=$(free_port)
	own=$(free_port)
	site
	says out "passed the vault and this server have one key"
	for words in "the configuration server takes a login" "cxpsclient" \
		"the vault is reached" "ps-health finds nothing critical"; do
		grep -q "^passed self-test: .*$words" out || { cat out; false; }
	done
	cp -p "$(find site -name connection.passphrase)" pass
	says out "-p $cs -P /root/connection.passphrase"
	lacks out "$(cat pass)"
	data=$(free_port)
	branch
	says out "done   registration"
	# Its key is another one than that of the first server.
	grep -q '^warn *key *the vault has a key' out
	grep -q '^note *ps-vault: .* sealed with another key' out
	says out "passed heartbeat: the configuration server has answered"
	branch=$(find branch -name ps.yaml)
	# The page is missed until it is there.
	[ "$(alerts | grep -c no-kit)" -eq 1 ]
	sed -n 's/^ *\(ps-vault kit .*\)/\1/p' out | sh -e
	[ -s kit.html ]
	[ "$(alerts | grep -c no-kit)" -eq 0 ]
	# Again: nothing is done, all is tried.
	branch --json
	jq -e '(.steps | map(select(.result == "done")) | length) == 0 and
		(.steps | map(select(.result == "passed")) | length) == 4 and
		(.steps | map(select(.result == "note")) | length) == 1 and
		(.next | length) > 5' out || { cat out; false; }
	for service in receive pipeline heartbeat health; do
		wait_for runs branch "$service"
	done
	yaml=$(find site -name ps.yaml)
	heard() {
		ps-config server list --config "$yaml" --json |
			jq -e 'any(.[]; .name == "ps1" and .contact != null)'
	}
	wait_for heard
	cxpsclient -i 127.0.0.1 -l "$data" -P pass -y 20 >selftest ||
		{ cat selftest; false; }
	# Another port: what runs takes it.
	data=$(free_port)
	branch
	says out "done   services"
	cxpsclient -i 127.0.0.1 -l "$data" -P pass -y 20 >selftest ||
		{ cat selftest; false; }
	# What does not work is told, and what is installed stays.
	touch branch/data/cache/failed
	fails_with 69 branch
	grep -q '^FAILED self-test: cxpsclient .*: cxpsclient: .*failed' out
	says err "the same command goes on here"
	rm branch/data/cache/failed
	# What is well today and has to be mended tomorrow is no success, either.
	yaml=$(dirname "$yaml")
	openssl req -x509 -new -key "$yaml/server.key" -subj /CN=cs1 -days 3 \
		-out "$yaml/server.pem" 2>/dev/null
	fails_with 69 site
	says out "FAILED self-test: ps-health finds nothing critical: ps-health: the certificate expires"
	unifiedsetup --uninstall --purge --root branch >out
	fails_with 69 cxpsclient -i 127.0.0.1 -l "$data" -P pass -y 5
	[ ! -e branch/data ]
}

@test "a site: installed, used, upgraded, with another proxy and passphrase, rolled back, uninstalled" {
	local cs data own
	cs=$(free_port)
	own=$(free_port)
	site
	wait_for runs site config
	yaml=$(find site -name ps.yaml)
	cp -p "$(find site -name connection.passphrase)" pass
	# Both servers store in one vault: by one key.
	cp -p "$(dirname "$yaml")/vault.key" vault.key
	printf 'key-file: %s\n' "$T/vault.key" >>vaultcreds
	data=$(free_port)
	branch
	ETC=$T/$(dirname "$(find branch -name ps.yaml)")
	says out "done   registration"
	for service in receive pipeline heartbeat health; do
		wait_for runs branch "$service"
	done
	wait_for server '.contact != null'
	# Given again, nothing is said to be done that is not.
	site
	[ "$(grep -c '^done' out)" -eq 0 ] || { cat out; false; }
	# Another port: what runs takes it.
	data=$(free_port)
	branch
	says out "done   services"
	selftest
	random_file disk 1048576
	n=0 replicate
	wait_for stored

	# A newer version: the configuration server first.
	other_version next 0.2.0
	echo '# a remark of mine' >>"$ETC/ps.yaml"
	cp "$ETC/ps.yaml" before.yaml
	PATH=$T/next:$PATH
	fails_with 78 unifiedsetup --upgrade --root branch
	says err "upgrade the configuration server first"
	later site --upgrade
	says out "done   registry: tables of 0.2.0"
	server '.version == "0.1.0"'
	later branch --upgrade
	server '.version == "0.2.0"'
	diff before.yaml "$ETC/ps.yaml"
	later branch --upgrade
	says out "nothing has to be done"
	wait_for runs branch receive
	replicate
	wait_for stored

	# Later: no proxy, another passphrase.
	later branch --set-proxy none
	PATH=$T/next:$PATH ps-config passphrase rotate --config "$yaml" >pass2
	chmod 600 pass2
	echo abcdefgh12345678 >wrong
	fails_with 77 unifiedsetup --root branch --reregister \
		/PassphraseFilePath wrong
	later branch --reregister /PassphraseFilePath pass2
	says out "done   registration"
	cmp pass2 "$ETC/connection.passphrase"
	cp -p pass2 pass
	wait_for selftest
	later branch --reregister
	says out "same   registration"
	says out "same   receive,heartbeat"

	# And back, in the opposite order.
	PATH=${PATH//"$T/next:"/}
	fails_with 78 unifiedsetup --upgrade --root branch
	says err "that would be a downgrade"
	later branch --rollback
	server '.version == "0.1.0"'
	later site --rollback
	wait_for runs site config
	wait_for runs branch receive
	replicate

	# Uninstalled: what the cache has goes to the vault first.
	later branch --uninstall --purge
	says out "forgets the server 'ps1'"
	stored
	! server true
	[ ! -e branch/data ]
	fails_with 69 cxpsclient -i 127.0.0.1 -l "$data" -P pass -y 5
	later site --uninstall
	[ "$(find site -name '*.yaml')" = "" ]
}
