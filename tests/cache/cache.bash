# What the tests of the cache share. After lib/common.
# shellcheck shell=bash

# A cache C that is never short of room, whatever the machine has left.
prepare() {
	ps-cache init -C C --keep-free 0 --keep-free-initial 0
}

# make_stream FILE [options of make-segment]
make_stream() {
	local file=$1
	shift
	"$PS_BUILD/tests/segment/make-segment" "$@" >"$file"
}

# Puts streams into C, one after another; acknowledgements go to acks.FILE.
put() {
	local file
	for file; do
		ps-cache put -C C <"$file" >"acks.$file" || return
	done
}

# What the vault would say: every acknowledgement in a file as `stored`.
stored() {
	sed 's/^durable/stored/' "$@"
}

# digest_of FILE SEQ [DISK]: of a segment that was acknowledged.
digest_of() {
	awk -v seq="$2" -v disk="${3:-root}" \
		'$3 == disk && $4 == seq { print $5 }' "$1"
}

# Sequences of a stream in their order, as "disk:seq".
order() {
	rm -rf order.C
	ps-cache init -C order.C --keep-free 0 --keep-free-initial 0
	ps-cache put -C order.C <"$1" 2>/dev/null |
		awk '{ print $3 ":" $4 }' | paste -sd ' '
}

# field DISK KEY: of the disk in `ps-cache stat --json`; dots go deeper.
field() {
	ps-cache stat --json -C C | python3 -c '
import json, sys
disk, key = sys.argv[1:]
for d in json.load(sys.stdin)["disks"]:
    if d["disk"] == disk:
        for k in key.split("."):
            d = d[k]
        print(d)' "$1" "$2"
}

segments() { # files of the disk, by number
	find "C/web01/${1:-root}" -regextype posix-extended \
		-regex '.*/[0-9]{20}' -printf '%f\n' | sort | sed 's/^0*//' |
		paste -sd ' '
}

no_leftovers() {
	[ -z "$(find C -name '.tmp.*')" ]
}

# Runs a program under fail-call: failing CALL N HOW program...
failing() {
	local call=$1 at=$2 how=$3
	shift 3
	FAIL_CALL=$call FAIL_AT=$at FAIL_HOW=$how \
		ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0" \
		LD_PRELOAD=$PS_BUILD/tests/lib/fail-call.so "$@"
}
