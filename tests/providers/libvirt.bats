#!/usr/bin/env bats
# Two disks of a domain of a real libvirtd in session mode, which believes that
# it is nobody's. The domain is a real QEMU without a guest; what a guest would
# write is written through its monitor.
load ../lib/common
load providers

setup_file() {
	command -v libvirtd virsh >/dev/null && [ "$(id -u)" = 0 ] &&
		unshare --map-user=65534 --map-group=65534 true || return 0
	cd "$BATS_FILE_TMPDIR" || return 1
	mkdir -m 700 run
	# It asks each QEMU that it finds for long.
	mkdir bin
	ln -s "$(command -v qemu-system-x86_64)" bin/
	env PATH="$PWD/bin" HOME="$PWD/home" XDG_RUNTIME_DIR="$PWD/run" XDG_CACHE_HOME="$PWD/cache" \
		XDG_DATA_HOME="$PWD/data" XDG_CONFIG_HOME="$PWD/config" \
		"$(command -v setsid)" "$(command -v unshare)" --map-user=65534 \
		--map-group=65534 "$(command -v libvirtd)" \
		>log 2>&1 3>&- </dev/null &
	echo "$!" >pid
	wait_for test -S run/libvirt/libvirt-sock
}

teardown_file() {
	local pid
	[ -e "$BATS_FILE_TMPDIR/pid" ] || return 0
	pid=$(cat "$BATS_FILE_TMPDIR/pid")
	kill "$pid" || true
	while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
}

prepare() {
	root_only
	need libvirtd virsh nbdfuse nbdinfo qemu-img qemu-system-x86_64 jq
	[ -c /dev/fuse ] || skip "no /dev/fuse"
	[ -S "$BATS_FILE_TMPDIR/run/libvirt/libvirt-sock" ] || skip "no user namespaces"
	URI="qemu:///session?socket=$BATS_FILE_TMPDIR/run/libvirt/libvirt-sock"
	VM=vm$BATS_TEST_NUMBER
	mkdir scratch
	truncate -s 6M a.model
	truncate -s 4M b.model
	qemu-img create -q -f qcow2 a.qcow2 6M
	qemu-img create -q -f qcow2 b.qcow2 4M
}

cleanup() {
	local m
	[ -n "${URI:-}" ] || return 0
	# libvirt needs long to see it; the next test has a domain of its own.
	if vir domstate "$VM" 2>/dev/null | grep -qv 'shut off'; then kill -9 "$(qemu_pid)"; fi
	awk -v t="$T/" 'index($2, t) == 1 { print $2 }' /proc/self/mounts |
		while read -r m; do umount -l "$m"; done
}

qemu_io() { # DISK-NUMBER COMMAND
	vir qemu-monitor-command "$VM" --hmp \
		"qemu-io -d /machine/peripheral/virtio-disk$1/virtio-backend \"$2\"" >said
	! grep -i 'error\|failed' said
}

qemu_pid() { find "$BATS_FILE_TMPDIR" -name "$VM.pid" -exec cat {} +; }

crash() {
	qemu_io 0 flush
	qemu_io 1 flush
	kill -9 "$(qemu_pid)"
	wait_for eval 'vir domstate "$VM" | grep "shut off"'
}

vir() { virsh -q -c "$URI" "$@"; }

domain() { # [FORMAT-OF-B]
	cat >"$VM.xml" <<-END
		<domain type='qemu'><name>$VM</name><memory unit='MiB'>16</memory>
		<os><type arch='x86_64' machine='pc'>hvm</type></os>
		<devices><emulator>$BATS_FILE_TMPDIR/bin/qemu-system-x86_64</emulator>
		<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
		<source file='$T/a.qcow2'/><target dev='vda' bus='virtio'/></disk>
		<disk type='file' device='disk'><driver name='qemu' type='${1:-qcow2}'/>
		<source file='$T/b.qcow2'/><target dev='vdb' bus='virtio'/></disk>
		<disk type='file' device='cdrom'><target dev='hdc' bus='ide'/><readonly/></disk>
		<controller type='usb' model='none'/><memballoon model='none'/>
		</devices></domain>
	END
	vir define "$VM.xml"
	vir start "$VM" --paused
}

