#!/usr/bin/env bats
# ps-doctor where systemd is in charge, with what systemctl and journalctl have
# printed on a Debian 12 (tests/package/real asks the real ones), and addresses
# of a network of its own.
load ../lib/common
load ../lib/chain

prepare() {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	command -v jq >/dev/null || skip "jq is not installed"
	unshare -mn true 2>/dev/null || skip "no namespaces here"
	mkdir bin run
	: >timers
	cat >bin/systemctl <<-'END'
		#!/bin/sh
		case $* in
		*Id,ActiveState*) cat timers ;;
		*Environment*) cat environment ;;
		*ps-receive*) cat receive ;;
		*show*) printf 'LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n' ;;
		esac
	END
	cat >bin/journalctl <<-'END'
		#!/bin/sh
		case $* in *_SYSTEMD_UNIT=ps-receive.service) cat words ;; esac
	END
	chmod +x bin/*
	: >words
	: >environment
	printf 'LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n' >receive
	mkdir cache
	printf 'cache: %s\nreceive: {listen: "9443"}\n' "$T/cache" >ps.yaml
}

cleanup() { [ -z "${open-}" ] || rm -rf "$open"; }

# booted COMMAND: in namespaces of its own, where systemd is, before ps-doctor
booted() {
	cat >inside <<-END
		mount -t tmpfs none /run
		mkdir -p /run/systemd/system
		ip link set lo up
		$1
	END
	cat >>inside <<-'END'
		shift
		PATH=$PWD/bin:$PATH exec ps-doctor --config ps.yaml --json --all "$@"
	END
	timeout 60 unshare -mn bash inside "$@" >out 2>err || [ $? -eq 1 ] || {
		cat err
		return 1
	}
}

of() { jq -r ".steps[0]$1" out; }

@test "a unit that failed: its last words; what does not start at boot" {
	printf '%s\n' Result=exit-code ExecMainStatus=77 LoadState=loaded \
		ActiveState=failed UnitFileState=enabled >receive
	echo 'ps-receive: server.key: others can read it' >words
	booted : services
	of '.evidence[]' | grep -qx 'systemd: ps-receive.service is failed (exit-code, status 77)'
	of '.evidence[]' | grep -qx 'its last words: ps-receive: server.key: others can read it'
	of .next | grep -q 'journalctl -u ps-receive'
	printf '%s\n' Result=success ExecMainStatus=0 LoadState=loaded \
		ActiveState=active UnitFileState=enabled-runtime >receive
	printf '%s\n' Id=ps-health.timer ActiveState=active UnitFileState=disabled '' \
		Id=ps-verify.timer ActiveState=active UnitFileState=enabled '' \
		Id=ps-renew.timer ActiveState=inactive UnitFileState=disabled >timers
	booted : services
	of '.evidence[]' | grep -qx 'systemd: ps-receive.service does not start at boot (enabled-runtime)'
	of '.evidence[]' | grep -qx 'systemd: ps-health.timer does not start at boot (disabled)'
	[ "$(of '.evidence[]' | grep -c 'timer does not')" -eq 1 ]
}

# As ps-config, whose database does not answer: its process is there.
@test "a service that runs and is not ready is a fault, and no reason to start it again" {
	printf '%s\n' Result=success ExecMainStatus=0 LoadState=loaded \
		ActiveState=activating UnitFileState=enabled >receive
	command -v socat >/dev/null || skip "socat is not installed"
	ps-cache init -C cache >/dev/null
	booted 'socat TCP-LISTEN:9443,fork /dev/null >/dev/null 2>&1 3>&- &
		ps-cache follow -C cache >/dev/null 2>&1 3>&- & jobs -p >pids
		until ss -Hltn | grep -q 9443 && [ -e cache/followers/default ]; do
			sleep 0.05
		done' services
	xargs kill <pids
	[ "$(of .result)" = failed ]
	of '.evidence[]' | grep -qx 'ps-receive runs'
	of '.evidence[]' | grep -qx 'systemd: ps-receive.service is activating (success, status 0)'
	of .next | grep -q 'journalctl -u ps-receive$'
}

@test "a proxy that only the service has" {
	printf 'vault: azblob://acc/vault\nstore: {endpoint: "http://127.0.0.1:9/acc", retry-for: 1}\n' \
		>>ps.yaml
	printf '%s\n' MainPID=0 LoadState=loaded \
		'Environment=A=b AZURE_STORAGE_KEY=Z2VoZWlt "http_proxy=http://u:geheim@127.0.0.1:1"' \
		>environment
	http_proxy=http://elsewhere.invalid:1 booted : store proxy
	[ "$(jq -r .cause out)" = proxy ]
	jq -r '.steps[1].evidence[]' out |
		grep -qx 'environment of ps-pipeline, http_proxy: 127.0.0.1:1'
	run ! grep -q 'geheim\|Z2VoZWlt\|elsewhere' out
}

@test "a store is tried as who the services are" {
	getent passwd nobody >/dev/null || skip "no user nobody"
	# Where others get to, too.
	open=$(mktemp -d /tmp/ps-store.XXXXXX)
	chmod 755 "$open"
	mkdir "$open/cache"
	chown nobody "$open/cache"
	ps-vault init "$open/vault"
	chmod 700 "$open/vault"
	printf 'cache: %s/cache\nvault: %s/vault\n' "$open" "$open" >ps.yaml
	booted : store
	[ "$(of .result)" = failed ]
	of .next | grep -qx "it has to belong to the user of the services: chown -R nobody: $open/vault"
	chown -R nobody "$open/vault"
	booted : store
	[ "$(of .result)" = passed ]
}

@test "the address that sources use is leased, whatever others there are" {
	lease='ip link add host0 type veth peer name host1
		ip link set host0 up; ip link set host1 up
		ip address add 192.0.2.5/24 dev host0 valid_lft 600 preferred_lft 600
		ip address add 198.51.100.1/24 dev host1
		ip route add default via 192.0.2.1'
	unshare -n ip link add x0 type veth peer name x1 2>/dev/null || skip "no veth"
	booted "$lease" address
	[ "$(of .what)" = 'the address is leased, not static' ]
	# The other one is what ps-receive is told to listen on.
	sed -i 's/"9443"/"198.51.100.1:9443"/' ps.yaml
	booted "$lease" address
	[ "$(of .result)" = passed ]
	sed -i 's/198.51.100.1:/203.0.113.9:/' ps.yaml
	booted "$lease" address
	[ "$(of .what)" = 'ps-receive is to listen where no source reaches it' ]
}

@test "/etc/hosts: the loopback address for the own name" {
	hosts='ip address add 192.0.2.5/24 dev lo
		echo "127.0.1.1 $(hostname) ps1" >hosts; mount --bind hosts /etc/hosts'
	booted "$hosts" address
	[ "$(of .result)" != failed ]
	of '.evidence[]' | grep -q "the address 127.0.1.1: only programs here see that"
	sed -i 's/"9443"/"ps1:9443"/' ps.yaml
	booted "$hosts" address
	[ "$(of .result)" = failed ]
	of '.evidence[]' | grep -qx 'receive.listen is ps1, which /etc/hosts gives 127.0.1.1'
}
