# What all snapshot providers share; see ps-provider(7). A provider sources
# this file, says which options it knows, defines the functions do_traits,
# do_create, do_delete, do_list (do_changes, do_check) and calls `provider`.
# shellcheck shell=bash

set -euo pipefail
export LC_ALL=C
umask 077
NAME=${0##*/}

say() { printf '%s: %s\n' "$NAME" "$*" >&2; }

die() { # CODE MESSAGE
	local code=$1
	shift
	say "$*"
	exit "$code"
}

# One line of `traits`: a key, a tab, a value.
trait() { printf '%s\t%s\n' "$1" "$2"; }

# What `create` says last of all: where the snapshot is to be read.
made() { printf 'source %s\n' "$1"; }

# Seconds that are left of PS_TIMEOUT; at least one, so that cleaning up can
# always be tried.
left() {
	local n=$((PS_TIMEOUT - SECONDS))
	echo $((n > 0 ? n : 1))
}

# Runs a command for at most the time that is left, without our lock.
limited() {
	local code=0
	timeout --foreground -k 5 "$(left)" "$@" 9>&- || code=$?
	if [ "$code" -ge 124 ] && [ "$code" -le 137 ]; then
		[ "$code" -ne 127 ] || die 78 "$1 is not installed"
		say "$1: no answer within $PS_TIMEOUT seconds"
	fi
	return "$code"
}

need() { # COMMAND...
	local c
	for c; do
		command -v "$c" >/dev/null || die 78 "$c is not installed"
	done
}

# An option of the disk, or its default: `opt window 10`.
opt() {
	local name=PS_OPT_${1^^}
	name=${name//-/_}
	printf '%s' "${!name-${2-}}"
}

number() { # WHAT VALUE MIN MAX
	if ! [[ $2 =~ ^[1-9][0-9]{0,8}$ ]] || [ "$2" -lt "$3" ] || [ "$2" -gt "$4" ]; then
		die 78 "$1: '$2' is no number from $3 to $4"
	fi
}

is_id() { [[ $1 =~ ^ps-[a-zA-Z0-9-]{1,60}$ ]]; }

is_name() { [[ $1 =~ ^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$ ]]; }

# Ends the program when an option is set that this provider does not know:
# a misspelled option must not silently be the default.
known_options() {
	local v k ok
	while read -r v; do
		ok=
		for k; do
			k=${k^^}
			[ "$v" != "PS_OPT_${k//-/_}" ] || ok=1
		done
		[ -n "$ok" ] || die 78 "unknown option '${v#PS_OPT_}'"
	done < <(compgen -e PS_OPT_ || true)
}

check_environment() { # WORD
	PS_TIMEOUT=${PS_TIMEOUT:-60}
	number PS_TIMEOUT "$PS_TIMEOUT" 1 86400
	is_name "${PS_MACHINE:-}" || die 64 "PS_MACHINE: '${PS_MACHINE:-}' is no name"
	is_name "${PS_DISK:-}" || die 64 "PS_DISK: '${PS_DISK:-}' is no name"
	[[ ${PS_SOURCE:-} == /* ]] || die 78 "source: '${PS_SOURCE:-}' is no absolute path"
	[[ ${PS_STATE:-} == /* && -d $PS_STATE ]] ||
		die 64 "PS_STATE: '${PS_STATE:-}' is no folder"
	PS_BASE=${PS_BASE:-}
	[ -z "$PS_BASE" ] || is_id "$PS_BASE" || die 64 "PS_BASE: '$PS_BASE' is no id"
	case $1 in
	traits | list) PS_SNAPSHOT= ;;
	*) is_id "${PS_SNAPSHOT:-}" ||
		die 64 "PS_SNAPSHOT: '${PS_SNAPSHOT:-}' is no id" ;;
	esac
	# Not below PS_STATE: that may lie in a file system which is frozen.
	RUN=${PS_RUN_DIR:-/run/ps-toolkit}/providers
	mkdir -p "$RUN"
}

# One word at a time for one disk: a provider that outlived its agent must not
# meet the one that the next agent started.
take_turn() {
	exec 9>"$RUN/$PS_MACHINE.$PS_DISK.lock"
	flock -w "$(left)" 9 ||
		die 75 "another provider is busy with $PS_MACHINE/$PS_DISK"
}

# Most providers have none of these.
do_changes() { exit 1; }
do_converge() { die 64 "converge: no writers are held by this provider"; }
do_check() { die 64 "check: no writers are held by this provider"; }

provider() { # WORD
	if [ $# -ne 1 ] || ! [[ $1 =~ ^(traits|create|changes|converge|check|delete|list)$ ]]; then
		die 64 "usage: $NAME traits|create|changes|converge|check|delete|list (see ps-provider(7))"
	fi
	check_environment "$1"
	case $1 in
	create | changes | converge | delete) take_turn ;;
	esac
	if [ "$1" = changes ] && [ -z "$PS_BASE" ]; then exit 1; fi
	"do_$1"
}
