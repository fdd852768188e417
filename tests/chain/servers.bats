#!/usr/bin/env bats
# Moves, lost caches, forks: the vault is the fence, seating is the way on.
load ../lib/common
load ../lib/chain

prepare() {
	new_server
	random_file disk.img 2000000
	truncate -s 8M disk.img
}

sum() { sha256sum <disk.img | cut -d' ' -f 1; }

# The disk can be settled: the server has a head to go on from.
pass_works() { pass m d disk.img "$@" 2>>source.err; }

state_of() { # state_of SERVER DISK FIELD
	ps-cache stat --json -C "$T/$1/cache" |
		jq -r --arg d "$2" ".disks[] | select(.disk == \$d) | .$3"
}

@test "a server that lost its cache is seated and the lost blocks come again" {
	receive
	pipeline
	pass m d disk.img s1 --bookmark b1
	wait_for point_exists m b1
	stop_all
	# Durable there, never stored; then the cache is gone.
	receive
	scribble disk.img 2
	pass m d disk.img s1 --bookmark b2
	stop_all
	rm -rf s1/cache
	ps-cache init -C s1/cache
	receive
	pipeline
	# Not a byte has changed since the lost pass.
	wait_for pass_works s1 --bookmark b3
	wait_for point_exists m b3
	[ "$(restored_sum m d b3)" = "$(sum)" ]
	! point_exists m b2 || false
	grep -q 'm/d: seated' s1/pipeline.err
}

@test "a block that changes back after a lost segment is not left stale" {
	receive
	pipeline
	pass m d disk.img s1 --bookmark b1
	wait_for point_exists m b1
	stop_all
	cp disk.img before.img
	receive
	scribble disk.img 3
	pass m d disk.img s1 --bookmark b2
	cp before.img disk.img
	pass m d disk.img s1 --bookmark b3
	stop_all
	rm -rf s1/cache
	ps-cache init -C s1/cache
	scribble disk.img 4
	receive
	pipeline
	wait_for pass_works s1 --bookmark b4
	wait_for point_exists m b4
	[ "$(restored_sum m d b4)" = "$(sum)" ]
}

@test "a disk moves to another server; late segments of the old one are refused" {
	local late
	receive
	pipeline
	pass m d disk.img s1 --bookmark b1
	pass m e disk.img s1 --bookmark e1
	wait_for point_exists m b1
	wait_for point_exists m e1
	stop_all
	# The old server takes one more pass of both, and is cut off.
	receive
	scribble disk.img 5
	pass m d disk.img s1 --bookmark late
	late=$(sum)
	pass m e disk.img s1 --bookmark e2
	stop_all
	# The disk goes on at the new one.
	new_server s2
	receive s2
	pipeline s2
	scribble disk.img 6
	wait_for pass_works s2 --bookmark b2
	wait_for point_exists m b2
	[ "$(restored_sum m d b2)" = "$(sum)" ]
	# The old one comes back with what it still had.
	pipeline s1
	wait_for grep -q $'^refused\tm\td\t' s1/acks
	wait_for point_exists m e2 # others go on
	[ "$(restored_sum m e e2)" = "$late" ]
	! point_exists m late || false
	[ "$(state_of s1 d held)" = true ]
	[ "$(state_of s1 e held)" = false ]
	ps-vault verify vault -k vault.key --data >/dev/null
}

# Leaves d on hold at s1 because s2 stored its next segment.
fork() {
	receive
	pipeline
	pass m d disk.img s1 --bookmark b1
	wait_for point_exists m b1
	stop_all
	receive
	scribble disk.img 7
	pass m d disk.img s1 --bookmark late
	stop_all
	new_server s2
	receive s2
	pipeline s2
	wait_for pass_works s2 --bookmark b2
	wait_for point_exists m b2
	stop_all
	receive s1
}

@test "a hold stays until somebody seats the disk" {
	fork
	pipeline s1
	wait_for grep -q $'^refused\tm\td\t' s1/acks
	sleep 5 # longer than ps-pipeline takes to look
	[ "$(state_of s1 d held)" = true ]
	local code=0
	: >source.err
	pass_works s1 || code=$?
	[ "$code" -eq 1 ]
	grep -q 'was refused: held: ' source.err
	ps-vault head vault --machine m --disk d | ps-cache seat -C s1/cache
	scribble disk.img 8
	wait_for pass_works s1 --bookmark b3
	wait_for point_exists m b3
	[ "$(restored_sum m d b3)" = "$(sum)" ]
}

@test "with seat: auto a hold is lifted, and the source sends again" {
	fork
	pipeline s1 --seat auto
	wait_for grep -q 'm/d: hold lifted' s1/pipeline.err
	scribble disk.img 8
	wait_for pass_works s1 --bookmark b3
	wait_for point_exists m b3
	[ "$(restored_sum m d b3)" = "$(sum)" ]
}

@test "two writers of one sequence: one is stored, the other refused" {
	local i
	for i in 1 2; do
		scribble disk.img "$i" 20
		ps-scan --machine m --disk d --map "$i.map" disk.img >"$i.seg"
	done
	ps-upload vault <1.seg >1.acks 2>/dev/null &
	ps-upload vault <2.seg >2.acks 2>/dev/null || true
	wait "$!" || true
	[ "$(cat 1.acks 2.acks | grep -c '^stored')" -eq 1 ]
	[ "$(cat 1.acks 2.acks | grep -c '^refused')" -eq 1 ]
	[ "$(vault_seq m d)" = 1 ]
}

@test "two writers of the same segment: both are told that it is stored" {
	ps-scan --machine m --disk d --map d.map disk.img >1.seg
	ps-compress <1.seg >2.seg # the same content, other bytes
	ps-upload vault <1.seg >1.acks &
	ps-upload vault <2.seg >2.acks
	wait "$!"
	grep -q '^stored' 1.acks
	cmp 1.acks 2.acks
	[ "$(ps-vault stat vault --json | jq .objects)" = 1 ]
}
