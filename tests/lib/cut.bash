# File systems that lose their power. Each is an ext4 on a loop device with
# direct I/O over an image in an XFS: a clone of that image (reflink) is what
# a disk holds when the power goes, because what the kernel had not written
# yet is not in it. Needs root, loop devices, xfsprogs.
# shellcheck shell=bash

# cut_begin DIR MIB: the place for images; whoever cannot have it skips.
cut_begin() {
	CUT=$1
	mkdir -p "$CUT/base"
	truncate -s "${2}M" "$CUT/base.img"
	mkfs.xfs -q -m reflink=1 "$CUT/base.img" &&
		mount -o loop "$CUT/base.img" "$CUT/base"
}

# cut_make NAME MIB MOUNTPOINT
cut_make() {
	truncate -s "${2}M" "$CUT/base/$1.img"
	mkfs.ext4 -q -m 0 -b 4096 "$CUT/base/$1.img"
	mkdir -p "$3"
	cut_mount "$1" "$3"
}

cut_mount() {
	CUT_LOOP=$(losetup -f --show --direct-io=on "$CUT/base/$1.img")
	echo "$CUT_LOOP" >"$CUT/$1.loop"
	mount "$CUT_LOOP" "$2"
}

# cut_power NAME MOUNTPOINT COMMAND...: the power goes; the command ends
# those who used the file system, and then it is there again as it was. They
# must have been stopped before (SIGSTOP): nothing may be promised later.
cut_power() {
	local name=$1 at=$2
	shift 2
	cp --reflink=always "$CUT/base/$name.img" "$CUT/base/$name.cut"
	"$@"
	cut_unmount "$name" "$at" || return 1
	mv "$CUT/base/$name.cut" "$CUT/base/$name.img"
	cut_mount "$name" "$at"
}

# The last writer may need a moment to go.
cut_unmount() {
	local i
	for ((i = 0; i < 100; i++)); do
		if umount "$2" 2>/dev/null; then
			losetup -d "$(cat "$CUT/$1.loop")"
			# The next one of this number is somebody else's.
			rm "$CUT/$1.loop"
			return 0
		fi
		sleep 0.1
	done
	echo "$2 cannot be unmounted" >&2
	return 1
}

cut_end() { # MOUNTPOINT...
	local at
	for at; do
		umount "$at" 2>/dev/null || umount -l "$at" 2>/dev/null || true
	done
	for at in "$CUT"/*.loop; do
		[ -e "$at" ] && losetup -d "$(cat "$at")" 2>/dev/null
	done
	umount "$CUT/base" 2>/dev/null || umount -l "$CUT/base" 2>/dev/null ||
		true
}
