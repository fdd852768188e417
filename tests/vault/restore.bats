#!/usr/bin/env bats
# ps-restore over the real chain: what comes out, where it may go, what it
# says. Damage has a file of its own.

load ../lib/common

R() { ps-restore v --machine web01 --disk root "$@"; }
make_segment() { "$PS_BUILD/tests/segment/make-segment" "$@"; }

# A vault `v` from a stream on standard input.
vault() {
	ps-vault init v >&2
	ps-upload v >acks
}

# Three passes over a small disk; ref.root.N is what it held after pass N.
three_points() {
	make_segment -s 5000001 -p 3 -n 1M -r 256K -o ref | vault
}

json() { # KEY FILE
	jq -r ".$1" "$2"
}

@test "every point comes back as the source was" {
	three_points
	for i in 1 2 3; do
		R --point "p$i" -o "out.$i"
		cmp "out.$i" "ref.root.$i"
	done
}

@test "latest is the default, --at takes the newest point before a time" {
	three_points
	R -o latest
	cmp latest ref.root.3
	R --at 2026-01-01T02:59:59Z -o at
	cmp at ref.root.2
	R --at 2026-01-01T02:00:00Z -o exactly
	cmp exactly ref.root.2
}

@test "latest-app takes the newest application-consistent point" {
	make_segment -p 1 -k app -o app | vault
	IFS=$'\t' read -r _ _ _ seq digest < <(tail -n 1 acks)
	make_segment -p 1 -f "$seq:$digest" -B q -x 2 | ps-upload v >acks2
	R --point latest-app -o img
	cmp img app.root.1
}

@test "no such point: exit 1 and how to list them" {
	three_points
	fails_with 1 R --point nobody -o img
	grep -q 'ps-vault list' err
	fails_with 1 R --at 2020-01-01T00:00:00Z -o img
	fails_with 1 R --point latest-app -o img
	fails_with 1 ps-restore v --machine web02 --disk root -o img
	fails_with 1 ps-restore v --machine web01 --disk data -o img
	[ ! -e img ]
}

@test "misuse: exit 64 and nothing is touched" {
	three_points
	fails_with 64 R
	fails_with 64 R -o img --verify-only
	fails_with 64 R -o img --point p1 --at 2026-01-01T00:00:00Z
	fails_with 64 R -o img --at yesterday
	fails_with 64 R -o img -j 0
	fails_with 64 R -o img too many
	fails_with 64 ps-restore v --disk root -o img
	fails_with 64 ps-restore v --machine ../x --disk root -o img
	fails_with 66 ps-restore nowhere --machine web01 --disk root -o img
	[ ! -e img ]
}

@test "sizes around sectors, blocks and records survive the whole chain" {
	for size in 0 1 511 512 4095 4096 4097 65535 65536 65537 \
		1048575 1048576 1048577 3000000; do
		rm -rf v m.map* img
		random_file src "$size" "$size"
		ps-scan --machine web01 --disk root --map m.map --bookmark p1 \
			src | vault
		R -o img
		cmp src img
		R -o - 2>/dev/null | cmp - src
	done
}

@test "holes, zeros and data survive the whole chain, and stay holes" {
	truncate -s 40M src
	random_file data 3000000
	dd if=data of=src bs=1000 seek=1000 conv=notrunc status=none
	dd if=/dev/zero of=src bs=1M seek=20 count=4 conv=notrunc status=none
	dd if=data of=src bs=1M seek=37 conv=notrunc status=none
	ps-scan --machine web01 --disk root --map m.map --bookmark p1 src |
		ps-compress | vault
	R -o img
	cmp src img
	[ "$(du -k img | cut -f 1)" -lt 7000 ]
	R -o - 2>/dev/null | cmp - src
}

@test "the restored disk has the digest that ps-scan prints for the source" {
	random_file src 5000001
	ps-scan --machine web01 --disk root --map m.map src | vault
	R -o img >said
	digest=$(ps-scan --digest src | grep -oE '[0-9a-f]{64}')
	grep -q "disk digest  $digest" said
	grep -q "verified equal to the source's digest" said
}

@test "sealed and compressed: restored with the key" {
	ps-encrypt --new-key key
	make_segment -s 5000001 -p 2 -t text -o ref | ps-compress |
		ps-encrypt -k key | vault
	R -k key -o img >said
	cmp img ref.root.2
	grep -q 'authenticated by the key' said
	R -k key -o - 2>/dev/null | cmp - ref.root.2
}

