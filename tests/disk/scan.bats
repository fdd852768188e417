#!/usr/bin/env bats
# ps-scan: sizes, holes, zeros, change lists, options, faults.

load ../lib/common
load model

round_trip() {
	rm -rf map map.journal srv
	pass "$@"
	same_bytes
}

@test "sizes around every border make a round trip" {
	local size
	for size in 0 1 511 512 4095 4096 4097 65535 65536 65537 1048575 \
		1048576 1048577 3000001; do
		random_file src "$size" "$size"
		round_trip
		pass
		same_bytes
		BLOCK=4K round_trip --block-size 4K
	done
}

@test "every block size makes a round trip" {
	local block
	random_file src 3000001
	for block in 4K 8K 32K 256K 1M; do
		rm -rf map map.journal srv
		pass --block-size $block
		BLOCK=$block same
		cmp src srv/image
		put 7 A 3
		pass
		BLOCK=$block same
		cmp src srv/image
	done
}

@test "a disk of nothing but zeros, written or not, sends no data" {
	head -c 3000000 /dev/zero >src
	scan >stream
	[ "$(stat -c %s stream)" -lt 2000 ]
	server <stream | commit
	same_bytes
	rm -rf map map.journal srv
	rm src
	truncate -s 3000000 src
	scan >stream
	[ "$(stat -c %s stream)" -lt 2000 ]
}

@test "holes and written zeros have the same disk digest" {
	head -c 3000000 /dev/zero >a
	truncate -s 3000000 b
	[ "$(ps-scan --digest a)" = "$(ps-scan --digest b)" ]
	truncate -s 3000001 b
	[ "$(ps-scan --digest a)" != "$(ps-scan --digest b)" ]
}

@test "a second scan without a change is one empty last segment" {
	random_file src 3000000
	pass
	scan >stream
	[ "$(stat -c %s stream)" -lt 2000 ]
	[ "$(server <stream | tee lines | wc -l)" -eq 1 ]
	commit <lines
	same_bytes
}

@test "blocks that became zero are sent without data" {
	random_file src 3000000
	pass
	dd if=/dev/zero of=src bs=65536 seek=3 count=9 conv=notrunc status=none
	fallocate --punch-hole --offset 1310720 --length 655360 src
	scan >stream
	[ "$(stat -c %s stream)" -lt 2000 ]
	server <stream | commit
	same_bytes
}

@test "only blocks that differ are sent" {
	random_file src 3000000
	pass
	put 5 A
	put 20 B 2
	scan >stream
	[ "$(stat -c %s stream)" -lt $((3 * 65536 + 2000)) ]
	server <stream | commit
	same_bytes
}

@test "a 16 TiB sparse disk takes little memory and time, twice" {
	truncate -s 17592186040320 src || skip "no files of 16 TiB here"
	printf x | dd of=src bs=1 seek=17000000000000 conv=notrunc status=none
	printf y | dd of=src bs=1 seek=5000000000 conv=notrunc status=none
	limit() { (ulimit -v 600000; ulimit -t 20; "$@"); }
	[ "$(ps-scan --version | grep -c sanitizers)" -eq 0 ] || limit() { "$@"; }
	limit /usr/bin/time -o rss -f %M ps-scan --machine w --disk r --map map src |
		server | commit
	[ "$(cat rss)" -lt 65536 ] || ps-scan --version | grep -q sanitizers
	same
	limit /usr/bin/time -o rss -f %M ps-scan --machine w --disk r --map map src |
		server | commit
	[ "$(cat rss)" -lt 65536 ] || ps-scan --version | grep -q sanitizers
	same
	# The map is sparse too.
	[ "$(stat -c %b map)" -lt 4096 ]
}

@test "growth is a delta, also over the border of a GiB" {
	truncate -s 1500000001 src
	put 22880 A
	pass
	truncate -s 2500000000 src
	pass
	same
	put 16384 B
	put 38146 C
	pass
	same
	# The digests of groups that were never read are right too.
	echo "0 65536 dirty" | scan --changed - | server | commit
	same
}

@test "growth by a hole, in a group that is not read" {
	truncate -s 1500000001 src
	put 17000 A
	pass
	truncate -s 2500000000 src
	echo "0 65536 clean" >list
	pass --changed list
	same
	pass --changed list
	same
}

