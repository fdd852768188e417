# What the providers lvm and lvm-thin share.
# shellcheck shell=bash

TAG=ps-toolkit
export LVM_SUPPRESS_FD_WARNINGS=1

# Sets VG, LV, SIZE (bytes), POOL (empty: a thick volume) of the source.
find_volume() {
	local line
	need lvs lvcreate lvremove lvchange
	line=$(limited lvs --noheadings --units b --nosuffix --separator / \
		-o vg_name,lv_name,lv_size,pool_lv "$PS_SOURCE") ||
		die 78 "$PS_SOURCE is no logical volume"
	line=${line#"${line%%[![:space:]]*}"}
	IFS=/ read -r VG LV SIZE POOL <<<"$line"
	POOL=${POOL%"${POOL##*[![:space:]]}"}
	[[ $SIZE =~ ^[0-9]+$ ]] || die 74 "$PS_SOURCE: lvs said '$line'"
}

# The snapshot's name: ids are the same for all disks of a bookmark, so that of
# the volume comes behind.
volume_of() { echo "$1.$LV"; }

exists() { # VOLUME
	limited lvs --noheadings -o lv_name "$VG/$1" >/dev/null 2>&1
}

remove() { # VOLUME
	exists "$1" || return 0
	limited lvremove -q -f "$VG/$1" >/dev/null ||
		die 74 "$VG/$1: cannot be removed"
}

do_delete() {
	find_volume
	remove "$(volume_of "$PS_SNAPSHOT")"
}

do_list() {
	local name
	find_volume
	limited lvs --noheadings -o lv_name \
		-S "origin=\"$LV\" && lv_tags={\"$TAG\"}" "$VG" |
		while read -r name; do
			name=${name%".$LV"}
			if is_id "$name"; then echo "$name"; fi
		done
}
