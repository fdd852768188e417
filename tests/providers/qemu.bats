#!/usr/bin/env bats
# A disk of a real qemu-storage-daemon and of a real QEMU without a guest. The
# writer is "live", the disk as QEMU shows it.
load ../lib/common
load providers

prepare() {
	root_only
	need qemu-storage-daemon qemu-img nbdinfo jq socat
	[ -c /dev/fuse ] || skip "no /dev/fuse"
	mkdir scratch
	environment "$T/qmp" PS_OPT_NODE=disk PS_OPT_SCRATCH="$T/scratch"
}

cleanup() {
	local m
	awk -v t="$T/" 'index($2, t) == 1 { print $2 }' /proc/self/mounts |
		while read -r m; do umount -l "$m"; done
}

daemon() { # [TYPE]: serves $T/img as node "disk"
	: >live
	[ -e img ] || qemu-img create -q -f "${1:-raw}" img 24M
	start qemu-storage-daemon --blockdev driver=file,node-name=f,filename=img \
		--blockdev "driver=${1:-raw},node-name=disk,file=f" \
		--chardev socket,id=c,path=qmp,server=on,wait=off --monitor c \
		--export "type=fuse,id=live,node-name=disk,mountpoint=$T/live,writable=on"
	DAEMON=${STARTED[-1]}
	wait_for mountpoint -q live
}

end_daemon() {
	kill "${1:--15}" "$DAEMON"
	wait "$DAEMON" || true
	STARTED=()
	umount -l live 2>/dev/null || true
	rm -f qmp
}

write_some() { # SEED
	local i
	RANDOM=$1
	for ((i = 0; i < 6; i++)); do
		random_file bytes $((1 + RANDOM * 6)) $(($1 * 100 + i))
		dd if=bytes of=live bs=4096 seek=$((RANDOM % 5900)) conv=notrunc status=none
	done
	fallocate -p -o $((RANDOM % 5000 * 4096)) -l 200000 live
}

# next ID BASE: snapshot, writes behind it, list, pass, restore
next() {
	create qemu "$1" "$2"
	cp "$SOURCE_PATH" model
	write_some $((RANDOM + 7))
	provider qemu changes "$1" "$2" >changes
	protect "$1" --changed changes
	restored "$1" model
	listed qemu "$1"
	provider qemu delete "$1" "$2"
	listed qemu
}

ask() { # JSON...: what the monitor says to the last one
	printf '%s\n' '{"execute":"qmp_capabilities"}' "$@" |
		socat -t 0.2 - UNIX-CONNECT:qmp | grep '"return"' | tail -n 1
}

bitmaps() {
	ask '{"execute":"query-named-block-nodes","arguments":{"flat":true}}' |
		jq -r '.return[] | select(."node-name" == "disk")."dirty-bitmaps" // [] | .[].name' |
		sort
}

first() {
	write_some 1
	create qemu ps-1
	cp live model
	write_some 2
	cmp "$SOURCE_PATH" model
	protect ps-1
	restored ps-1 model
	provider qemu delete ps-1
}

@test "a restored point is the snapshot, with the dirty bitmap alone" {
	daemon
	first
	write_some 3
	next ps-2 ps-1
	write_some 4
	next ps-3 ps-2
	# Bitmaps do not pile up.
	[ "$(bitmaps)" = "$(printf '%s\n' ps-2.live.w.d ps-3.live.w.d)" ]
}

@test "a pass that fails loses nothing" {
	daemon
	first
	write_some 3
	create qemu ps-2 ps-1
	write_some 4
	provider qemu delete ps-2 ps-1
	create qemu ps-3 ps-1
	provider qemu changes ps-3 ps-1 >/dev/null
	write_some 5
	provider qemu delete ps-3 ps-1
	next ps-4 ps-1
}

