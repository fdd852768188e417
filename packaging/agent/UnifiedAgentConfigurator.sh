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
		[ -n "${2-}" ] || code=64 die "$1 needs a value"
		case $1 in
		-i) once "the address" "$1" && address=$2 ;;
		-P) once "the passphrase" "$1" && passphrase=$2 ;;
		-p) once "the port" "$1" && port=$2 ;;
		-n) once "the name" "$1" && name=$2 ;;
		--root) ROOT=$(absolute "$2") ;;
		esac
		shift 2
	done
	[ -n "$address" ] || code=64 die "-i is missing: the address of the configuration server"
	[ -n "$passphrase" ] || code=64 die "-P is missing: the file with its passphrase"
	check_server "$address" "$port"
	check_passphrase_file "$passphrase"
	[ "$(id -u)" -eq 0 ] || [ -n "$ROOT" ] || code=77 die "only root can do this"
	[ -n "$(setting dir)" ] || code=66 die "the agent is not installed: run 'install' first"
	if [ -z "$name" ]; then
		name=$(uname -n | sed 's/\..*//; s/[^A-Za-z0-9]/-/g; s/^-*//; s/-*$//')
	fi
	[[ $name =~ ^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$ ]] ||
		code=64 die "'$name' is no name for a machine: give one with -n"
}

# The passphrase comes by "echo ... >passphrase.txt", which others may read, or
# on standard input ("-"). It goes on through pipes: no file here has it, and
# what stays is the key of this machine alone.
read_passphrase() {
	local more=''
	if [ "$passphrase" = - ]; then
		IFS= read -r -n 1024 secret || true
	else
		# No more than that of what never ends.
		more=$(head -c 4096 "$passphrase" | tr '\000' '\001')
		secret=${more%%$'\n'*}
		more=${more#"$secret"}
	fi
	exec </dev/null
	secret=${secret%$'\r'}
	[ -n "$secret" ] || code=65 die "-P: no passphrase is there"
	[ -z "${more//[[:space:]]/}" ] ||
		code=65 die "-P: that is more than one line, and a passphrase is one"
	case $secret in
	*[[:cntrl:]]* | $'\xef\xbb\xbf'* | $'\xff\xfe'*)
		code=65 die "-P: that is no plain text (saved as Unicode?)"
		;;
	esac
}

derive_key() {
	printf '%s\n' "$secret" |
		"$here/bin/cxpsclient" -q --derive-key "$name" -P /dev/stdin \
			-o "$work/machine.key" ||
		code=65 die "-P: no key comes of this passphrase"
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
	if [ -z "$ROOT" ]; then
		id -u ps-toolkit >/dev/null 2>&1 ||
			must 73 useradd --system -d /var/lib/ps-toolkit -s /usr/sbin/nologin ps-toolkit
		must 73 chown -R ps-toolkit: "$identity"
	fi
	say "Registered as master target $name."
}

# For the heartbeat and cdpcli, unless somebody has written one.
write_target_config() {
	local conf=$ROOT/etc/ps-toolkit/ps.yaml
	[ ! -e "$conf" ] || return 0
	{
		echo "# Master target $name; ps.yaml(5) has every key."
		echo "config:"
		echo "  server: \"$address\""
		echo "  port: $port"
		[ -z "$ROOT" ] || echo "  identity: \"$ROOT/var/lib/ps-toolkit/identity\""
		echo "health:"
		echo "  role: master-target"
		echo "service:"
		echo "  names: heartbeat"
	} >"$work/ps.yaml" || code=75 die "$work/ps.yaml: cannot be written"
	chmod 644 "$work/ps.yaml"
	must 74 sync "$work/ps.yaml"
	must 73 mv "$work/ps.yaml" "$conf"
}

# Everything but the disks; who has written them keeps them, and comments.
write_config() {
	local conf=$ROOT/etc/ps-toolkit/agent.yaml
	{
		echo "machine: $name"
		echo "server:"
		echo "  key: $ROOT/etc/ps-toolkit/machine.key"
		echo "config-server:"
		echo "  address: \"$address\""
		echo "  port: $port"
		if [ -e "$conf" ]; then
			# All other keys of the first level, with what is below.
			awk '/^(---|%)/ { next }
				/^[^ \t-]/ { mine = /^(machine|server|config-server) *:/ }
				!mine' "$conf"
		else
			[ -z "$ROOT" ] || echo "state: $ROOT/var/lib/ps-agent"
			echo "# Which disks are protected, and how they are held still: ps-agent(8)."
			echo "# disks:"
			echo "#   - {name: root, source: /dev/vg0/root, provider: lvm}"
		fi
	} >"$work/agent.yaml" || code=75 die "$work/agent.yaml: cannot be written"
	chmod 644 "$work/agent.yaml"
	must 74 sync "$work/agent.yaml" "$work/machine.key"
	must 73 mv "$work/machine.key" "$ROOT/etc/ps-toolkit/machine.key"
	must 73 mv "$work/agent.yaml" "$conf"
}

start_agent() {
	local boot=''
	if systemd_here; then boot=' --boot'; fi
	if ! PS_AGENT_CONFIG=$ROOT/etc/ps-toolkit/agent.yaml "$here/bin/ps-agent" check >/dev/null 2>"$work/err"; then
		say "Next: name the disks in /etc/ps-toolkit/agent.yaml, then 'ps-service start$boot agent'."
		log_line "$(head -n 1 "$work/err")"
		return
	fi
	run agent
	say "The agent runs."
}

parse "$@"
open_log /var/log/ua_install.log
lock
rm -rf "$ROOT/etc/ps-toolkit"/.configure.*
work=$(mktemp -d "$ROOT/etc/ps-toolkit/.configure.XXXXXX") ||
	code=75 die "/etc/ps-toolkit: cannot be written"
trap 'rm -rf "$work"' EXIT
trap 'exit 75' HUP INT TERM
say "Configuration server $address port $port, machine $name"
# Whom the installer asks before an upgrade.
known_as() { keep_settings "cs=$address" "cs-port=$port" "machine=$name"; }
read_passphrase
if [ "$(setting role)" = MT ]; then
	register_target
	write_target_config
	known_as
	run heartbeat
	say "It tells the configuration server each minute how it is. Again: cdpcli --registermt"
else
	derive_key
	ask
	write_config
	known_as
	if [ -n "$known" ]; then
		say "The configuration server knows this machine."
	else
		say "The configuration server does not know this machine yet; there: ps-config machine add $name"
	fi
	start_agent
fi