@test "growth of the tail block alone" {
	random_file src 100000
	pass
	random_file more 20000 5
	cat more >>src
	echo "0 100 clean" >list
	pass --changed list
	same_bytes
}

@test "growth by zeros alone" {
	random_file src 100000
	pass
	truncate -s 3000000 src
	echo "0 100 clean" >list
	pass --changed list
	same_bytes
}

@test "a disk that has shrunk needs --full" {
	random_file src 3000000
	pass
	truncate -s 2000000 src
	fails_with 65 scan
	[ ! -s out ]
	grep -q 'hint: .*--full' err
	pass --full
	same_bytes
	pass
	same_bytes
}

@test "--full begins a new base, and an interrupted one goes on" {
	random_file src 8000000
	pass
	dd if=/dev/zero of=src bs=65536 seek=50 count=5 conv=notrunc status=none
	scan --full --segment-size 1M | server --stop 3 | commit || true
	settle
	[ "$(field point)" = false ]
	pass
	same_bytes
	[ "$(field point)" = true ]
}

@test "--full that never arrived is still due" {
	random_file src 3000000
	pass
	scan --full >/dev/null
	settle
	[ "$(field new_base)" = true ]
	dd if=/dev/zero of=src bs=65536 seek=5 count=5 conv=notrunc status=none
	pass
	same_bytes
}

# ---- change lists ----

@test "only what a change list names is read" {
	random_file src 3000000
	pass
	put 5 A
	put 9 B
	printf '327680 65536 dirty\n393216 2606784 clean\n' >list
	pass --changed list
	cmp -n 393216 src srv/image
	run cmp src srv/image
	[ "$status" -eq 1 ]
	[ "$(field dirty_bytes)" -eq 0 ]
}

@test "ranges that are no whole blocks are widened to blocks" {
	random_file src 3000000
	pass
	put 5 A 3
	echo "393215 2 dirty" >list
	echo "458752 1 dirty" >>list
	pass --changed list
	same_bytes
}

@test "what nbdinfo --map prints is a change list" {
	command -v nbdinfo >/dev/null || skip "no nbdinfo"
	command -v qemu-nbd >/dev/null || skip "no qemu-nbd"
	random_file src 3000000
	truncate -s 3002880 src
	pass
	put 5 A
	fallocate --punch-hole --offset 1310720 --length 655360 src
	nbdinfo --map --json -- [ qemu-nbd -r -f raw src ] >list
	grep -q hole list
	pass --changed list
	same_bytes
}

@test "a dirty bitmap as nbdinfo prints it is a change list" {
	random_file src 3000000
	pass
	put 5 A
	cat >list <<-'END'
		[
		{ "offset": 0, "length": 327680, "type": 0, "description": "clean"},
		{ "offset": 327680, "length": 65536, "type": 1, "description": "dirty"},
		{ "offset": 393216, "length": 2606784, "type": 0, "description": "clean"}
		]
	END
	scan --changed - <list | server | commit
	same_bytes
}

@test "a change list of any length is merged into a bounded one" {
	random_file src 3000000
	pass
	put 5 A 2
	printf '327680 65536 dirty\n393216 65536 dirty\n458752 131072 clean\n' |
		ps-scan --merge >list
	[ "$(cat list)" = '327680 131072 dirty' ]
	pass --changed list
	same_bytes
	[ "$(echo '[{"offset": 0, "length": 4096, "type": 0, "description": "hole"}]' |
		ps-scan --merge)" = '0 4096 dirty' ]
	[ "$(echo '0 3000000 clean' | ps-scan --merge)" = '0 1 clean' ]
	# 200,000 ranges at the end of which the disk ends, too.
	awk 'BEGIN {
		for (i = 0; i < 200000; i++)
			printf "%d 1000 dirty\n", i * 300000
		printf "%d 999 dirty\n", i * 300000 }' >long
	ps-scan --merge <long >list
	[ "$(wc -l <list)" -le 65536 ]
	[ "$(tail -n 1 list | awk '{ print $1 + $2 }')" -eq 60000000999 ]
	awk 'NR == FNR { from[NR] = $1; to[NR] = $1 + $2; next }
		{
			while (to[i] <= $1) i++
			if (from[i] > $1 || to[i] < $1 + $2) { print "missed: " $0; exit 1 }
		}' i=1 list long
	fails_with 65 ps-scan --merge </dev/null
	fails_with 64 ps-scan --merge --digest </dev/null
}

