#!/usr/bin/env bats
# LVM and ZFS: the providers' own logic, against recorded outputs. thin_delta
# is the real one.
load ../lib/common
load providers

prepare() {
	root_only
	export STAND_IN=$T/stand REAL_THIN_DELTA
	REAL_THIN_DELTA=$(command -v thin_delta || true)
	mkdir -p bin stand/tank/vm
	for c in lvs lvcreate lvchange lvremove dmsetup thin_delta zfs; do
		ln -s "$PS_SOURCE/tests/providers/stand-in" "bin/$c"
	done
	PATH=$T/bin:$PATH
}

cleanup() {
	rm -f /dev/zvol/tank/vol.ps-*
	rmdir /dev/zvol/tank /dev/zvol 2>/dev/null || true
	if [ -e stand/unexpected ]; then cat stand/unexpected >&2; fi
}

@test "lvm: snapshot with room, found by origin and tag, removed once" {
	environment /dev/ps-vg/data PS_OPT_ROOM=35
	create lvm ps-1
	[ "$SOURCE_PATH" = /dev/ps-vg/ps-1.data ]
	grep -q -- "-l 35%ORIGIN" stand/calls
	listed lvm ps-1
	fails_with 1 provider lvm changes ps-1 ps-0
	create lvm ps-1
	provider lvm delete ps-1
	provider lvm delete ps-1
	listed lvm
	[ ! -e stand/unexpected ]
	environment /dev/ps-vg/root-fs
	fails_with 78 provider lvm create ps-1
	grep -q "use the provider lvm-thin" err
	environment /dev/sda1
	fails_with 78 provider lvm create ps-1
	environment /dev/ps-vg/data PS_OPT_ROOM=0
	fails_with 78 provider lvm create ps-1
}

# A thin volume as it is in a pool: for each chunk of 64 KiB the block of the
# pool, or none. An array is the map; the image is made to it.
chunks=48

mutate() { # SEED: new map MAP, new content in $T/live
	local i c n
	RANDOM=$1
	for ((i = 0; i < 9; i++)); do
		c=$((RANDOM % chunks))
		n=$((1 + RANDOM % 4))
		for ((; n > 0 && c < chunks; n--, c++)); do
			if [ $((RANDOM % 4)) = 0 ]; then # discarded
				unset "MAP[$c]"
				fallocate -p -o $((c * 65536)) -l 65536 live
			else
				MAP[c]=$((NEXT++))
				random_file bytes 65536 "$NEXT"
				dd if=bytes of=live bs=64K seek="$c" conv=notrunc status=none
			fi
		done
	done
	truncate -s "$(cat stand/size)" live
}

device() { # ID: XML of one volume
	local c
	echo "<device dev_id=\"$1\" mapped_blocks=\"${#MAP[@]}\" transaction=\"0\" creation_time=\"0\" snap_time=\"0\">"
	for c in "${!MAP[@]}"; do
		echo "<single_mapping origin_block=\"$c\" data_block=\"${MAP[$c]}\" time=\"0\"/>"
	done
	echo "</device>"
}

@test "lvm-thin: a restored point is the snapshot, with thin_delta's list alone" {
	[ -n "$REAL_THIN_DELTA" ] || skip "thin_delta is not installed"
	need thin_restore
	local i base=''
	declare -a MAP
	NEXT=0
	: >device.0
	# The last chunk reaches over the end of the disk.
	echo $((chunks * 65536 - 512)) >stand/size
	truncate -s "$(cat stand/size)" live
	environment /dev/ps-vg/root-fs
	provider lvm-thin traits | grep -qx $'keep\tyes'
	truncate -s 4M stand/metadata
	for i in 1 2 3 4 5; do
		mutate "$i"
		cp live model
		echo "$i" >stand/next-id
		create lvm-thin "ps-$i" "$base"
		[ "$SOURCE_PATH" = "/dev/ps-vg/ps-$i.root-fs" ]
		device "$i" >"device.$i"
		{
			echo '<superblock uuid="" time="0" transaction="1" flags="0" version="2" data_block_size="128" nr_data_blocks="4096">'
			cat "device.$i" "device.$((i - 1))"
			echo '</superblock>'
		} >xml
		thin_restore -i xml -o stand/metadata >/dev/null
		mutate $((i + 100))
		SOURCE_PATH=model
		if [ -n "$base" ]; then
			provider lvm-thin changes "ps-$i" "$base" >changes
			covers changes before model
			protect "p$i" --changed changes
			provider lvm-thin delete "$base"
		else
			protect "p$i"
		fi
		restored "p$i" model
		cp model before
		base=ps-$i
		# What was written behind the snapshot is in the next one.
	done
	listed lvm-thin ps-5
	[ ! -e stand/unexpected ]
	[ ! -e stand/reserved ]
}

