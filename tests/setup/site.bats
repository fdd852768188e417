#!/usr/bin/env bats
# unifiedsetup: a whole site below two folders, by the programs that register
# servers and run services.
load ../lib/common
load setup

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

# The process server of the site is heard of; and with PS_LONG=1 what it stores,
# which it tells within a minute or two.
own_is_well() {
	ps-config status --json --config "$yaml" >status || [ $? -eq 1 ]
	jq -e '.servers | map(select(.name == "cs1")) | length == 1 and
		all(.[]; .state == "ok" and .silent_s < 60)' status
	# Of its size it may take less than one that is no more than that.
	ps-balance inventory --config "$yaml" 2>/dev/null | jq -e '.servers |
		map(select(."config-server")) | map(.name) == ["cs1"]'
	[ -n "${PS_LONG:-}" ] || return 0
	ps-config policy add gold --config "$yaml"
	ps-config machine add web09 --policy gold --server cs1 --vault "$T/vault" \
		--config "$yaml"
	ps-config machine disk web09 root --size 1M --config "$yaml"
	ps-config machine enable web09 --config "$yaml"
	random_file disk 1048576
	ps-scan --machine web09 --disk root --map map disk |
		ps-cache put -C site/data/cache >/dev/null
	wait_for protected
}

protected() {
	timeout 20 ps-config refresh --config "$yaml"
	ps-config status --json --config "$yaml" >status || [ $? -eq 1 ]
	jq -e '.machines | length == 1 and all(.[]; .level == "ok")' status
}

@test "configuration server, process server, heartbeat, kit, another port, and away again" {
	local cs data own
	cs=$(free_port)
	own=$(free_port)
	site
	says out "passed the vault and this server have one key"
	says out "passed heartbeat: the configuration server has answered"
	yaml=$(find site -name ps.yaml)
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
	site
	[ "$(grep -c '^done' out)" -eq 0 ] || { cat out; false; }
	says out "same   registration"
	branch --json
	jq -e '(.steps | map(select(.result == "done")) | length) == 0 and
		(.steps | map(select(.result == "passed")) | length) == 4 and
		(.steps | map(select(.result == "note")) | length) == 1 and
		(.next | length) > 5' out || { cat out; false; }
	for service in receive pipeline heartbeat health; do
		wait_for runs branch "$service"
	done
	heard() {
		ps-config server list --config "$yaml" --json |
			jq -e 'any(.[]; .name == "ps1" and .contact != null)'
	}
	wait_for heard
	own_is_well
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
	openssl req -new -key "$(find site -path '*identity/server.key')" \
		-subj /CN=cs1 -out csr
	ps-config cert issue cs1 --csr csr --valid 3d -o short --config "$yaml"
	fails_with 69 site
	says out "FAILED self-test: ps-health finds nothing critical: ps-health: the certificate expires"
	unifiedsetup --uninstall --purge --root branch >out
	says out "services end"
	fails_with 69 cxpsclient -i 127.0.0.1 -l "$data" -P pass -y 5
	[ ! -e branch/data ]
}
