# What installer, configurator and uninstaller of the agent share.
# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is used there

ROOT=${PS_ROOT:-}
QUIET=
LIBEXEC=/usr/libexec/ps-toolkit
LOG=/dev/null
NAME=${0##*/}

log_line() {
	printf '%s %s: %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$NAME" "$*" >>"$LOG"
}

be_quiet() { QUIET=1; }

say() {
	log_line "$*"
	[ -n "$QUIET" ] || printf '%s\n' "$*"
}

die() {
	log_line "failed: $*"
	printf '%s: %s\n' "$NAME" "$*" >&2
	exit "${code:-70}"
}

open_log() { # PATH below the root
	mkdir -p "$ROOT${1%/*}"
	LOG=$ROOT$1
	(umask 077 && : >>"$LOG") 2>/dev/null ||
		code=73 die "$1: cannot be written"
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

# ---- what is remembered: lines NAME=VALUE ----

setting() { # NAME
	sed -n "s/^$1=//p" "$ROOT/etc/ps-toolkit/agent-install" 2>/dev/null || true
}

keep_settings() { # NAME=VALUE...
	printf '%s\n' "$@" >"$ROOT/etc/ps-toolkit/agent-install.new"
	sync "$ROOT/etc/ps-toolkit/agent-install.new"
	mv "$ROOT/etc/ps-toolkit/agent-install.new" "$ROOT/etc/ps-toolkit/agent-install"
}

# newer A B: is A the newer version?
newer() {
	[ "$1" != "$2" ] &&
		[ "$(printf '%s\n' "$1" "$2" | sort -V | tail -n 1)" = "$1" ]
}

# whole TREE TARBALL: are all files there as they were delivered?
whole() {
	(cd "$1" && sed -n 's,  \./tree/,  ./,p' "$2/SHA256SUMS" |
		sha256sum --quiet -c -) >/dev/null 2>&1
}

# ---- the service ----

systemd_here() { [ -z "$ROOT" ] && [ -d /run/systemd/system ]; }

# ps-service of the installed agent.
service() { # WORD
	"$ROOT$(setting dir)/bin/ps-service" "$1" ${ROOT:+--root "$ROOT"} -q agent
}

agent_runs() {
	[ -n "$(setting dir)" ] && service status >/dev/null 2>&1
}

agent() { # start, stop, restart
	service "$1" || code=75 die "the agent: $1 failed; see its log"
}
