# What installer, configurator and uninstaller of the agent share.
# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is used there

ROOT=${PS_ROOT:-}
QUIET=
LIBEXEC=/usr/libexec/ps-toolkit
LOG=/dev/null
NAME=${0##*/}
UNITS=/etc/systemd/system
# Passphrases pass through here.
ulimit -c 0

log_line() {
	printf '%s %s: %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$NAME" "$*" >>"$LOG"
}

be_quiet() { QUIET=1; }

say() {
	log_line "$*"
	[ -n "$QUIET" ] || printf '%s\n' "$*"
}

die() {
	log_line "failed: $*" 2>/dev/null || true
	printf '%s: %s\n' "$NAME" "$*" >&2
	exit "${code:-70}"
}

# What it says when it fails is the reason.
must() { # CODE COMMAND...
	local said
	said=$("${@:2}" 2>&1) ||
		code=$1 die "${said:-$2 failed}"
}

open_log() { # PATH below the root
	mkdir -p "$ROOT${1%/*}" 2>/dev/null || code=73 die "$1: its folder cannot be made"
	(umask 077 && : >>"$ROOT$1") 2>/dev/null ||
		code=73 die "$1: cannot be written"
	LOG=$ROOT$1
}

absolute() { # PATH
	case $1 in
	/*) printf '%s' "$1" ;;
	*) printf '%s/%s' "$PWD" "$1" ;;
	esac
}

# One at a time. Services must not inherit the lock: see service().
lock() {
	exec 8<"$ROOT/etc/ps-toolkit"
	flock -n 8 || code=75 die "another installer or configurator is at work"
}

unlock() { exec 8<&-; }

# once NAME OPTION: what is given twice is a mistake, whichever was meant.
GIVEN=' '
once() {
	case $GIVEN in
	*" $1 "*) code=64 die "$2: $1 is given twice" ;;
	esac
	GIVEN="$GIVEN$1 "
}

one_of() { # OPTION VALUE CHOICE...
	local choice
	for choice in "${@:3}"; do
		[ "${2,,}" != "$choice" ] || return 0
	done
	code=64 die "$1 $2: only ${*:3}"
}

role_of() {
	case ${1,,} in
	ms | agent) echo MS ;;
	mt | mastertarget) echo MT ;;
	*) code=64 die "role '$1': MS (or Agent), MT (or MasterTarget)" ;;
	esac
}

platform_of() {
	case ${1,,} in
	vmware) echo VmWare ;;
	physical) echo Physical ;;
	azure | azurestackhub) code=64 die "platform '$1': machines in a cloud are not protected by this agent; VmWare or Physical" ;;
	*) code=64 die "platform '$1': VmWare or Physical" ;;
	esac
}

# ---- the configuration server ----

check_server() { # ADDRESS PORT
	[[ $1 =~ ^[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9.])?$|^[A-Fa-f0-9:]+$ ]] ||
		code=64 die "-i $1: no address"
	if ! [[ $2 =~ ^[1-9][0-9]{0,4}$ ]] || [ "$2" -gt 65535 ]; then
		code=64 die "-p $2: no port"
	fi
}

# The word itself in place of a file must not be repeated on the screen.
check_passphrase_file() { # FILE|-
	[ "$1" != - ] || return 0
	[ -e "$1" ] ||
		code=66 die "-P: there is no such file (the passphrase is in a file, or '-' is standard input)"
	[ ! -d "$1" ] || code=65 die "$1: is a folder"
	[ -r "$1" ] || code=77 die "$1: cannot be read"
	[ ! -f "$1" ] || [ -s "$1" ] || code=65 die "$1: is empty"
}

# ---- what is remembered: lines NAME=VALUE ----

setting() { # NAME
	sed -n "s/^$1=//p" "$ROOT/etc/ps-toolkit/agent-install" 2>/dev/null || true
}

# Those that are not named stay as they are.
keep_settings() { # NAME=VALUE...
	local file=$ROOT/etc/ps-toolkit/agent-install one known=()
	for one; do known+=(-e "^${one%%=*}="); done
	{
		printf '%s\n' "$@"
		grep -v "${known[@]}" "$file" 2>/dev/null || true
	} >"$file.new" 2>/dev/null ||
		code=75 die "$file.new: cannot be written"
	must 74 sync "$file.new"
	must 73 mv "$file.new" "$file"
}

# newer A B: is A the newer version?
newer() {
	[ "$1" != "$2" ] &&
		[ "$(printf '%s\n' "$1" "$2" | sort -V | tail -n 1)" = "$1" ]
}

# The folders of the tarball that a role is installed from.
parts() { # ROLE
	echo tree
	[ "$1" != MT ] || echo target
}

# whole TREE TARBALL ROLE: are all files there as they were delivered?
whole() {
	local part
	for part in $(parts "$3"); do
		(cd "$1" && sed -n "s,  \./$part/,  ./,p" "$2/SHA256SUMS" |
			sha256sum -c -) >/dev/null 2>&1 || return 1
	done
}

# drop_links DIR [dangling]: links to programs in it, or to those it lacks
drop_links() {
	local link to
	for link in "$ROOT$LIBEXEC" "$ROOT/usr/local/bin"/*; do
		to=$(readlink "$link" || true)
		case $to in "$1"/*) ;; *) continue ;; esac
		[ "${2-}" != dangling ] || [ ! -e "$ROOT$to" ] || continue
		rm -f "$link"
	done
}

drop_units() {
	rm -f "$ROOT$UNITS/ps-agent.service" "$ROOT$UNITS/ps-heartbeat.service"
}

# ---- the services ----

systemd_here() { [ -z "$ROOT" ] && [ -d /run/systemd/system ]; }

# ps-service of the installed agent.
service() { # WORD...
	"$ROOT$(setting dir)/bin/ps-service" "$1" ${ROOT:+--root "$ROOT"} -q \
		"${@:2}" 8<&-
}

# What belongs to the role.
services() {
	echo agent
	[ "$(setting role)" != MT ] || echo heartbeat
}

runs() { # SERVICE
	[ -n "$(setting dir)" ] && service status "$1" >/dev/null 2>&1
}

# It runs now, with what is there now, and after a boot.
run() { # SERVICE
	if systemd_here; then systemctl -q enable "ps-$1.service"; fi
	service restart "$1" || code=75 die "ps-service restart $1 failed; see its log"
}
