#!/usr/bin/env bats
# A window on ext4 and XFS, on loop devices.
load ../lib/common
load providers

prepare() {
	root_only
	need fsfreeze findmnt
}

cleanup() {
	tracers_end
	if mountpoint -q seen; then umount seen; fi
	loop_umount fs
}

mounted() { # TYPE [WINDOW]
	need "mkfs.$1"
	loop_mount "$1" 320M fs
	environment "$LOOP" PS_OPT_WINDOW="${2:-10}"
}

# A writer comes through, soon. It is not waited for: one that hangs in a frozen
# file system cannot be killed, and goes when cleanup thaws.
writable() {
	rm -f probed
	sh -c 'echo x >fs/probe; : >probed' 3>&- &
	wait_for test -e probed
}

# A writer that waits cannot be killed: it is looked at from outside, and ends
# when writers are let go.
frozen() {
	local pid
	sh -c 'echo x >fs/probe' 3>&- &
	pid=$!
	sleep 0.5
	kill -0 "$pid"
}

# Both at one moment: one that lives sees the other go, and lets writers go.
kill_guards() {
	local pids
	pids=$(guards)
	# shellcheck disable=SC2086
	kill -STOP $pids && kill -KILL $pids
}

# Writes and fsyncs all the time.
writer() {
	local i
	for ((i = 0; ; i++)); do
		dd if=/dev/urandom of="fs/w$((i % 7))" bs=64K count=3 conv=fsync status=none
	done
}

two_points() {
	start writer
	wait_for test -s fs/w6
	create fsfreeze ps-1
	cp "$LOOP" model --sparse=always
	protect p1 --fuzzy
	provider fsfreeze check ps-1
	provider fsfreeze delete ps-1
	restored p1 model
	writable
	# Once more, when the device has been read before: nothing stale.
	create fsfreeze ps-2
	dd if="$LOOP" of=direct bs=1M iflag=direct status=none
	protect p2 --fuzzy
	provider fsfreeze check ps-2
	provider fsfreeze delete ps-2
	restored p2 direct
	# What was read is a file system without a need of repair.
	listed fsfreeze
}

@test "ext4: a restored point is the disk of the window" {
	mounted ext4
	two_points
	e2fsck -fn direct
	fails_with 1 provider fsfreeze changes ps-2 ps-1
}

@test "XFS: a restored point is the disk of the window" {
	mounted xfs
	two_points
	mkdir check
	mount -o loop,nouuid direct check # replays its log
	umount check
	xfs_repair -n direct
}

@test "writers are let go after the window, and check says so" {
	mounted ext4 2
	provider fsfreeze traits | grep -qx $'window\t2'
	create fsfreeze ps-1
	provider fsfreeze check ps-1
	# A writer waits, and goes on.
	writable
	fails_with 1 provider fsfreeze check ps-1
	listed fsfreeze ps-1
	provider fsfreeze delete ps-1
	provider fsfreeze delete ps-1
	fails_with 1 provider fsfreeze check ps-1
	listed fsfreeze
}

@test "a mount that only a service sees read-only is frozen like any other" {
	mounted ext4
	# As systemd shows /boot to a service; others write by another mount.
	mkdir seen
	mount --bind fs seen
	mount -o remount,bind,ro seen
	unshare -m sh -c 'umount fs && exec "$@"' sh env PS_SOURCE="$LOOP" \
		PS_SNAPSHOT=ps-1 PS_BASE= "${OPTIONS[@]}" \
		"$PROVIDERS/fsfreeze" create
	frozen
	provider fsfreeze delete ps-1
	umount seen
	# One that nobody can write has nothing to be held.
	mount -o remount,ro fs
	fails_with 78 create fsfreeze ps-2
	mount -o remount,rw fs
}

# guards: process ids of the two guards of this test's file system
guards() { pgrep -f "freeze-guard.bash $T/"; }

@test "the provider and what started it are killed: writers are let go" {
	local pid
	mounted ext4 3
	# A session of its own, so that all of it can be killed at once.
	setsid bash -c "$(declare -f provider create); $(declare -p OPTIONS DISK_SOURCE PROVIDERS)
		create fsfreeze ps-1; : >created; sleep 60" 3>&- &
	pid=$!
	wait_for test -e created
	kill -9 -- "-$pid"
	provider fsfreeze check ps-1
	writable
	fails_with 1 provider fsfreeze check ps-1
	provider fsfreeze delete ps-1
}

@test "one guard is killed: the other lets writers go at once" {
	local pid
	mounted ext4 60
	for which in head tail; do
		create fsfreeze ps-1
		pid=$(guards | $which -n 1)
		kill -9 "$pid"
		if [ "$which" = head ]; then
			writable
			fails_with 1 provider fsfreeze check ps-1
		fi
		provider fsfreeze delete ps-1
		writable
		wait_for eval '! guards'
	done
}

@test "both guards are killed: delete thaws, and so does the next create" {
	mounted ext4 60
	create fsfreeze ps-1
	kill_guards
	wait_for eval '! guards'
	frozen
	fails_with 1 provider fsfreeze check ps-1
	listed fsfreeze ps-1
	provider fsfreeze delete ps-1
	writable
	create fsfreeze ps-2
	kill_guards
	wait_for eval '! guards'
	create fsfreeze ps-3
	listed fsfreeze ps-3
	provider fsfreeze check ps-3
	provider fsfreeze delete ps-3
	writable
}

@test "killed in create or delete, the next run is right" {
	local i
	mounted ext4 60
	for i in 1 3 5 7 9; do
		killed "0.0$((i * 9))" fsfreeze create ps-1
		create fsfreeze ps-2
		provider fsfreeze check ps-2
		listed fsfreeze ps-2
		killed "0.00$((i % 9 + 1))" fsfreeze delete ps-2
		provider fsfreeze delete ps-2
		writable
	done
}

@test "what somebody else froze is left alone" {
	mounted ext4
	fsfreeze -f fs
	fails_with 75 provider fsfreeze create ps-1
	grep -q "somebody else" err
	listed fsfreeze
	frozen
	fsfreeze -u fs
	writable
}

@test "only a device that is mounted read-write can be frozen" {
	mounted ext4
	mount -o remount,ro fs
	fails_with 78 provider fsfreeze create ps-1
	grep -q read-only err
	umount fs
	fails_with 78 provider fsfreeze create ps-1
	grep -q "not mounted" err
	environment "$T/fs.img"
	fails_with 78 provider fsfreeze create ps-1
}