@test "sealed: without the key or with another one exit 77 and a hint" {
	ps-encrypt --new-key key
	ps-encrypt --new-key other
	make_segment | ps-encrypt -k key | vault
	fails_with 77 R -o img
	grep -q -- '-k' err
	fails_with 77 R -k other -o img
	grep -q 'hint: .*other' err
	fails_with 77 R -o -
	[ ! -s out ]
}

@test "sealed: the key of another machine does not open it" {
	ps-encrypt --new-key key
	make_segment | ps-encrypt -k key | vault
	ps-encrypt --derive web02 -o web02.key -k key
	ps-encrypt --derive web01 -o web01.key -k key
	fails_with 77 R -k web02.key -o img
	R -k web01.key -o img
}

@test "a key proves nothing about an unsealed point: refused unless allowed" {
	ps-encrypt --new-key key
	make_segment -o ref | vault
	fails_with 65 R -k key -o img
	grep -q -- '--allow-unsealed' err
	[ ! -e img ]
	R -k key --allow-unsealed -o img
	cmp img ref.root.1
}

@test "a sealed chain with an unsealed segment on top is refused" {
	ps-encrypt --new-key key
	make_segment -o ref | ps-encrypt -k key | vault
	IFS=$'\t' read -r _ _ _ seq digest < <(tail -n 1 acks)
	make_segment -f "$seq:$digest" -B zorged -x 9 | ps-upload v >acks2
	fails_with 65 R -k key -o img
	[ ! -e img ]
	R -k key --point p1 -o img
	cmp img ref.root.1
}

@test "an existing file is kept, and replaced with --force" {
	three_points
	echo precious >img
	chmod 640 img
	fails_with 73 R -o img
	[ "$(cat img)" = precious ]
	R -o img --force
	cmp img ref.root.3
	[ "$(stat -c %a img)" = 640 ]
}

@test "a failed restore with --force keeps the old file" {
	three_points
	echo precious >img
	flip_bit v/web01/root/00000000000000000002 4000
	fails_with 65 R -o img --force --point p3
	[ "$(cat img)" = precious ]
	[ "$(find . -name '.tmp*' | wc -l)" = 0 ]
}

@test "a new file is readable by its owner alone" {
	three_points
	R -o img
	[ "$(stat -c %a img)" = 600 ]
}

@test "the file behind a symbolic link is replaced, not the link" {
	three_points
	echo old >file
	ln -s file link
	R -o link --force
	[ -L link ]
	cmp file ref.root.3
	ln -s nowhere dangling
	fails_with 64 R -o dangling
}

@test "a folder that is not there is no name for a file" {
	three_points
	fails_with 64 R -o missing/
	[ ! -e missing ]
}

@test "a folder that takes no files is an error of the target, once" {
	three_points
	fails_with 74 R -o /proc/img
	grep -q '^ps-restore: /proc/img: ' err
}

@test "a folder or a missing folder as output is refused" {
	three_points
	mkdir dir
	fails_with 64 R -o dir
	fails_with 66 R -o missing/out
}

@test "standard output holds the same bytes as the file; the report is on stderr" {
	three_points
	R -o file
	R -o - >stream 2>said
	cmp file stream
	grep -q '^point ' said
	R -o - -q >stream 2>said
	cmp file stream
}

@test "a pipe that is named as output is a stream" {
	three_points
	mkfifo pipe
	cat pipe >copy &
	R -o pipe 2>said
	wait $!
	cmp copy ref.root.3
	[ -p pipe ]
}

@test "/dev/full: exit 75, says that the output is incomplete" {
	three_points
	fails_with 75 R -o /dev/full
	grep -q 'incomplete' err
	got=0
	R -o - >/dev/full 2>err || got=$?
	[ "$got" = 75 ]
	grep -q 'standard output is incomplete' err
}

@test "a reader that goes away: exit 75, says that the output is incomplete" {
	make_segment -s 20M | vault
	{ R -o - 2>err || echo $? >code; } | head -c 100 >first
	[ "$(cat code)" = 75 ]
	grep -q 'incomplete' err
}

@test "a terminal is refused" {
	three_points
	got=0
	script -qec "ps-restore v --machine web01 --disk root -o -" /dev/null \
		>said || got=$?
	[ "$got" = 64 ]
}

