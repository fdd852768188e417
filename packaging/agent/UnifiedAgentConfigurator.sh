#!/bin/bash
# Makes the agent of this machine known to a configuration server;
# ps-agent-install(8).
# usage: UnifiedAgentConfigurator.sh -i ADDRESS -P FILE|- [-p PORT] [-n NAME] [-q]
set -euo pipefail
export LC_ALL=C
umask 077
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$here/common.bash"

address='' port=443 passphrase='' secret='' name=''
parse() {
	while [ $# -gt 0 ]; do
		case $1 in
		-q | --quiet)
			be_quiet
			shift
			continue
			;;
		-h | --help)
			sed -n '4s/^# //p' "$here/Vx/bin/UnifiedAgentConfigurator.sh"
			exit 0
			;;
		-[iPpn] | --root) ;;
		*) code=64 die "'$1': no such option; -i ADDRESS -P FILE|- [-p PORT] [-n NAME] [-q]" ;;
		esac
		[ $# -ge 2 ] || code=64 die "$1 needs a value"
		case $1 in
		-i) address=$2 ;;
		-P) passphrase=$2 ;;
		-p) port=$2 ;;
		-n) name=$2 ;;
		--root) ROOT=$(realpath -m "$2") ;;
		esac
		shift 2
	done
	[ -n "$address" ] || code=64 die "-i is missing: the address of the configuration server"
	[ -n "$passphrase" ] || code=64 die "-P is missing: the file with its passphrase"
	[[ $address =~ ^[A-Za-z0-9.:-]+$ ]] || code=64 die "-i $address: no address"
	if ! [[ $port =~ ^[1-9][0-9]{0,4}$ ]] || [ "$port" -gt 65535 ]; then
		code=64 die "-p $port: no port"
	fi
	if [ "$passphrase" != - ]; then
		[ -f "$passphrase" ] || code=66 die "$passphrase: no such file"
		[ -s "$passphrase" ] || code=65 die "$passphrase: is empty"
	fi
	[ "$(id -u)" -eq 0 ] || [ -n "$ROOT" ] || code=77 die "only root can do this"
	[ -n "$(setting dir)" ] || code=66 die "the agent is not installed: run 'install' first"
	if [ -z "$name" ]; then
		name=$(hostname -s | tr -c 'A-Za-z0-9\n-' - | sed 's/^-*//; s/-*$//')
	fi
	[[ $name =~ ^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$ ]] ||
		code=64 die "'$name' is no name for a machine: give one with -n"
}

# The passphrase comes by "echo ... >passphrase.txt", which others may read, or
# on standard input ("-"). It goes on through pipes: no file here has it, and
# what stays is the key of this machine alone.
read_passphrase() {
	local line=''
	if [ "$passphrase" = - ]; then
		IFS= read -r line || true
	else
		IFS= read -r line <"$passphrase" || true
	fi
	secret=${line%$'\r'}
	[ -n "$secret" ] || code=65 die "$passphrase: no passphrase"
}

derive_key() {
	printf '%s\n' "$secret" |
		"$here/bin/cxpsclient" -q --derive-key "$name" -P /dev/stdin \
			-o "$work/machine.key" ||
		code=65 die "$passphrase: no passphrase"
}

# Asks the configuration server, as the machine itself.
ask() {
	local rc=0
	"$here/bin/ps-config" fetch "$name" --cs "$address" --cs-port "$port" \
		-P "$work/machine.key" >"$work/answer" 2>"$work/err" || rc=$?
	case $rc in
	0) known=yes ;;
	1) known= ;;
	77) code=77 die "the configuration server refuses the passphrase: $(head -n 1 "$work/err")" ;;
	69 | 75 | 76) code=69 die "$address port $port: $(head -n 1 "$work/err")" ;;
	*) code=$rc die "$(head -n 1 "$work/err")" ;;
	esac
}

register_target() {
	local rc=0 identity=${PS_IDENTITY:-$ROOT/var/lib/ps-toolkit/identity}
	(umask 022 && mkdir -p "${identity%/*}")
	printf '%s\n' "$secret" |
		"$here/bin/ps-config" register --role mt --name "$name" --cs "$address" \
			--cs-port "$port" --identity "$identity" -P /dev/stdin \
			>"$work/answer" 2>"$work/err" || rc=$?
	[ "$rc" -eq 0 ] || code=$rc die "registering failed: $(head -n 1 "$work/err")"
	say "Registered as master target $name."
}

# Everything but the disks; who has written them keeps them.
write_config() {
	local conf=$ROOT/etc/ps-toolkit/agent.yaml
	mv "$work/machine.key" "$ROOT/etc/ps-toolkit/machine.key"
	{
		echo "machine: $name"
		echo "server:"
		echo "  key: $ROOT/etc/ps-toolkit/machine.key"
		echo "config-server:"
		echo "  address: \"$address\""
		echo "  port: $port"
		if [ -e "$conf" ]; then
			# All other keys of the first level, with what is below.
			awk '/^[^ #-]/ { mine = /^(machine|server|config-server):/ }
				!mine' "$conf"
		else
			[ -z "$ROOT" ] || echo "state: $ROOT/var/lib/ps-agent"
			echo "# Which disks are protected, and how they are held still: ps-agent(8)."
			echo "# disks:"
			echo "#   - {name: root, source: /dev/vg0/root, provider: lvm}"
		fi
	} >"$work/agent.yaml"
	sync "$work/agent.yaml"
	mv "$work/agent.yaml" "$conf"
	chmod 644 "$conf"
}

start_agent() {
	if ! PS_AGENT_CONFIG=$ROOT/etc/ps-toolkit/agent.yaml "$here/bin/ps-agent" check >/dev/null 2>"$work/err"; then
		say "Next: name the disks in /etc/ps-toolkit/agent.yaml, then 'ps-service start agent'."
		log_line "$(head -n 1 "$work/err")"
		return
	fi
	if systemd_here; then systemctl -q enable ps-agent.service; fi
	agent restart
	say "The agent runs."
}

parse "$@"
open_log /var/log/ua_install.log
work=$(mktemp -d "$ROOT/etc/ps-toolkit/.configure.XXXXXX")
trap 'rm -rf "$work"' EXIT
say "Configuration server $address port $port, machine $name"
read_passphrase
if [ "$(setting role)" = MT ]; then
	register_target
else
	derive_key
	ask
	write_config
	if [ -n "$known" ]; then
		say "The configuration server knows this machine."
	else
		say "The configuration server does not know this machine yet; there: ps-config machine add $name"
	fi
	start_agent
fi
