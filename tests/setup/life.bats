#!/usr/bin/env bats
# unifiedsetup: the life of a site below two folders, by the programs that
# register servers and run services, from the first day to the last trace.
load ../lib/common
load setup
load versions
load ../lib/style
load ../push/machines

prepare() {
	command -v jq >/dev/null || skip "jq is not installed"
	command -v ps-service >/dev/null || skip "no ps-service"
	ps-config --dump-options | grep -q '^cmd.serve' ||
		skip "ps-config does not serve"
	need patchelf
	need ssh-keygen
	files
	ps-vault init vault >/dev/null
}

cleanup() {
	local root
	for root in site branch source; do
		[ ! -e "$T/$root" ] || ps-service stop --root "$T/$root" || true
	done
}

runs() { # runs ROOT SERVICE: as ps-service says
	ps-service status --root "$T/$1" --json | jq -e --arg s "$2" \
		'.[] | select(.name == $s) | .state | . == "running" or . == "idle"'
}

site() { # the configuration server; its ports are $cs and $port
	unifiedsetup --root site --skip-space-check /ServerMode CS \
		/InstallLocation /data /EnvType NonVMWare /PSIP 127.0.0.1 \
		--cs-port "$cs" /DataTransferSecurePort "$port" \
		/VaultCredsFilePath vaultcreds --name cs1 >out ||
		{ cat out; false; }
}

branch() { # a process server of the site; its ports are $cs and $data
	unifiedsetup --root branch --skip-space-check /ServerMode PS \
		/InstallLocation /data /EnvType NonVMWare /CSIP 127.0.0.1 \
		--cs-port "$cs" /DataTransferSecurePort "$data" --name ps1 \
		/VaultCredsFilePath vaultcreds /PassphraseFilePath pass >out ||
		{ cat out; false; }
}

later() { # later ROOT OPTION...: what is done to an installation
	local root=$1
	shift
	unifiedsetup --root "$root" "$@" >out 2>later.err ||
		{ cat out later.err; false; }
}

server() { # server FILTER [NAME]: what the site has of ps1
	ps-config server list --config "$yaml" --json |
		jq -e "any(.[]; .name == \"${2:-ps1}\" and ($1))"
}

# A configuration server as it was before its process server sent heartbeats:
# what is installed where nobody starts services.
former_site() {
	(without_services && site)
	ps-service start --root site -q
	own=$(dirname "$(find site -name server.pem)")
}

# The key that the process server of the site shows.
shown() {
	openssl s_client -connect "127.0.0.1:$1" </dev/null 2>/dev/null |
		openssl x509 -noout -pubkey
}

selftest() {
	cxpsclient -i 127.0.0.1 -l "$data" -P pass -y 20 >selftest ||
		{ cat selftest; false; }
}

# The agent on a machine of its own (below `source`), as its tarball has it.
install_agent() {
	ssh-keygen -q -t ed25519 -N '' -f sign
	agent_tarball . sign ps-scan ps-compress ps-encrypt
	tar -xzf ps-toolkit-agent-*.tar.gz
	# This build is not configured as one for packages is.
	mkdir -p source/etc source/usr/local
	ln -s ../../etc source/usr/local/etc
	mv ps-toolkit-agent-*/ unpacked
	unpacked/install --root source -r MS -v Physical -d /opt/asr -q
	ps-config policy add daily --config "$yaml" >/dev/null
	ps-config machine add web01 --policy daily --server ps1 --vault "$T/vault" \
		--config "$yaml" >/dev/null
	know
	printf 'disks:\n  - {name: root, source: %s}\n' "$T/disk" \
		>>source/etc/ps-toolkit/agent.yaml
}

# The tarball of version 0.2.0: what asks and what runs says so.
newer_agent() {
	local tool
	cp -a unpacked newer
	echo 0.2.0 >newer/VERSION
	for tool in ps-config ps-agent; do
		LC_ALL=C sed -i 's/0\.1\.0/0.2.0/g' "newer/tree/bin/$tool"
	done
	(cd newer && find . -type f ! -name 'SHA256SUMS*' -exec sha256sum {} + >SHA256SUMS)
}