@test "a bad change list is refused with its line, and nothing is taken" {
	local n=0 bad
	random_file src 3000000
	pass
	while IFS= read -r bad; do
		printf '%b' "$bad" >list
		fails_with 65 scan --changed list
		[ ! -s out ]
		grep -q 'line [0-9]' err || grep -q 'empty change list' err
		n=$((n + 1))
	done <<-'END'
		0 65536\n
		0 65536 dirty
		0 65536 dirty 1\n
		0 65536 changed\n
		-1 65536 dirty\n
		0 0x10000 dirty\n
		0 0 dirty\n
		2999999 2 dirty\n
		18446744073709551615 2 dirty\n
		0 65536 dirty\n65535 10 dirty\n
		65536 10 dirty\n0 10 dirty\n
		0 65536 dirty\n65536 65536 hole\n
		0 65536 clean\n65536 65536 data\n
		[
		[ { "offset": 0, "length": 10, "description": "dirty" }
		[ { "offset": 0, "length": 10 } ]
		[ { "offset": 0, "length": 10, "description": "dirty" } ] x
		[ { "offset": -1, "length": 10, "description": "dirty" } ]
		[ { "offset": 0, "length": 10, "description": "dirty" } { } ]
		[ 17 ]
	END
	[ "$n" -eq 20 ]
	: >list
	fails_with 65 scan --changed list
	[ "$(field dirty_bytes)" -eq 0 ]
	[ "$(field seq)" -eq 1 ]
	[ "$(field sent_seq)" -eq 1 ]
}

# ---- the other side says ----

@test "acknowledgements of other disks are passed on" {
	random_file src 100000
	local other
	other=$(printf 'durable\tother\tr\t7\t%064d' 0)
	scan | server >lines
	(echo "$other"; cat lines) | ps-scan --commit --map map >passed
	[ "$(wc -l <passed)" -eq 2 ]
	[ "$(head -n 1 passed)" = "$other" ]
	[ "$(field seq)" -eq 1 ]
}

@test "an acknowledgement with another digest commits nothing" {
	random_file src 100000
	scan >/dev/null
	printf 'durable\tw\tr\t1\t%064d\n' 7 >line
	fails_with 65 bash -c 'ps-scan --commit --map map <line'
	[ ! -s out ]
	[ "$(field seq)" -eq 0 ]
}

@test "a line that is no acknowledgement is quoted on one line" {
	random_file src 200000
	pass
	printf 'rub\tbish\n' >lines
	fails_with 65 ps-scan --commit --map map <lines
	[ "$(wc -l <err)" = 1 ]
	grep -q "'rub bish'" err
}

@test "the journal's folder has its name before anything is in it" {
	command -v strace >/dev/null || skip "no strace"
	random_file src 200000
	pass
	rm -rf map.journal
	strace -f -y -e trace=mkdir,fsync -o trace ps-scan --machine w --disk r \
		--map map src >stream
	grep -A 1 'mkdir("map.journal"' trace | tail -n 1 |
		grep -q "fsync([0-9]*<$PWD>) *= 0"
}

@test "a line that is no acknowledgement is an error" {
	random_file src 100000
	pass
	fails_with 65 bash -c 'echo hello | ps-scan --commit --map map'
}

@test "a refused segment is passed on and commits nothing: exit 1" {
	random_file src 100000
	scan >/dev/null
	printf 'refused\tw\tr\t1\t%064d\tdoes not fit\n' 7 >line
	fails_with 1 bash -c 'ps-scan --commit --map map <line'
	cmp line out
	grep -q 'does not fit' err
	[ "$(field seq)" -eq 0 ]
}

@test "a server without a seat: nothing to do for a new disk, else wait" {
	random_file src 100000
	printf 'refused\tw\tr\t0\t%064d\tunseated\n' 0 >line
	ps-scan --commit --map map <line
	scan >/dev/null
	ps-scan --commit --map map <line # the first segment was not taken
	pass
	same_bytes
	fails_with 75 bash -c 'ps-scan --commit --map map <line'
	grep -q 'ps-cache seat' err
	[ "$(field seq)" -eq 1 ]
}

@test "input that ends before the last part: exit 75" {
	random_file src 5000000
	fails_with 75 bash -c 'ps-scan --commit --map map </dev/null'
	scan --segment-size 1M | server >all
	[ "$(wc -l <all)" -eq 5 ]
	head -n 2 all >some
	fails_with 75 bash -c 'ps-scan --commit --map map <some'
	[ "$(field seq)" -eq 2 ]
	ps-scan --commit --map map <all >/dev/null
	[ "$(field seq)" -eq 5 ]
}

@test "a pass that dies leaves --commit with exit 75" {
	random_file src 5000000
	scan --segment-size 1M >stream
	# All segments but the last arrive, and nobody knows of the last.
	rm map.journal/00000000000000000005
	server --acks 4 <stream >some
	fails_with 75 bash -c 'ps-scan --commit --map map <some'
	grep -q 'before its last part' err
}

@test "one acknowledgement stands for all segments before it" {
	random_file src 5000000
	scan --segment-size 1M | server | tail -n 1 | commit
	[ "$(field seq)" -eq 5 ]
	[ "$(field dirty_bytes)" -eq 0 ]
	pass
	same_bytes
}

@test "journal entries go when they are stored" {
	random_file src 5000000
	scan --segment-size 1M | server >all
	commit <all
	[ "$(field journal)" -eq 5 ]
	sed -n 's/^durable/stored/; 3p' all | commit
	[ "$(field journal)" -eq 2 ]
	# A status with both levels, the older one last.
	(head_line; sed -n 's/^durable/stored/; s/$/\thead/; 4p' all) | commit
	[ "$(field journal)" -eq 1 ]
	[ "$(field seq)" -eq 5 ]
}

@test "--settle takes every line as a statement of the head" {
	random_file src 5000000
	pass
	put 0 A 40
	scan --segment-size 1M >/dev/null
	head_line | sed 's/\thead$//' >line
	fails_with 75 bash -c 'ps-scan --commit --map map <line'
	ps-scan --commit --settle --map map <line
	pass
	same_bytes
}

# ---- what a segment says ----

@test "bookmark, members and the default bookmark" {
	random_file src 100000
	pass --bookmark friday --members w/r,w/data,db/log
	read -r _ name members <srv/point
	[ "$name" = friday ]
	[ "$members" -eq 3 ]
	pass
	read -r _ name members <srv/point
	[[ $name =~ ^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}$ ]]
	[ "$members" -eq 1 ]
	fails_with 64 scan --members w/data
	fails_with 64 scan --members w/r,w/r
	fails_with 64 scan --members w/r,x
	fails_with 64 scan --bookmark a/b
}

# ---- misuse and faults ----

@test "misuse: exit 64, and no map is made" {
	random_file src 100000
	fails_with 64 ps-scan src
	fails_with 64 ps-scan --machine w --disk r src
	fails_with 64 ps-scan --machine w --disk r --map map
	fails_with 64 ps-scan --machine w/x --disk r --map map src
	fails_with 64 scan --block-size 5000
	fails_with 64 scan --consistency good
	fails_with 64 scan --full --changed list
	fails_with 64 ps-scan --commit --map map src
	fails_with 64 ps-scan --settle --map map
	fails_with 64 ps-scan --machine w --disk r --map map /dev/null
	fails_with 66 ps-scan --machine w --disk r --map map missing
	fails_with 66 ps-scan --status --map map
	[ ! -e map ]
}

@test "a map of another disk or block size is refused" {
	random_file src 100000
	pass
	fails_with 65 ps-scan --machine w --disk other --map map src
	fails_with 64 scan --block-size 4K
	pass --block-size 64K
}

@test "a damaged map is refused, one spoilt header slot is not" {
	random_file src 100000
	pass
	flip_bit map 100
	flip_bit map 4196
	fails_with 65 scan
	flip_bit map 4196
	ps-scan --status --map map
	flip_bit map 100
	flip_bit map 4196
	ps-scan --status --map map
}

@test "damaged entries of a map are refused, and --full starts anew" {
	local at
	random_file src 3000000
	pass
	# Entries stand behind two pages and room for the digests of groups.
	at=$((8192 + 32 * 65536 + 16 * 20))
	flip_bit map $at
	put 3 A
	echo "196608 65536 dirty" >list
	fails_with 65 scan --changed list
	grep -q "map: damaged" err
	grep -q -e --full err
	fails_with 65 scan
	settle || true
	pass --full
	same_bytes
	echo "0 3000000 clean" >list
	pass --changed list
	same_bytes
}

@test "only one scan of a map at a time, and --status says so" {
	random_file src 8000000
	mkfifo pipe
	scan >pipe &
	local pid=$!
	exec 8<pipe
	wait_for [ -s map.journal/dirty ]
	fails_with 75 scan
	grep -q 'another scan' err
	[ "$(field scanning)" = true ]
	exec 8<&-
	local code=0
	wait $pid || code=$?
	[ "$code" -eq 75 ]
	[ "$(field scanning)" = false ]
}

@test "a source that cannot be read: exit 74, and the stream has no end" {
	command -v strace >/dev/null || skip "no strace"
	random_file src 5000000
	pass
	put 0 A 70
	fails_with 74 strace -f -qq -o /dev/null -P "$T/src" \
		-e inject=pread64:error=EIO:when=3 \
		ps-scan -j 1 --machine w --disk r --map map src
	grep -q 'src: reading at byte' err
	mv out stream
	# The shape of it is right, and it is cut.
	fails_with 65 server <stream
	[ ! -s out ]
	settle
	pass
	same_bytes
}

@test "a journal that cannot be written: nothing counts as sent" {
	command -v strace >/dev/null || skip "no strace"
	random_file src 3000000
	pass
	put 3 A
	fails_with 71 strace -f -qq -o /dev/null \
		-e inject=fsync:error=EIO:when=3 \
		ps-scan --machine w --disk r --map map src
	mv out stream
	fails_with 65 server <stream
	[ "$(field sent_seq)" -eq 1 ]
	pass
	same_bytes
}

@test "a full standard output is an error" {
	random_file src 3000000
	run bash -c 'ps-scan --machine w --disk r --map map src >/dev/full'
	[ "$status" -ne 0 ]
	settle
	pass
	same_bytes
	run bash -c 'ps-scan --status --map map >/dev/full'
	[ "$status" -ne 0 ]
	run bash -c 'ps-scan --digest src >/dev/full'
	[ "$status" -ne 0 ]
}

@test "a mounted device is refused, with --fuzzy it is scanned" {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	local loop
	truncate -s 8M img
	mke2fs -q img
	loop=$(losetup --show -f img 2>/dev/null) || skip "no loop devices"
	mkdir mnt
	if ! mount "$loop" mnt 2>/dev/null; then
		losetup -d "$loop"
		skip "cannot mount"
	fi
	run ps-scan --machine w --disk r --map map "$loop"
	[ "$status" -eq 64 ] || { umount mnt; losetup -d "$loop"; return 1; }
	run bash -c "ps-scan --machine w --disk r --map map --fuzzy $loop | apply-stream srv w r"
	umount mnt
	losetup -d "$loop"
	[ "$status" -eq 0 ]
}

@test "a block device is scanned like a file" {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	local loop
	random_file img 3002880
	loop=$(losetup --show -f img 2>/dev/null) || skip "no loop devices"
	ln -s "$loop" src
	run bash -c "ps-scan --machine w --disk r --map map src | apply-stream srv w r"
	losetup -d "$loop"
	[ "$status" -eq 0 ]
	cmp img srv/image
}

@test "a disk is one under all its names, and known by what is on it" {
	local key
	truncate -s 8M img
	ln img hard
	ln -s img soft
	key=$(ps-scan --identify img)
	[[ $key =~ ^f[0-9]+:[0-9]+$'\t'$ ]]
	[ "$(ps-scan --identify hard)" = "$key" ]
	[ "$(ps-scan --identify soft)" = "$key" ]
	cp img other
	[ "$(ps-scan --identify other)" != "$key" ]
	ps-scan --version | grep -q blkid || skip "built without libblkid"
	mke2fs -q -U 11111111-2222-3333-4444-555555555555 img
	[ "$(ps-scan --identify soft)" = "${key}ext2:11111111-2222-3333-4444-555555555555" ]
	[ "$(ps-scan --identify /dev/null)" = $'\t' ]
	fails_with 66 ps-scan --identify nowhere
	fails_with 64 ps-scan --identify
	fails_with 64 ps-scan --identify --status img
}
