# Loaded by every bats file: `load ../lib/common`.
# PS_BUILD is the build folder (set by scripts/run-test); the built tools come
# first in PATH, so tests call them by their plain names. Each test works in a
# folder of its own, $T, that goes away with it.
# shellcheck shell=bash

: "${PS_BUILD:?set by scripts/run-test}"
PATH=$PS_BUILD/tools:$PATH
export PS_CONFIG=
export LC_ALL=C
bats_require_minimum_version 1.5.0

setup() {
	T=$(mktemp -d "${BATS_TEST_TMPDIR:-/tmp}/t.XXXXXX")
	cd "$T" || return 1
	export PS_LIST_CACHE=$T.lists
	if declare -F prepare >/dev/null; then prepare; fi
}

teardown() {
	if declare -F cleanup >/dev/null; then cleanup; fi
	stop_all
	cd / && rm -rf "$T" "$T.lists"
}

# Starts a program in the background; its id is stopped by teardown.
STARTED=()
start() {
	"$@" 3>&- &
	STARTED+=("$!")
}

stop_all() {
	local pid
	for pid in "${STARTED[@]}"; do
		kill "$pid" 2>/dev/null || true
	done
	for pid in "${STARTED[@]}"; do
		wait "$pid" 2>/dev/null || true
	done
	STARTED=()
}

# Runs a command and requires this exit code: `fails_with 65 ps-stream ...`.
# Its standard error is in $T/err, standard output in $T/out.
fails_with() {
	local want=$1 got=0
	shift
	"$@" >"$T/out" 2>"$T/err" || got=$?
	if [ "$got" -ne "$want" ]; then
		echo "exit $got, wanted $want: $*" >&2
		cat "$T/err" >&2
		return 1
	fi
}

# Waits until a command succeeds, at most about 20 seconds of waiting. It is
# asked less and less often, at last five times a second: what asks takes a
# processor from what is waited for.
wait_for() {
	local waited=0 pause=20
	while [ "$waited" -lt 20000 ]; do
		if "$@" >/dev/null 2>&1; then return 0; fi
		sleep "0.$(printf %03d "$pause")"
		waited=$((waited + pause))
		pause=$((pause < 150 ? pause * 5 / 4 : 200))
	done
	echo "waited in vain for: $*" >&2
	"$@" >&2 || return 1 # it says why, if it can
}

# new_passphrase FILE, machine_key MACHINE PASSPHRASE-FILE FILE: one passphrase
# for all tests of a file, and each key derived from one only once. To stretch
# it takes a tenth of a second of a processor.
new_passphrase() {
	local all=${BATS_FILE_TMPDIR:-$T}/passphrase-of-all
	[ -e "$all" ] || ps-receive --new-passphrase -P "$all" >/dev/null
	cp -p "$all" "$1"
}

machine_key() {
	local all
	all=$(sha256sum <"$2")
	all=${BATS_FILE_TMPDIR:-$T}/key-of-all.${all:0:16}.$1
	if [ ! -e "$all" ]; then
		cxpsclient --derive-key "$1" -P "$2" -o "$all.$BASHPID"
		mv "$all.$BASHPID" "$all"
	fi
	cp -p "$all" "$3"
}

# random_file FILE BYTES [SEED]: the same bytes for the same seed.
random_file() {
	local key
	key=$(printf '%032x' "${3:-1}")
	head -c "$2" /dev/zero |
		openssl enc -aes-128-ctr -K "$key" -iv "$key" -nosalt \
			>"$1" 2>/dev/null
}

# flip_bit FILE OFFSET [BIT]: turns one bit over.
flip_bit() {
	local byte
	byte=$(od -An -tu1 -j "$2" -N 1 "$1")
	# shellcheck disable=SC2059
	printf "\\x$(printf %x $((byte ^ (1 << ${3:-0}))))" |
		dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
