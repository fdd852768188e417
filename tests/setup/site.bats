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

branch() { # a process server of the site; its ports are $cs and $data
	unifiedsetup --root branch --skip-space-check /ServerMode PS \
		/InstallLocation /data /EnvType NonVMWare /CSIP 127.0.0.1 \
		--cs-port "$cs" /DataTransferSecurePort "$data" --name ps1 \
		/VaultCredsFilePath vaultcreds /PassphraseFilePath pass >out ||
		{ cat out; false; }
}

@test "configuration server, process server, heartbeat, another port, and away again" {
	local cs data
	cs=$(free_port)
	data=$(free_port)
	unifiedsetup --root site --skip-space-check /ServerMode CS \
		/InstallLocation /data /EnvType NonVMWare /PSIP 127.0.0.1 \
		--cs-port "$cs" /DataTransferSecurePort "$data" \
		/VaultCredsFilePath vaultcreds --name cs1 >out ||
		{ cat out; false; }
	wait_for runs site config
	cp -p "$(find site -name connection.passphrase)" pass
	data=$(free_port)
	branch
	says out "done   registration"
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
	unifiedsetup --uninstall --purge --root branch >out
	says out "services end"
	fails_with 69 cxpsclient -i 127.0.0.1 -l "$data" -P pass -y 5
	[ ! -e branch/data ]
}
