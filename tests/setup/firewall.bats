#!/usr/bin/env bats
# unifiedsetup: what has to pass firewalls, told and done.
load ../lib/common
load setup

prepare() {
	files
	cat >vaultcreds <<-END
		vault: azblob://account/container
		expires: never
		credentials:
		  AZURE_CLIENT_SECRET: c2VjcmV0LW9mLWNsaWVudA
	END
}

show() {
	ps_flags --show-firewall --name ps1 /PSIP 192.0.2.10 \
		/VaultCredsFilePath vaultcreds "$@"
}

@test "--show-firewall: ports, URLs and the proxy, for people and in JSON" {
	show /ProxySettingsFilePath proxy >out
	says out "Inbound to 192.0.2.10:"
	says out "TCP 9443   from the machines that are protected"
	says out "TCP 443    to https://127.0.0.1:443/"
	says out "to https://account.blob.core.windows.net/"
	says out "to https://login.microsoftonline.com/"
	says out "by the proxy http://192.0.2.7:3128"
	lacks "out" s3cret-pw c2VjcmV0
	show --json /DataTransferSecurePort 9444 >out
	[ "$(jq -c '[.inbound[].port], [.outbound[].port], .proxy' out |
		xargs)" = '[9444] [443,443,443,123] null' ]
	jq -e '.outbound[-1] | .protocol == "udp" and .port == 123' out
	unifiedsetup --show-firewall --json --name cs /ServerMode CS \
		/InstallLocation /srv /EnvType VMWare /PSIP 192.0.2.1 \
		/VaultCredsFilePath vaultcreds >out
	[ "$(jq -c '[.inbound[].port]' out)" = '[9443,443]' ]
}

# A network of its own in which nft works.
net() {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	PATH=$PATH:/usr/sbin:/sbin
	command -v nft >/dev/null || skip "nft is not installed"
	unshare -n nft list ruleset >/dev/null 2>&1 || skip "nft does not work here"
}

@test "--open-firewall: a rule at the head of each chain that drops, once" {
	net
	cat >rules <<-'END'
		table inet f { chain in { type filter hook input priority 0;
		policy drop; iif lo accept; tcp dport 22 accept; }; }
		table ip filter { chain in { type filter hook input priority 5;
		tcp dport 9000-9500 drop; };
		chain other { type filter hook forward priority 0; policy drop; }; }
	END
	cat >inside <<-'END'
		nft -f rules
		"$@" --dry-run >dry
		nft list ruleset >same
		"$@" >told
		nft list ruleset >after
		"$@" >again 2>&1
		nft list ruleset >after2
	END
	unshare -n sh -e inside unifiedsetup --open-firewall \
		/ServerMode PS /InstallLocation /srv /EnvType VMWare \
		/CSIP 127.0.0.1 /PassphraseFilePath pass
	cat told
	diff dry told
	[ "$(wc -l <told)" -eq 2 ]
	says told 'nft insert rule inet f in tcp dport 9443 accept'
	says told 'nft insert rule ip filter in tcp dport 9443 accept'
	[ "$(grep -c 'dport 9443 accept' same)" -eq 0 ]
	[ "$(grep -c 'dport 9443 accept comment "ps-toolkit"' after)" -eq 2 ]
	diff after after2
	says again "nothing here drops the ports"
}

@test "--open-firewall: by firewalld, where it runs" {
	mkdir bin
	cat >bin/firewall-cmd <<-'END'
		#!/bin/sh
		case $* in
		--state) echo running ;;
		--get-zone-of-interface=*) cat zone 2>/dev/null || exit 2 ;;
		--query-port=*) grep -qx -e "--add-port=${*#--query-port=}" log ;;
		*) echo "$*" >>log ;;
		esac
	END
	chmod +x bin/firewall-cmd
	: >log
	open() { PATH=$T/bin:$PATH ps_flags --open-firewall "$@"; }
	open --dry-run >out
	[ ! -s log ]
	open >out
	printf -- '--add-port=9443/tcp\n--permanent --add-port=9443/tcp\n' |
		diff - log
	open >out 2>err
	[ "$(wc -l <log)" -eq 2 ]
	# The default zone is not that of the interface.
	echo internal >zone
	open >out
	printf -- '%s--add-port=9443/tcp --zone=internal\n' '' '--permanent ' |
		diff - <(tail -n +3 log)
}
