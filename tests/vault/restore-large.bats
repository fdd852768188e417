#!/usr/bin/env bats
# ps-restore of disks that are larger than any memory, and onto devices.

load ../lib/common

R() { ps-restore v --machine web01 --disk root "$@"; }
make_segment() { "$PS_BUILD/tests/segment/make-segment" "$@"; }

vault() {
	ps-vault init v >&2
	ps-upload v >acks
}

# The largest file of this file system up to 16 TiB, in bytes.
largest() {
	local size
	for size in $((1 << 44)) $(((1 << 44) - 65536)) $((1 << 43)); do
		if truncate -s "$size" probe 2>/dev/null; then
			rm probe
			echo "$size"
			return
		fi
	done
	return 1
}

# peak COMMAND...: runs it; its peak memory in KiB is in the file `peak`.
peak() {
	command -v time >/dev/null || skip "no GNU time"
	command time -q -f %M -o peak "$@"
}

# The sanitizers keep freed memory for a while.
limit_kib() {
	if ps-restore --version | grep -q sanitizers; then
		echo 2000000
	else
		echo $((256 * 1024))
	fi
}

sparse_source() {
	local i size
	size=$(largest) || skip "no large files here"
	truncate -s "$size" src
	random_file data 3000000
	for i in 0 1000003 5000000000 7777777777777; do
		dd if=data of=src bs=64K seek="$i" oflag=seek_bytes \
			conv=notrunc status=none
	done
	dd if=data of=src bs=64K seek=$((size - 3000000)) oflag=seek_bytes \
		conv=notrunc status=none
}

@test "16 TiB sparse into a file: quick, sparse, under 256 MiB" {
	sparse_source
	ps-scan --machine web01 --disk root --map m.map src | vault
	peak ps-restore v --machine web01 --disk root -o img
	[ "$(cat peak)" -lt "$(limit_kib)" ]
	[ "$(stat -c %s img)" = "$(stat -c %s src)" ]
	[ "$(du -k img | cut -f 1)" -lt 20000 ]
	for i in 0 1000003 5000000000 7777777777777 \
		$(($(stat -c %s src) - 3000000)); do
		cmp -n 3000000 -i "$i" src img
	done
	ps-restore v --machine web01 --disk root --verify-only
}

@test "16 TiB sparse to standard output: under 256 MiB, and can be stopped" {
	sparse_source
	ps-scan --machine web01 --disk root --map m.map src | vault
	{ peak ps-restore v --machine web01 --disk root -o - 2>err || true; } |
		head -c 300M | cmp - <(head -c 300M src)
	[ "$(cat peak)" -lt "$(limit_kib)" ] || {
		cat peak err
		false
	}
	grep -q 'incomplete' err
}

@test "a block device: written whole, old content and all" {
	[ "$(id -u)" = 0 ] || skip "needs root"
	make_segment -s 8000000 -p 2 -o ref | vault
	random_file disk 9000448
	dev=$(losetup --find --show disk 2>/dev/null) || skip "no loop devices"
	got=0
	R -o "$dev" >said 2>err || got=$?
	[ "$got" = 73 ] || echo "without --force: $got" >&2
	R -o "$dev" --force || got=1$?
	cmp -n 8000000 "$dev" ref.root.2 || got=2
	losetup -d "$dev"
	[ "$got" = 73 ]
}

@test "a device smaller than the disk: refused, nothing written" {
	[ "$(id -u)" = 0 ] || skip "needs root"
	make_segment -s 8000000 | vault
	random_file disk 7999488
	cp disk before
	dev=$(losetup --find --show disk 2>/dev/null) || skip "no loop devices"
	got=0
	R -o "$dev" --force 2>err || got=$?
	losetup -d "$dev"
	[ "$got" = 64 ]
	grep -q 'too small' err
	cmp disk before
}

@test "a mounted device is refused even with --force" {
	[ "$(id -u)" = 0 ] || skip "needs root"
	make_segment -s 1000000 | vault
	truncate -s 20M disk
	mke2fs -q disk
	dev=$(losetup --find --show disk 2>/dev/null) || skip "no loop devices"
	mkdir mnt
	if ! mount "$dev" mnt 2>/dev/null; then
		losetup -d "$dev"
		skip "no mounts"
	fi
	got=0
	R -o "$dev" --force 2>err || got=$?
	umount mnt
	losetup -d "$dev"
	cat err >&2
	[ "$got" = 77 ]
	grep -q 'mounted at' err
}
