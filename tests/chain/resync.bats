#!/usr/bin/env bats
# A source that lost its map, a server that lost its cache, a week without
# a server: only what differs goes over the line again.
load ../lib/common
load ../lib/chain

prepare() {
	new_server
	random_file disk.img 6000000
	truncate -s 16M disk.img
}

sum() { sha256sum <disk.img | cut -d' ' -f 1; }
put() { # put BLOCK SEED: one block of 64 KiB
	random_file bytes 65536 "$2"
	dd if=bytes of=disk.img bs=65536 seek="$1" conv=notrunc status=none
}
map_here() { client m s1 --map --machine m --disk d -o digestmap 2>map.err; }
adopt() { ps-scan --adopt --map m.d.map --machine m --disk d "$@" <digestmap; }

# What the next pass would send.
scan_bytes() { ps-scan --machine m --disk d --map m.d.map disk.img | wc -c; }

first_pass() {
	receive
	pipeline
	pass m d disk.img s1 --bookmark b1
	wait_for point_exists m b1
}

@test "a lost map comes back from the server, and only what differs is sent" {
	first_pass
	rm -rf m.d.map m.d.map.journal
	put 3 7
	put 90 8
	# It has to be asked for.
	fails_with 75 client m s1 --map --machine m --disk d
	grep -q 'being made' err
	wait_for map_here
	adopt
	ps-scan --machine m --disk d --map m.d.map --bookmark b2 disk.img >stream
	[ "$(stat -c %s stream)" -lt $((2 * 65536 + 5000)) ]
	client m s1 --put - <stream | ps-scan --commit --map m.d.map >/dev/null
	wait_for point_exists m b2
	[ "$(restored_sum m d b2)" = "$(sum)" ]
	# The map is of no use any more, and goes.
	wait_for [ ! -e s1/cache/m/d/map ]
	[ "$(ps-cache maps --json -C s1/cache | jq length)" -eq 0 ]
}

@test "a map is of the head that the server tells: what is not stored yet is waited for" {
	first_pass
	stop_all
	receive
	put 5 9
	pass m d disk.img s1 --bookmark b2
	rm -rf m.d.map m.d.map.journal
	fails_with 75 client m s1 --map --machine m --disk d
	pipeline
	wait_for map_here
	adopt
	[ "$(ps-scan --status --json --map m.d.map | jq .seq)" -eq 2 ]
	[ "$(scan_bytes)" -lt 5000 ]
}

@test "where nobody makes maps the answer is no, in two minutes" {
	first_pass
	stop_all
	receive
	fails_with 75 client m s1 --map --machine m --disk d
	touch -d '3 minutes ago' s1/cache/m/d/map.want
	fails_with 1 client m s1 --map --machine m --disk d
	grep -q 'nobody makes' err
	grep -q 'hint: .*--restart' err
	# Somebody who comes later finds the request.
	pipeline
	wait_for map_here
}

@test "what is sealed with another key cannot be made a map of, and that is said" {
	ps-encrypt --new-key own.key >/dev/null
	receive
	pipeline
	ps-scan --machine m --disk d --map m.d.map --bookmark b1 disk.img |
		ps-encrypt -k own.key | client m s1 --put - |
		ps-scan --commit --map m.d.map >/dev/null
	wait_for drained
	fails_with 75 client m s1 --map --machine m --disk d
	refused() { map_here || [ $? -eq 1 ]; }
	wait_for refused
	grep -q 'key that this server does not have' map.err
	ps-cache maps -C s1/cache | grep -q 'm/d.*refused'
	# Who has the key can make it.
	ps-vault map vault --machine m --disk d -k own.key -o - >digestmap
	rm -rf m.d.map m.d.map.journal
	adopt
	[ "$(scan_bytes)" -lt 5000 ]
	ps-cache drop-map m d -C s1/cache
	fails_with 75 client m s1 --map --machine m --disk d
}

@test "a digest map is for the machine itself, and for disks that are known" {
	first_pass
	cxpsclient --derive-key other -P passphrase -o other.key
	fails_with 77 cxpsclient -i 127.0.0.1 -l "$(server_port)" -P other.key \
		--map --machine m --disk d
	fails_with 75 client m s1 --map --machine m --disk unknown
	grep -q seated err
	[ ! -e s1/cache/m/unknown/map.want ]
	fails_with 64 client m s1 --map --machine m
}

