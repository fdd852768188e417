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
	for c in lvs lvcreate lvchange lvremove dmsetup thin_delta zfs zstream; do
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
	provider zfs traits | grep -qx $'keep\tno'
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
	[ "$(ls stand/zfs)" = "$(printf '%s\n' 'tank%vol#ps-1.w.d' 'tank%vol@ps-1.w.other')" ]
	: >'stand/zfs/tank%vol#ps-0.w.other'
	create zfs ps-4 ps-1
	create zfs ps-5 ps-4 # nobody's base any more
	[ "$(cd stand/zfs && echo *'#'*)" = 'tank%vol#ps-0.w.other' ]
	provider zfs delete ps-4
	provider zfs delete ps-5
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

# The streams of a volume of 4 MiB that was written and discarded at random, of
# a pool that libzpool of OpenZFS 2.1.11 kept in a file, each from a bookmark;
# as zstream of that version printed them. differ.N has the sectors in which the
# volume really differed from the one before.
recorded() {
	cp "$BATS_TEST_DIRNAME/zfs-2.1.11/dump.$1" "stand/dump.ps-$1.w.d"
}

@test "zfs: the change list is what a real stream names" {
	local i
	environment /dev/zvol/tank/vol
	echo $((4 << 20)) >stand/volsize
	create zfs ps-1
	provider zfs delete ps-1
	for i in 2 3 4; do
		create zfs "ps-$i" "ps-$((i - 1))"
		recorded "$i"
		provider zfs changes "ps-$i" "ps-$((i - 1))" >changes
		grep ' dirty$' changes >dirty
		cmp changes dirty
		awk 'FILENAME == "dirty" { for (s = $1; s < $1 + $2; s += 512) in_list[s]; next }
			!($1 in in_list) { print "not in the list: " $1; bad = 1 }
			{ n++ }
			END { exit bad || n < 100 }' dirty \
			"$BATS_TEST_DIRNAME/zfs-2.1.11/differ.$i"
		provider zfs delete "ps-$i"
		# A stream names all holes; those of before are left out.
		[ "$i" = 2 ] || [ "$(awk '{ n += $2 } END { print n }' dirty)" -lt 700000 ]
	done
	# The base is the snapshot itself when it could not be deleted.
	rm 'stand/zfs/tank%vol#ps-4.w.d'
	: >'stand/zfs/tank%vol@ps-4.w.d'
	create zfs ps-5 ps-4
	cp stand/dump.ps-4.w.d stand/dump.ps-5.w.d
	provider zfs changes ps-5 ps-4 >changes
	grep -q '^zfs send .*@ps-4.w.d tank' stand/calls
	# Nothing was written.
	grep -v '^WRITE\|^FREE object = 1' stand/dump.ps-4.w.d >stand/dump.ps-5.w.d
	[ "$(provider zfs changes ps-5 ps-4)" = "0 4194304 clean" ]
	[ ! -e stand/unexpected ]
}

@test "zfs: doubt is no list" {
	local dump=stand/dump.ps-2.w.d change
	environment /dev/zvol/tank/vol
	echo $((4 << 20)) >stand/volsize
	create zfs ps-2 ps-1
	fails_with 1 provider zfs changes ps-2 ps-1
	: >'stand/zfs/tank%vol#ps-1.w.d'
	# Cut, damaged, from nothing, redacted, raw, of a kind not known yet, with
	# lines that do not belong here; zstream says 0 to all of them.
	for change in '/^END/d' '/^SUMMARY/,$d' 's/fromguid = .*/fromguid = 0/' '/fromguid/d' \
		'/^END/iREDACT object = 1 offset = 0 length = 4096' 's/payloadlen = 0/payloadlen = 816/' \
		'/^END/iWRITE_TWICE object = 1 offset = 0 length = 4096' '/^END/p' '1p' \
		'/^END/iIncorrect checksum in record header.' 's/ offset = / place = /' \
		'/^FREE/s/length = .*/length = x/' '/^END/iExpected checksum differs from checksum in stream.'; do
		recorded 2
		sed -i -e "$change" "$dump"
		fails_with 74 provider zfs changes ps-2 ps-1
		[ ! -s out ]
	done
	recorded 2
	: >stand/send-fails
	fails_with 74 provider zfs changes ps-2 ps-1
	rm stand/send-fails
	: >"$dump"
	fails_with 74 provider zfs changes ps-2 ps-1
	recorded 2
	provider zfs changes ps-2 ps-1 | grep -q dirty
	# By reference (a deduplicated stream), and more than the volume has.
	sed -i -e '/^END/iWRITE_BYREF object = 1 checksum type = 7 props = 0 offset = 65536 length = 16384 toguid = 1 refguid = 1 refobject = 1 refoffset = 0' \
		-e '/^END/iSPILL block for object = 9 length = 512 flags = 0' \
		-e '/^WRITE object = 1\|^FREE object = 1\|^WRITE_EMB/d' "$dump"
	[ "$(provider zfs changes ps-2 ps-1)" = "65536 16384 dirty" ]
	echo 73728 >stand/volsize
	[ "$(provider zfs changes ps-2 ps-1)" = "65536 8192 dirty" ]
	# An image file has none.
	: >stand/tank/vm/disk.img
	environment "$T/stand/tank/vm/disk.img"
	create zfs ps-2 ps-1
	fails_with 1 provider zfs changes ps-2 ps-1
	[ ! -e stand/unexpected ]
}