@test "--verify-only writes nothing and finds what restoring finds" {
	three_points
	R --verify-only >said
	grep -q "verified equal" said
	flip_bit v/web01/root/00000000000000000001 4000
	fails_with 65 R --verify-only --point p3
	grep -q 00000000000000000001 err
}

@test "the age of the point is printed, under -q too" {
	make_segment | vault
	R --verify-only >said
	grep -qE '^point +p1, 2026-01-01T01:00:00Z, .* old' said
	R -q --verify-only >said
	grep -qE 'old' said
	[ "$(wc -l <said)" = 1 ]
}

@test "--json says it all in one object" {
	three_points
	R --json -o img >j
	[ "$(json verified j)" = true ]
	[ "$(json point j)" = p3 ]
	[ "$(json disk_bytes j)" = 5000001 ]
	[ "$(json consistency j)" = crash ]
	[ "$(json output j)" = img ]
	[ "$(json disk_digest j)" = "$(ps-scan --digest img | grep -oE '[0-9a-f]{64}')" ]
	[ "$(jq '.age_seconds > 0 and .seconds > 0' j)" = true ]
	flip_bit v/web01/root/00000000000000000001 4000
	fails_with 65 R --json --point p3 --verify-only
	[ "$(json verified out)" = false ]
	[ "$(json code out)" = 65 ]
}

@test "--not-older-than: a vault that was rolled back is refused" {
	three_points
	R --not-older-than p2 --verify-only
	R --not-older-than p3 --verify-only
	fails_with 65 R --not-older-than p3 --point p2 --verify-only
	grep -q 'older than p3' err
	# The newest pass is taken away: an old copy of the vault.
	last=$(tail -n 1 acks | cut -f 4)
	prev=$(ps-vault list v --machine web01 --json |
		jq -r '.[] | select(.point == "p2") | .disks[0].seq')
	for ((i = prev + 1; i <= last; i++)); do
		rm "v/web01/root/$(printf %020d "$i")"
	done
	fails_with 65 R --not-older-than p3 --verify-only
	grep -q 'rolled back' err
	R --not-older-than p2 --verify-only
	R -o img
	cmp img ref.root.2
}

@test "a point of several disks: each is restored by itself" {
	make_segment -d root,data -p 2 -o ref | vault
	ps-restore v --machine web01 --disk root -o root
	ps-restore v --machine web01 --disk data -o data
	cmp root ref.root.2
	cmp data ref.data.2
}

@test "a disk of an incomplete point is restored by the point's id" {
	make_segment -d root,data -p 2 -o ref | vault
	last=$(ps-vault list v --machine web01 --json | jq -r '.[]
		| select(.point == "p2") | .disks[] | select(.disk == "data")
		| .seq')
	rm "v/web01/data/$(printf %020d "$last")"
	R -o latest
	cmp latest ref.root.1
	R --point p2 -o byid >said
	cmp byid ref.root.2
	grep -q incomplete said
}

@test "interrupted: no file is left, the signal is passed on" {
	make_segment -s 400M -z 0 | vault
	got=0
	# In the foreground it sends one signal; else one to the group, too.
	timeout --foreground -s INT 0.15 ps-restore v --machine web01 --disk root -j 1 \
		-o img || got=$?
	[ "$got" != 0 ] || skip "too fast to be interrupted"
	[ ! -e img ]
	[ "$(find . -name '.tmp*' | wc -l)" = 0 ]
}

@test "interrupted twice in the same moment: no file is left either" {
	local pid got=0
	make_segment -s 400M -z 0 | vault
	ps-restore v --machine web01 --disk root -j 1 -o img 3>&- &
	pid=$!
	wait_for compgen -G '.tmp*'
	kill -INT $pid
	kill -INT $pid 2>/dev/null || true
	kill -TERM $pid 2>/dev/null || true
	wait $pid || got=$?
	[ "$got" != 0 ]
	[ ! -e img ]
	[ "$(find . -name '.tmp*' | wc -l)" = 0 ]
}

@test "a target without room is refused before anything is written" {
	[ "$(id -u)" = 0 ] || skip "needs root"
	make_segment -s 8M -z 0 | vault
	mkdir small
	mount -t tmpfs -o size=2M none small 2>/dev/null || skip "no tmpfs"
	got=0
	R -o small/out >said 2>err || got=$?
	left=$(find small -type f | wc -l)
	umount small
	[ "$got" = 75 ]
	grep -q 'not enough room' err
	[ "$left" = 0 ]
}