# disk a|b [OPTION...]: whose provider and pass are called from now on
disk() {
	local d=$1
	shift
	environment "$T/$d.qcow2" PS_OPT_DOMAIN="$VM" PS_OPT_TARGET="vd$d" \
		PS_OPT_URI="$URI" PS_OPT_SCRATCH="$T/scratch" "$@"
	export PS_DISK=$d PS_STATE=$T/state.$d
	mkdir -p "$PS_STATE"
}

# poke DISK NUMBER FIRST [COUNT]: blocks of 64 KiB full of this byte
poke() {
	local n=0
	[ "$1" = a ] || n=1
	qemu_io "$n" "write -P $2 $(($3 * 64))k $((${4:-1} * 64))k"
	head -c $((${4:-1} * 65536)) /dev/zero | tr '\0' "\\$(printf %o "$2")" |
		dd of="$1.model" bs=64K seek="$3" conv=notrunc status=none
}

# both WORD SNAPSHOT [BASE]: for both disks at once; what they say is in
# a.said and b.said
both() {
	local d code=0 pids=()
	for d in a b; do
		disk "$d"
		provider libvirt "$@" >"$d.said" 3>&- &
		pids+=("$!")
	done
	wait "${pids[0]}" || code=$?
	wait "${pids[1]}" || code=$?
	return "$code"
}

source_of() { sed -n 's/^source //p' "$1.said"; }

# dirty DISK FIRST...: its list has exactly these blocks of 64 KiB
dirty() {
	local d=$1
	shift
	diff <(jq -r '.[] | select(.type % 2 == 1) | range(.offset; .offset + .length; 65536) / 65536' "$d.said") \
		<(printf '%s\n' "$@" | sed '/^$/d')
}