@test "a digest map that is cut, damaged or of another disk is not adopted" {
	local size
	first_pass
	ps-vault map vault --machine m --disk d -k vault.key -o - >whole
	size=$(stat -c %s whole)
	rm -rf m.d.map m.d.map.journal
	for cut in 0 100 256 $((size / 2)) $((size - 1)); do
		head -c "$cut" whole >digestmap
		fails_with 65 adopt
		fails_with 65 ps-cache put-map m d -C s1/cache <digestmap
	done
	for at in 9 40 200 300 $((size / 2)) $((size - 5)); do
		cp whole digestmap
		flip_bit digestmap "$at" 4
		fails_with 65 adopt
	done
	cat whole whole >digestmap
	fails_with 65 adopt
	cp whole digestmap
	fails_with 65 ps-scan --adopt --map x.map --machine m --disk e <digestmap
	[ ! -e m.d.map ]
	[ ! -e s1/cache/m/d/map ]
	adopt
	# A good map is not thrown away unasked.
	fails_with 1 adopt
	grep -q -- --replace err
	adopt --replace
	[ "$(scan_bytes)" -lt 5000 ]
}

@test "a map on its way into the cache survives a writer that takes the disk" {
	ps-scan --machine m --disk d --map m.d.map disk.img >seg
	ps-cache put -C s1/cache <seg | ps-scan --commit --map m.d.map >/dev/null
	ps-pipeline --config s1/ps.yaml --once >/dev/null
	ps-vault map vault --machine m --disk d -k vault.key -o - >whole
	mkfifo pipe
	ps-cache put-map m d -C s1/cache <pipe &
	exec 7>pipe
	head -c 1000 whole >&7
	begun() { compgen -G 's1/cache/m/d/.tmp.*'; }
	wait_for begun
	ps-cache put -C s1/cache <seg | grep -q ^stored
	tail -c +1001 whole >&7
	exec 7>&-
	wait $!
	cmp whole s1/cache/m/d/map
}

# All objects but the last are emptied, and the last keeps only header and
# trailer: a server that lost its cache must not miss them.
@test "a server that lost its cache reads no data of the vault" {
	local last
	first_pass
	put 3 21
	pass m d disk.img s1 --bookmark b2
	wait_for point_exists m b2
	stop_all
	receive
	put 4 22
	pass m d disk.img s1 --bookmark lost
	stop_all
	rm -rf s1/cache
	ps-cache init -C s1/cache
	cp -a vault kept
	last=$(find vault/m/d -type f | sort | tail -1)
	find vault/m/d -type f ! -path "$last" -exec truncate -s 0 {} +
	dd if=/dev/zero of="$last" bs=1 seek=512 conv=notrunc status=none \
		count=$(($(stat -c %s "$last") - 512 - 4096))
	receive
	pipeline
	back() { settle m d 2>>settle.err; }
	wait_for back
	ps-scan --machine m --disk d --map m.d.map --bookmark b3 disk.img >stream
	[ "$(stat -c %s stream)" -lt $((65536 + 5000)) ]
	client m s1 --put - <stream | ps-scan --commit --map m.d.map >/dev/null
	wait_for drained
	stop_all
	cp -a kept/. vault/
	point_exists m b3
	! point_exists m lost || false
	[ "$(restored_sum m d b3)" = "$(sum)" ]
}

# The agent's loop goes on for a week; every pass finds nobody.
@test "a server that is away costs bounded disk, and then one larger pass" {
	local i size
	first_pass
	stop_all
	size=$(du -s m.d.map.journal | cut -f 1)
	for i in {1..40}; do
		put $((i + 100)) "$i"
		fails_with 69 client m s1 --status --machine m --disk d
		ps-scan --machine m --disk d --map m.d.map disk.img 2>/dev/null |
			client m s1 --put - 2>/dev/null |
			ps-scan --commit --map m.d.map 2>/dev/null || true
	done
	[ "$(du -s m.d.map.journal | cut -f 1)" -le $((size + 64)) ]
	receive
	pipeline
	pass m d disk.img s1 --bookmark b2
	wait_for point_exists m b2
	[ "$(restored_sum m d b2)" = "$(sum)" ]
	[ "$(vault_seq m d)" -eq 2 ]
}
