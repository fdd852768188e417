#!/usr/bin/env bats
# Memory is bounded for any size of disk: each tool under 64 MiB, ps-restore
# under 256 MiB.
load ../lib/common
load ../lib/chain

prepare() {
	[ -x /usr/bin/time ] || skip "time is not installed"
	[ "${PS_SANITIZE:-}" != 1 ] || skip "sanitizers take memory of their own"
	new_server
	# ext4 ends one block before 16 TiB.
	size=$((16 << 40))
	truncate -s "$size" disk.img 2>/dev/null || size=$((size - 65536))
	truncate -s "$size" disk.img 2>/dev/null ||
		skip "the file system has no files of 16 TiB"
	# Data at the beginning, in the middle and at the end.
	random_file part 3000000
	for at in 0 $((8 << 20)) $(((16 << 20) - 4)); do
		dd if=part of=disk.img bs=1M seek="$at" conv=notrunc status=none
	done
	truncate -s "$size" disk.img
}

# bounded MIB COMMAND...: its peak memory (children included) stays below.
bounded() {
	local limit=$1 file peak
	shift
	file=$T/peak.$BASHPID
	command time -o "$file" -f %M "$@" || return
	peak=$(tail -n 1 "$file")
	echo "# $1 ${2-}: $((peak / 1024)) MiB" >&3
	if [ "$peak" -ge $((limit * 1024)) ]; then
		echo "$*: $peak KiB" >&2
		return 1
	fi
}

@test "each tool stays below 64 MiB with 16 TiB, ps-restore below 256 MiB" {
	receive
	client m s1 --status --machine m --disk d >/dev/null
	bounded 64 ps-scan --machine m --disk d --map d.map --bookmark b1 \
		disk.img >1.seg
	bounded 64 ps-compress <1.seg >2.seg
	bounded 64 cxpsclient -i 127.0.0.1 -l "$(server_port)" -P m.key \
		--put - <2.seg >acks
	bounded 64 ps-scan --commit --map d.map <acks >/dev/null
	bounded 64 ps-cache follow --once -C s1/cache >3.seg
	bounded 64 ps-encrypt -k vault.key <3.seg >4.seg
	bounded 64 ps-upload vault <4.seg >acks
	bounded 64 ps-cache ack -C s1/cache <acks >/dev/null
	bounded 64 ps-encrypt -d -k vault.key <4.seg >5.seg
	bounded 64 ps-compress -d <5.seg >6.seg
	bounded 64 ps-stream verify 6.seg >/dev/null
	bounded 64 ps-stream list 6.seg >/dev/null
	bounded 64 ps-vault list vault -k vault.key >/dev/null
	bounded 64 ps-vault verify vault -k vault.key >/dev/null
	bounded 64 ps-vault map vault --machine m --disk d -k vault.key -o new.map
	# The map comes back over the line.
	fails_with 75 client m s1 --map --machine m --disk d
	bounded 64 ps-vault map vault --machine m --disk d -k vault.key -o - >7.map
	bounded 64 ps-cache put-map m d -C s1/cache <7.map
	bounded 64 cxpsclient -i 127.0.0.1 -l "$(server_port)" -P m.key \
		--map --machine m --disk d -o 8.map
	bounded 64 ps-scan --adopt --map a.map --machine m --disk d <8.map
	# A second pass, by a list and by reading everything.
	random_file part 1000000 2
	dd if=part of=disk.img bs=1M seek=77 conv=notrunc status=none
	echo "$((77 << 20)) 1048576 dirty" >changes
	bounded 64 ps-scan --machine m --disk d --map d.map --bookmark b2 \
		--changed changes --scrub 1/4096 disk.img >7.seg
	ps-encrypt -k vault.key <7.seg >8.seg
	bounded 64 ps-upload vault <8.seg >acks
	bounded 64 ps-scan --commit --map d.map <acks >/dev/null
	bounded 256 ps-restore vault --machine m --disk d --point b2 \
		-k vault.key -o out.img >/dev/null
	for at in 0 77 $((8 << 20)) $(((16 << 20) - 4)); do
		cmp <(dd if=disk.img bs=1M skip="$at" count=4 status=none) \
			<(dd if=out.img bs=1M skip="$at" count=4 status=none)
	done
}