# passed DISK SNAPSHOT [OPTION...]: the pass, restored, is the model that was
# kept when the snapshot was made
passed() {
	local d=$1 point=$2
	shift 2
	disk "$d"
	SOURCE_PATH=$(source_of "$d")
	cmp "$SOURCE_PATH" "$d.then"
	if [ $# -gt 0 ]; then provider libvirt changes "$point" "$1" >"$d.said"; fi
	protect "$point" ${1:+--changed "$d.said"}
	restored "$point" "$d.then"
}

moment() { # SNAPSHOT [BASE]
	both create "$@"
	cp a.model a.then
	cp b.model b.then
}

first() {
	domain "$@"
	poke a 1 3
	poke b 2 4 2
	moment ps-1
	poke a 9 3 # behind the moment
	passed a ps-1
	passed b ps-1
	both delete ps-1
}

jobs() { vir domjobinfo "$VM" | grep -q '^Operation: *Backup'; }

checkpoints() { vir checkpoint-list "$VM" --name | wc -l; }

programs() { # nbdfuse processes of this test
	grep -lszF "$T/" /proc/[0-9]*/cmdline | while read -r f; do
		[ "$(readlink "${f%cmdline}exe")" != "$(command -v nbdfuse)" ] || echo "$f"
	done
}

@test "two disks, one moment, one job; the list is what was written" {
	first
	run ! jobs
	poke a 5 40
	poke b 6 0
	poke b 7 63
	moment ps-2 ps-1
	[ "$(checkpoints)" = 2 ]
	jobs
	poke a 8 50 # of the next list
	passed a ps-2 ps-1
	passed b ps-2 ps-1
	dirty a 3 40
	dirty b 0 63
	disk a
	listed libvirt ps-2
	provider libvirt delete ps-2 ps-1
	listed libvirt
	jobs
	disk b
	listed libvirt ps-2
	provider libvirt delete ps-2 ps-1
	run ! jobs
	moment ps-4 ps-2
	passed a ps-4 ps-2
	passed b ps-4 ps-2
	dirty a 50
	dirty b ''
	both delete ps-4 ps-2
	both delete ps-4 ps-2 # again
	# Nothing piles up.
	[ "$(checkpoints)" = 2 ]
	[ -z "$(find scratch -type f)" ]
	[ -z "$(programs)" ]
	run ! grep -F "$T/" /proc/self/mounts
	# A pass that fails loses nothing; each disk has its own base.
	poke a 5 10
	poke b 5 11
	moment ps-5 ps-4
	passed a ps-5 ps-4
	both delete ps-5 # b has sent nothing
	poke a 6 12
	poke b 6 13
	disk a
	provider libvirt create ps-6 ps-5 >a.said &
	disk b
	provider libvirt create ps-6 ps-4 >b.said
	wait "$!"
	cp a.model a.then
	cp b.model b.then
	passed a ps-6 ps-5
	passed b ps-6 ps-4
	dirty a 12
	dirty b 11 13
	both delete ps-6
	# One comes late, its agent being slow: its list is longer.
	poke b 7 20
	disk a
	provider libvirt create ps-7 ps-6 >a.said
	cp b.model b.then
	poke b 7 21
	disk b
	provider libvirt create ps-7 ps-6 >b.said
	passed b ps-7 ps-6
	dirty b 11 13 20
	both delete ps-7
}

@test "restarted: bitmaps of an orderly end are right, others are not trusted" {
	first
	poke a 5 10
	vir destroy "$VM" --graceful
	disk a
	fails_with 75 provider libvirt create ps-2 ps-1
	grep -q "$VM is shut off" err
	provider libvirt delete ps-2
	listed libvirt
	vir start "$VM" --paused
	poke a 6 11
	moment ps-2 ps-1
	passed a ps-2 ps-1
	passed b ps-2 ps-1
	dirty a 3 10 11
	both delete ps-2
	crash
	vir start "$VM" --paused
	moment ps-3 ps-2
	disk a
	fails_with 1 provider libvirt changes ps-3 ps-2
	passed a ps-3
	both delete ps-3
	# From here on it goes on as ever.
	poke a 7 12
	moment ps-4 ps-3
	passed a ps-4 ps-3
	dirty a 12
	both delete ps-4
	[ "$(checkpoints)" = 2 ]
	# Checkpoints that somebody removed.
	local name
	for name in $(vir checkpoint-list "$VM" --name); do
		vir checkpoint-delete "$VM" "$name" >/dev/null
	done
	moment ps-5 ps-4
	for d in a b; do
		disk "$d"
		fails_with 1 provider libvirt changes ps-5 ps-4
		[ ! -s out ]
		passed "$d" ps-5
	done
	both delete ps-5
	# What the provider knew of the snapshot is gone.
	rm state.a/*
	moment ps-6 ps-5
	disk a
	fails_with 1 provider libvirt changes ps-6 ps-5
	passed b ps-6 ps-5
	both delete ps-6
}

@test "killed in any word, the next run is right" {
	local i word d n=0
	first
	for i in $(seq 1 $((${PS_LONG:-0} ? 20 : 1))); do
		poke a "$i" $((20 + i))
		for word in create changes delete; do
			for d in a b; do
				disk "$d"
				n=$((n + 37))
				killed "0.$((n % 40))" libvirt "$word" "ps-x$i" ps-1
			done
		done
	done
	for d in a b; do
		disk "$d"
		for i in $(provider libvirt list); do provider libvirt delete "$i" ps-1; done
		listed libvirt
	done
	run ! jobs
	wait_for eval '[ -z "$(programs)" ]'
	moment ps-2 ps-1
	passed a ps-2 ps-1
	passed b ps-2 ps-1
	both delete ps-2
	[ "$(checkpoints)" = 2 ]
}

@test "between create and delete /run is lost: the job is swept" {
	first
	moment ps-2 ps-1
	umount "$(source_of a)" "$(source_of b)"
	rm -r run/providers
	disk b
	listed libvirt ps-2
	provider libvirt delete ps-2
	listed libvirt
	run ! jobs
	# libvirtd does not know a job that it did not begin for us.
	printf "<domainbackup mode='pull'><server transport='unix' socket='%s'/></domainbackup>" \
		"$T/scratch/theirs" >theirs.xml
	vir backup-begin "$VM" theirs.xml
	listed libvirt
	fails_with 75 provider libvirt create ps-3 ps-1
	grep -q "another backup job" err
	provider libvirt delete ps-3
	jobs
	vir domjobabort "$VM"
	# A snapshot that another disk is still reading stays.
	moment ps-4 ps-1
	disk a
	provider libvirt delete ps-4
	fails_with 75 provider libvirt create ps-5 ps-1
	grep -q 'ps-4 is still being read: b$' err
	passed b ps-4 ps-1
	# Who began it is gone for good.
	sed -i 's/:[0-9]*/:1/g' run/providers/libvirt.*/member.w.b
	disk a
	create libvirt ps-5 ps-1
	provider libvirt delete ps-5
}

@test "the guest's agent holds its file systems, for a window" {
	domain
	# There is no guest: these words are answered by a stand-in, all others
	# by the real virsh.
	mkdir bin
	cat >bin/virsh <<-END
		#!/bin/bash
		case " \$* " in
		*" dumpxml "*)
			$(command -v virsh) "\$@" |
				sed "s/<alias name='virtio-disk0'/<target type='virtio' name='org.qemu.guest_agent.0' state='connected'\/>\n&/"
			exit "\${PIPESTATUS[0]}" ;;
		*" domfsfreeze "*) echo freeze >>"$T/agent"; exec sleep "\$(cat "$T/delay" 2>/dev/null || echo 0)" ;;
		*" domfsthaw "*) echo thaw >>"$T/agent"; exit 0 ;;
		*" backup-begin "*) echo begin >>"$T/agent"; [ ! -e "$T/die" ] || { kill -9 "\$(awk '{ print \$4 }' "/proc/\$PPID/stat")"; exit 1; } ;;
		esac
		exec $(command -v virsh) "\$@"
	END
	chmod +x bin/virsh
	PATH=$T/bin:$PATH
	disk a
	provider libvirt create ps-1 >a.said
	[ "$(tr '\n' ' ' <agent)" = "freeze begin thaw " ]
	grep -qx 'consistency crash' a.said
	disk a PS_OPT_FREEZE=app
	provider libvirt create ps-1 >a.said
	grep -qx 'consistency app' a.said
	# It joins, and says what the job is.
	disk b
	provider libvirt create ps-1 >b.said
	grep -qx 'consistency app' b.said
	both delete ps-1
	# The guest does not answer.
	rm agent
	echo 5 >delay
	disk a PS_OPT_FREEZE=app PS_OPT_WINDOW=1
	provider libvirt create ps-2 >a.said 2>err
	grep -qx 'consistency crash' a.said
	grep -q 'does not freeze' err
	grep -q thaw agent
	rm delay
	# Killed while it holds: the guard lets go.
	: >die
	: >agent
	run provider libvirt create ps-3
	wait_for grep -q thaw agent
	[ "$(tr '\n' ' ' <agent)" = "freeze begin thaw " ]
	rm die agent
	disk a PS_OPT_FREEZE=no
	provider libvirt create ps-4 >a.said
	[ "$(cat agent)" = begin ]
	both delete ps-4
}