# The machine is made known, by the passphrase in ./pass; an agent that has
# disks begins with that. Here it is told when to pass.
know() {
	source/opt/asr/Vx/bin/UnifiedAgentConfigurator.sh --root source \
		-i 127.0.0.1 -p "$cs" -P pass -n web01 -q
	ps-service stop --root source -q agent
}

# replicate: the disk changes, goes to the branch, and has to come back.
replicate() {
	n=$((${n:-0} + 1))
	random_file change 65536 "$n"
	dd if=change of=disk bs=65536 seek="$n" conv=notrunc status=none
	PATH=$T/source/opt/asr/bin:$PATH ps-agent once \
		-c source/etc/ps-toolkit/agent.yaml 2>agent.err ||
		{ cat agent.err; false; }
}

stored() {
	rm -f back
	ps-restore vault --machine web01 --disk root -q \
		-k "$ETC/vault.key" -o back >/dev/null 2>&1 && cmp disk back
}

@test "a site and an agent: installed twice, used, upgraded, with another proxy and passphrase, rolled back, uninstalled" {
	local cs data port own
	cs=$(free_port)
	port=$(free_port)
	former_site
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
	server '.contact == null' cs1
	shown "$port" >key
	selftest
	random_file disk 1048576
	install_agent
	n=0
	replicate
	wait_for stored

	# A newer version: the configuration server first.
	other_version next 0.2.0
	echo '# a remark of mine' >>"$ETC/ps.yaml"
	cp "$ETC/ps.yaml" before.yaml
	PATH=$T/next:$PATH
	fails_with 78 unifiedsetup --upgrade --root branch
	says err "upgrade the configuration server first"
	# An agent is the last: it is not made known by a newer version, either.
	fails_with 78 ps-config fetch web01 --cs 127.0.0.1 --cs-port "$cs" \
		-P source/etc/ps-toolkit/machine.key
	says err "upgrade the configuration server first"
	later site --upgrade
	says out "done   registry: tables of 0.2.0"
	# From now on its own process server sends heartbeats, with the key that
	# it had; it is none that would be left behind.
	says out "done   heartbeat: the configuration server answers"
	server '.version == "0.2.0" and .contact != null' cs1
	shown "$port" | cmp key
	says "$yaml" 'server: "127.0.0.1"'
	openssl x509 -in "$own/server.pem" -noout
	server '.version == "0.1.0"'
	# Nor by the process server that it has.
	fails_with 78 ps-config fetch web01 --cs 127.0.0.1 --cs-port "$cs" \
		-P source/etc/ps-toolkit/machine.key
	says err "upgrade the process server first"
	newer_agent
	fails_with 78 newer/install --root source -q
	says err "not upgraded: "
	says err "its process server ps1 has 0.1.0"
	source/opt/asr/bin/ps-agent --version | grep -F 0.1.0
	later branch --upgrade
	server '.version == "0.2.0"'
	diff before.yaml "$ETC/ps.yaml"
	newer/install --root source -q
	source/opt/asr/bin/ps-config --version | grep -F 0.2.0
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
	know
	replicate
	wait_for stored
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
	lacks "$yaml" heartbeat
	shown "$port" | cmp key
	wait_for runs site config
	wait_for runs branch receive

	# Uninstalled: what the cache has goes to the vault first.
	ps-service stop --root branch -q pipeline
	replicate
	fails_with 1 stored
	fails_with 1 unifiedsetup --uninstall --purge --root branch
	says err "1 machines use this server"
	source/opt/asr/uninstall --root source -q --purge
	ps-config machine edit web01 --server - --config "$yaml"
	later branch --uninstall --purge
	says out "done   the cache drains: 1 segments of 1 disks"
	says out "forgets the server 'ps1'"
	stored
	fails_with 1 server true
	[ ! -e branch/data ]
	fails_with 69 cxpsclient -i 127.0.0.1 -l "$data" -P pass -y 5
	later site --uninstall
	[ "$(find site -name '*.yaml')" = "" ]
}