@test "lvm-thin: metadata snapshot, doubt and kill" {
	[ -n "$REAL_THIN_DELTA" ] || skip "thin_delta is not installed"
	need thin_restore
	environment /dev/ps-vg/root-fs
	echo 1 >stand/next-id
	create lvm-thin ps-1
	echo 2 >stand/next-id
	create lvm-thin ps-2 ps-1
	fails_with 1 provider lvm-thin changes ps-2 ps-0
	truncate -s 4M stand/metadata
	printf '%s\n' '<superblock uuid="" time="0" transaction="1" flags="0" version="2" data_block_size="128" nr_data_blocks="4096">' \
		'<device dev_id="1" mapped_blocks="1" transaction="0" creation_time="0" snap_time="0"><single_mapping origin_block="3" data_block="7" time="0"/></device>' \
		'<device dev_id="2" mapped_blocks="1" transaction="0" creation_time="0" snap_time="0"><single_mapping origin_block="3" data_block="7" time="0"/></device>' \
		'</superblock>' >xml
	thin_restore -i xml -o stand/metadata >/dev/null
	[ "$(provider lvm-thin changes ps-2 ps-1)" = "0 104857600 clean" ]
	# somebody else's metadata snapshot is not released
	: >stand/reserved
	fails_with 75 provider lvm-thin changes ps-2 ps-1
	[ -e stand/reserved ]
	rm stand/reserved
	# one that we left behind is
	for at in dmsetup thin_delta; do
		echo "$at" >stand/die-at
		run provider lvm-thin changes ps-2 ps-1
		rm stand/die-at
		[ "$(provider lvm-thin changes ps-2 ps-1)" = "0 104857600 clean" ]
		[ ! -e stand/reserved ]
	done
	# a failing comparison is not an empty list
	: >stand/metadata
	fails_with 74 provider lvm-thin changes ps-2 ps-1
	[ ! -s out ]
	[ ! -e stand/reserved ]
	# a thick one
	environment /dev/ps-vg/data
	fails_with 78 provider lvm-thin create ps-1
}

@test "zfs: a volume is read through a clone, a file in the snapshot" {
	environment /dev/zvol/tank/vol
	provider zfs traits | grep -qx $'changes\tno'
	create zfs ps-1
	[ "$SOURCE_PATH" = /dev/zvol/tank/vol.ps-1.w.d ]
	listed zfs ps-1
	create zfs ps-1
	fails_with 1 provider zfs changes ps-1 ps-0
	# another disk's snapshot of the same bookmark is not ours
	: >'stand/zfs/tank%vol@ps-1.w.other'
	listed zfs ps-1
	provider zfs delete ps-1
	provider zfs delete ps-1
	listed zfs
	[ "$(ls stand/zfs)" = 'tank%vol@ps-1.w.other' ]
	: >stand/tank/vm/disk.img
	environment "$T/stand/tank/vm/disk.img"
	create zfs ps-2
	[ "$SOURCE_PATH" = "$T/stand/tank/vm/.zfs/snapshot/ps-2.w.d/disk.img" ]
	listed zfs ps-2
	# killed between snapshot and clone
	environment /dev/zvol/tank/vol
	echo zfs >stand/die-at
	run provider zfs create ps-3
	rm stand/die-at
	create zfs ps-3
	provider zfs delete ps-3
	listed zfs
	[ ! -e stand/unexpected ]
}