@test "bitmaps that are not known are answered by 1: read all" {
	daemon
	first
	create qemu ps-2
	fails_with 1 provider qemu changes ps-2 ps-1
	provider qemu delete ps-2
	create qemu ps-3 ps-9
	fails_with 1 provider qemu changes ps-3 ps-9
	provider qemu delete ps-3
	# Switched off for a while: somebody may have written meanwhile.
	ask '{"execute":"block-dirty-bitmap-disable","arguments":{"node":"disk","name":"ps-3.live.w.d"}}'
	create qemu ps-4 ps-3
	fails_with 1 provider qemu changes ps-4 ps-3
	provider qemu delete ps-4
	# QEMU started again: the bitmaps of a raw image are gone.
	create qemu ps-5 ps-4
	end_daemon
	daemon
	fails_with 1 provider qemu changes ps-5 ps-4
	provider qemu delete ps-5
	create qemu ps-6 ps-4
	fails_with 1 provider qemu changes ps-6 ps-4
	provider qemu delete ps-6
}

@test "qcow2 keeps its bitmaps over an orderly restart, not over a kill" {
	daemon qcow2
	first
	write_some 3
	end_daemon
	daemon qcow2
	write_some 4
	next ps-2 ps-1
	end_daemon -9
	daemon qcow2
	write_some 5
	create qemu ps-3 ps-2
	fails_with 1 provider qemu changes ps-3 ps-2
	provider qemu delete ps-3
}

@test "QEMU is killed under a snapshot: it is cleared away" {
	daemon
	create qemu ps-1
	end_daemon -9
	listed qemu ps-1
	fails_with 69 provider qemu create ps-2
	provider qemu delete ps-1
	listed qemu
	[ -z "$(ls scratch)" ]
	run ! grep -F "$T/scratch" /proc/self/mounts
}

@test "killed in any word, the next run is right" {
	local i word
	daemon
	first
	for i in $(seq 1 $((${PS_LONG:-0} ? 20 : 3))); do
		write_some $((i * 10))
		for word in create changes delete; do
			killed "0.$((i * 23 % 80 + 10))" qemu "$word" "ps-x$i" ps-1
		done
	done
	for i in $(provider qemu list); do provider qemu delete "$i" ps-1; done
	next ps-2 ps-1
	[ "$(ask '{"execute":"query-block-jobs"}' | jq '.return | length')" = 0 ]
	[ "$(ask '{"execute":"query-block-exports"}' | jq '.return | length')" = 1 ]
}

@test "a running NBD server of the administrator is used when it is named" {
	daemon
	ask '{"execute":"nbd-server-start","arguments":{"addr":{"type":"unix","data":{"path":"theirs"}}}}'
	first
	create qemu ps-2 ps-1
	fails_with 75 provider qemu changes ps-2 ps-1
	grep -q nbd-socket err
	OPTIONS+=(PS_OPT_NBD_SOCKET="$T/theirs")
	provider qemu changes ps-2 ps-1 | jq -e 'type == "array"'
	nbdinfo --list "nbd+unix:///?socket=$T/theirs"
	provider qemu delete ps-2 ps-1
}

@test "qemu-system: the same, written through the monitor" {
	need qemu-system-x86_64
	truncate -s 16M img
	start qemu-system-x86_64 -machine pc -accel tcg -m 16 -display none \
		-nodefaults -S -device virtio-blk-pci,drive=disk,id=vda \
		-blockdev driver=file,node-name=f,filename=img \
		-blockdev driver=raw,node-name=disk,file=f \
		-qmp unix:qmp,server=on,wait=off
	wait_for test -S qmp
	guest_write() {
		ask "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"qemu-io -d /machine/peripheral/vda/virtio-backend \\\"write -P $1 $2 64k\\\"\"}}" >/dev/null
	}
	guest_write 1 0
	create qemu ps-1
	protect ps-1
	guest_write 2 1M
	provider qemu delete ps-1
	create qemu ps-2 ps-1
	cp img model
	guest_write 3 0
	run ! cmp -s img model
	provider qemu changes ps-2 ps-1 >changes
	cat changes
	jq -e 'map(select(.description == "dirty")) == [{"offset":1048576,"length":65536,"type":1,"description":"dirty"}]' changes
	protect ps-2 --changed changes
	restored ps-2 model
	provider qemu delete ps-2
}

@test "wrong options are told" {
	daemon
	environment "$T/qmp" PS_OPT_NODE=other PS_OPT_SCRATCH="$T/scratch"
	fails_with 78 provider qemu create ps-1
	grep -q "no block node 'other'" err
	environment "$T/qmp"
	fails_with 78 provider qemu traits
	environment "$T/img" PS_OPT_NODE=disk
	fails_with 69 provider qemu create ps-1
}
