# Loop devices with a file system, traced. After `load ../lib/common` and
# `load ../providers/providers`.
# shellcheck shell=bash

# traced KIND TYPE [SIZE]: a new file system on a partition or on a whole
# device, mounted on fs; sets DISK, LOOP.
traced() {
	local kind=$1 type=$2 size=${3:-320} options=()
	need "mkfs.$type" losetup addpart
	truncate -s "$((size + 2))M" fs.img
	LOOP=$(losetup -f --show "$T/fs.img") || skip "no loop devices"
	DISK=$LOOP
	if [ "$kind" = partition ]; then
		addpart "$LOOP" 1 2050 "$((size * 2048))"
		DISK=${LOOP}p1
		wait_for test -b "$DISK"
	fi
	# ext4 would write its tables in the background, at any time.
	[ "$type" != ext4 ] || options=(-E 'lazy_itable_init=0,lazy_journal_init=0')
	"mkfs.$type" -q "${options[@]}" "$DISK" >/dev/null
	mkdir fs
	mount "$DISK" fs
}

# For cleanup().
untraced() {
	local loop
	[ ! -e "$T/state/socket" ] || ps-trace stop --state "$T/state" || true
	tracers_end
	if [ -d "$T/fs" ] && mountpoint -q "$T/fs"; then
		fsfreeze -u "$T/fs" 2>/dev/null || true
		umount "$T/fs" || umount -l "$T/fs"
	fi
	[ -e "$T/fs.img" ] || return 0
	for loop in $(losetup -n -O NAME -j "$T/fs.img"); do
		[ ! -b "${loop}p1" ] || delpart "$loop" 1
		losetup -d "$loop"
	done
}

begin() { ps-trace start --device "$DISK" --state "$T/state" "$@"; }

tracer_pid() { ps-trace status --state "$T/state" --json | jq .pid; }

# cut ID [BASE]: writers are held, the disk is copied, the list is in ID.list.
# Sets CODE, that of ps-trace.
cut() {
	local id=$1 base=${2-}
	fsfreeze -f fs
	CODE=0
	ps-trace cut --device "$DISK" --state "$T/state" --to "$id" \
		${base:+--base "$base"} >"$id.list" 2>"$id.err" || CODE=$?
	dd if="$DISK" of="$id.disk" bs=1M iflag=direct conv=sparse status=none
	fsfreeze -u fs
}

# listed_all ID BASE: the list of ID covers all that differs
listed_all() { "$PS_SOURCE/tests/trace/covers" "$1.list" "$2.disk" "$1.disk"; }

# known ID BASE: there is a list; it covers all that differs
known() {
	cut "$1" "$2"
	[ "$CODE" = 0 ] || { cat "$1.err" >&2; return 1; }
	listed_all "$1" "$2"
}

unknown() {
	cut "$@"
	[ "$CODE" = 1 ]
}

# Bytes that a list has to be read for.
listed_bytes() { awk '$3 == "dirty" { n += $2 } END { print n + 0 }' "$1"; }

# Each way of writing, to files that are there already after the first time.
write_all_ways() {
	local i
	for i in 1 2 3; do
		random_file "fs/buffered$i" 300000 "$RANDOM"
		dd if=/dev/urandom of="fs/direct$i" bs=64K count=5 oflag=direct \
			conv=notrunc status=none
	done
	xfs_io -f -c "pwrite -q 0 2m" -c fsync -c "mmap 0 2m" \
		-c "mwrite -S $((RANDOM % 255)) 70000 900000" -c "msync -s" fs/mapped
	xfs_io -f -c "pwrite -q -S $((RANDOM % 255)) 0 3m" -c fsync \
		-c "fpunch 256k 1m" -c "fzero 2m 256k" -c fsync fs/holes
	rm -f fs/gone
	random_file fs/gone 5000000 "$RANDOM"
	sync -f fs/gone
	rm fs/gone
	sync -f fs
	fstrim fs
}

long_only() { [ "${PS_LONG:-}" = 1 ] || skip "only with PS_LONG=1"; }
