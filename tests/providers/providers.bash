# Snapshot providers and what is done with them: a real ps-scan, a vault that
# is a folder, a real restore. After `load ../lib/common`.
# shellcheck shell=bash

PATH=$PATH:/usr/sbin:/sbin
PROVIDERS=$PS_SOURCE/providers
# shellcheck disable=SC2034 # for hooks.bats
HOOKS=$PS_SOURCE/hooks

# environment SOURCE [KEY=VALUE...]: of the provider calls that follow
environment() {
	export PS_MACHINE=w PS_DISK=d PS_STATE=$T/state PS_RUN_DIR=$T/run
	export PS_TIMEOUT=20 PS_BASE='' PS_SNAPSHOT=''
	mkdir -p "$PS_STATE"
	[ -e "$T/vault" ] || ps-vault init "$T/vault" >/dev/null
	# The name is taken by the folder of the checkout.
	DISK_SOURCE=$1
	shift
	OPTIONS=("$@")
}

# provider NAME WORD [SNAPSHOT [BASE]]
provider() {
	env PS_SOURCE="$DISK_SOURCE" PS_SNAPSHOT="${3-}" PS_BASE="${4-}" \
		"${OPTIONS[@]}" "$PROVIDERS/$1" "$2"
}

# killed SECONDS NAME WORD [SNAPSHOT [BASE]]: the same, killed after this time
killed() {
	local pid
	# No function in between: the id has to be the provider's.
	env PS_SOURCE="$DISK_SOURCE" PS_SNAPSHOT="${4-}" PS_BASE="${5-}" \
		"${OPTIONS[@]}" "$PROVIDERS/$2" "$3" >/dev/null 3>&- &
	pid=$!
	sleep "$1"
	kill -9 "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
}

# create NAME SNAPSHOT [BASE]: sets SOURCE_PATH
create() {
	local out
	out=$(provider "$1" create "$2" "${3-}") || return $?
	SOURCE_PATH=$(sed -n 's/^source //p' <<<"$out")
	[ -n "$SOURCE_PATH" ]
}

# protect POINT [OPTION...]: one pass of $SOURCE_PATH into the vault
protect() {
	local point=$1 map=$T/$PS_DISK.map rc
	shift
	ps-vault head "$T/vault" --machine w --disk "$PS_DISK" |
		ps-scan --commit --map "$map" >/dev/null || return 1
	ps-scan --machine w --disk "$PS_DISK" --map "$map" -q --bookmark "$point" \
		"$@" "$SOURCE_PATH" | ps-upload "$T/vault" |
		ps-scan --commit --map "$map" >/dev/null
	rc="${PIPESTATUS[*]}"
	[ "$rc" = "0 0 0" ] || { echo "protect: exit codes $rc" >&2; return 1; }
}

# restored POINT FILE: the restored disk is this file
restored() {
	ps-restore "$T/vault" --machine w --disk "$PS_DISK" --point "$1" -q -o "$T/back"
	cmp "$T/back" "$2" || return 1
	rm -f "$T/back"
}

# listed NAME ID...: the provider lists exactly these snapshots
listed() {
	local name=$1
	shift
	diff <(provider "$name" list | sort) <(printf '%s\n' "$@" | sed '/^$/d' | sort)
}

# covers LIST OLD NEW: all bytes that differ lie in the list's dirty ranges
covers() {
	{
		cmp -l "$2" "$3" 2>/dev/null | awk '{ print int(($1 - 1) / 512) * 512 }' | uniq
	} >"$T/differ"
	grep ' dirty$' "$1" >"$T/dirty" || true
	awk 'BEGIN { i = n = 0 }
		FILENAME ~ /dirty$/ { from[n] = $1; to[n++] = $1 + $2; next }
		{
			while (i < n && to[i] <= $1) i++
			if (i >= n || from[i] > $1) { print "not in the list: " $1; bad = 1 }
		}
		END { exit bad }' "$T/dirty" "$T/differ" >&2
}

# Those that keep book for the provider fsfreeze live on after it.
tracers_end() {
	local f
	for f in "$T"/run/providers/trace.*; do
		[ ! -e "$f/socket" ] || ps-trace stop --state "$f" || true
	done
}

root_only() {
	[ "$(id -u)" = 0 ] || skip "needs root"
}

need() {
	local c
	for c; do
		command -v "$c" >/dev/null || skip "$c is not installed"
	done
}

# loop_mount TYPE SIZE FOLDER [OPTION...]: a new file system; sets LOOP. To be
# ended by loop_umount. In a container without loop devices the test is skipped.
loop_mount() {
	local type=$1 size=$2 folder=$3
	shift 3
	truncate -s "$size" "$T/$folder.img"
	"mkfs.$type" -q "$@" "$T/$folder.img" >/dev/null
	LOOP=$(losetup -f --show "$T/$folder.img") || skip "no loop devices"
	mkdir "$T/$folder"
	mount "$LOOP" "$T/$folder"
}

loop_umount() {
	local folder loop
	for folder; do
		if mountpoint -q "$T/$folder"; then
			# Not before what a test left frozen is thawed.
			fsfreeze -u "$T/$folder" 2>/dev/null || true
			umount "$T/$folder" || umount -l "$T/$folder"
		fi
		for loop in $(losetup -n -O NAME -j "$T/$folder.img"); do
			losetup -d "$loop"
		done
	done
}
