#!/usr/bin/env bats
# An image file on btrfs, on a loop device.
load ../lib/common
load providers

prepare() {
	root_only
	need btrfs mkfs.btrfs
	loop_mount btrfs 512M fs
	btrfs -q subvolume create fs/vm
	mkdir fs/vm/sub
	IMG=$T/fs/vm/sub/disk.img
	truncate -s 32M "$IMG"
	environment "$IMG"
}

cleanup() { loop_umount fs; }

# Everything that can happen to an image: written, punched, preallocated,
# cloned inside, cloned from another file, cut, grown, other attributes.
mutate() { # SEED
	local i size at len
	RANDOM=$1
	for ((i = 0; i < 12; i++)); do
		size=$(stat -c %s "$IMG")
		at=$(((RANDOM * 32768 + RANDOM) % (size - 2000000) / 4096 * 4096))
		len=$(((1 + RANDOM % 100) * 4096))
		case $((RANDOM % 9)) in
		0 | 1) random_file bytes $((1 + RANDOM * 5)) $(($1 * 100 + i))
			dd if=bytes of="$IMG" bs=4096 seek=$((at / 4096)) conv=notrunc status=none ;;
		2) fallocate -p -o "$at" -l "$len" "$IMG" ;;
		3) fallocate -n -o "$at" -l "$len" "$IMG" ;;
		4) xfs_io -c "reflink $IMG $at $((at / 2 / 4096 * 4096)) $len" "$IMG" >/dev/null ;;
		5) truncate -s $((size - (RANDOM % 300) * 4096)) "$IMG" ;;
		6) truncate -s $((size + (1 + RANDOM % 300) * 4096)) "$IMG" ;;
		7) fallocate -z -o "$at" -l "$len" "$IMG" ;;
		8) # compressible, so that many places share one extent
			yes "$RANDOM" | head -c 200000 |
				dd of="$IMG" bs=4096 seek=$((at / 4096)) conv=notrunc status=none
			sync -d "$IMG" ;;
		esac
	done
}

@test "a restored point is the snapshot, with the change list alone" {
	need xfs_io
	local i base='' size
	btrfs property set "$IMG" compression zstd
	for i in $(seq 1 $((${PS_LONG:-0} ? 100 : 7))); do
		mutate "$i"
		# A pass never covers a shrunk disk: keep the size growing.
		size=$(stat -c %s "$IMG")
		[ "$size" -ge "${last:-0}" ] || truncate -s "$last" "$IMG"
		last=$(stat -c %s "$IMG")
		create btrfs "ps-$i" "$base"
		cp "$SOURCE_PATH" model
		mutate $((i + 1000))
		cmp "$SOURCE_PATH" model
		truncate -s "$last" "$IMG"
		if [ -n "$base" ]; then
			provider btrfs changes "ps-$i" "$base" >changes
			covers changes before model
			protect "p$i" --changed changes
		else
			protect "p$i"
		fi
		restored "p$i" model
		mv model before
		[ -z "$base" ] || provider btrfs delete "$base"
		base=ps-$i
		listed btrfs "$base"
	done
}

@test "nothing changed is a list that says so; a small change a small list" {
	random_file bytes 2000000
	dd if=bytes of="$IMG" conv=notrunc status=none
	create btrfs ps-1
	create btrfs ps-2 ps-1
	[ "$(provider btrfs changes ps-2 ps-1)" = "0 33554432 clean" ]
	dd if=bytes of="$IMG" bs=4096 count=1 seek=9 conv=notrunc status=none
	create btrfs ps-3 ps-2
	[ "$(provider btrfs changes ps-3 ps-2)" = "36864 4096 dirty" ]
}

@test "whatever makes the comparison doubtful is answered by 1: read all" {
	create btrfs ps-1
	create btrfs ps-2
	# no such base
	fails_with 1 provider btrfs changes ps-2 ps-0
	fails_with 1 provider btrfs changes ps-2
	# another file by that name
	cp "$IMG" fs/vm/other
	mv fs/vm/other "$IMG"
	create btrfs ps-3
	fails_with 1 provider btrfs changes ps-3 ps-2
	# one more name of the file
	ln "$IMG" fs/vm/link
	create btrfs ps-4
	fails_with 1 provider btrfs changes ps-4 ps-3
	rm fs/vm/link
	# a base that was made writable
	create btrfs ps-5
	create btrfs ps-6
	provider btrfs changes ps-6 ps-5
	btrfs property set fs/vm/.ps-toolkit/w.d/ps-5 ro false
	fails_with 1 provider btrfs changes ps-6 ps-5
	# the folder above moved away and another in its place
	mv fs/vm/sub fs/vm/gone
	cp -r --reflink=always fs/vm/gone fs/vm/sub
	create btrfs ps-7
	fails_with 1 provider btrfs changes ps-7 ps-6
	# a name that the dump would write in another way
	mv "$IMG" "fs/vm/sub/a b"
	environment "$T/fs/vm/sub/a b"
	create btrfs ps-8
	create btrfs ps-9
	fails_with 1 provider btrfs changes ps-9 ps-8
}

@test "other files of the subvolume are not in the list" {
	random_file fs/vm/sub/disk.img2 300000
	create btrfs ps-1
	random_file fs/vm/sub/disk.img2 400000 2
	random_file fs/vm/xdisk.img 100000 2
	create btrfs ps-2
	[ "$(provider btrfs changes ps-2 ps-1)" = "0 33554432 clean" ]
}

@test "killed in any word, the next run is right" {
	local i
	random_file bytes 1000000
	dd if=bytes of="$IMG" conv=notrunc status=none
	create btrfs ps-0
	cp "$SOURCE_PATH" before
	for i in $(seq 1 $((${PS_LONG:-0} ? 60 : 5))); do
		dd if=bytes of="$IMG" bs=4096 count=2 seek=$((i * 40)) conv=notrunc status=none
		killed "0.0$((i % 6 * 8 + 10))" btrfs create ps-1 ps-0
		create btrfs ps-1 ps-0
		killed "0.0$((i % 6 * 8 + 10))" btrfs changes ps-1 ps-0
		provider btrfs changes ps-1 ps-0 >changes
		covers changes before "$SOURCE_PATH"
		killed "0.0$((i % 6 * 8 + 10))" btrfs delete ps-1
		provider btrfs delete ps-1
		listed btrfs ps-0
	done
}

@test "deleting what is not there is success; wrong sources are told" {
	provider btrfs delete ps-1
	environment "$T/none"
	fails_with 66 provider btrfs create ps-1
	: >"$T/here"
	environment "$T/here"
	fails_with 78 provider btrfs create ps-1
	grep -q "not lie on btrfs" err
}