@test "raw images have no bitmaps; wrong options are told" {
	rm b.qcow2
	qemu-img create -q -f raw b.qcow2 4M
	first raw
	poke a 5 10
	moment ps-2 ps-1
	passed a ps-2 ps-1
	dirty a 3 10
	disk b
	fails_with 1 provider libvirt changes ps-2 ps-1
	passed b ps-2
	both delete ps-2
	disk a PS_OPT_DOMAIN=vm8
	fails_with 78 provider libvirt create ps-1
	grep -q "no domain 'vm8'" err
	provider libvirt delete ps-1
	listed libvirt
	disk a PS_OPT_TARGET=vdc
	fails_with 78 provider libvirt create ps-1
	grep -q "no disk 'vdc'" err
	disk a PS_OPT_TARGET=vdb # the source is that of vda
	fails_with 78 provider libvirt create ps-1
	grep -q "is not what lies behind vdb" err
	disk a PS_OPT_TARGET=hdc
	fails_with 78 provider libvirt create ps-1
	disk a PS_OPT_URI=qemu+ssh://host/system
	fails_with 78 provider libvirt create ps-1
	disk a PS_OPT_URI="qemu:///session?socket=$T/nobody"
	fails_with 69 provider libvirt create ps-1
	disk a PS_OPT_DISKS=vdb
	fails_with 78 provider libvirt create ps-1
	disk a PS_OPT_FREEZE=yes
	fails_with 78 provider libvirt create ps-1
	disk a PS_OPT_DISKS=vda
	create libvirt ps-1
	disk b
	fails_with 75 provider libvirt create ps-1
	disk a
	provider libvirt delete ps-1
}
