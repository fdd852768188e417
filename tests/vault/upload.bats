#!/usr/bin/env bats
# ps-upload: what is acknowledged is there, what is not leaves nothing behind.
load ../lib/common

prepare() {
	PATH=$PS_BUILD/tests/segment:$PATH
	ps-vault init v
}

# Segments in the vault (without vault.json); temporary files in it.
objects() { find "$1" -type f -path '*/*/*/0*' | wc -l; }
leftovers() { find "$1" -name '.tmp.*' | wc -l; }

# Each `stored` line on standard input names an object of that sequence.
acked_are_there() {
	local level machine disk seq rest
	while read -r level machine disk seq rest; do
		[ "$level" = stored ] || continue
		[ -e "$1/$machine/$disk/$(printf %020d "$seq")" ] ||
			{ echo "acknowledged, not there: $machine/$disk $seq $rest"; return 1; }
	done
}

@test "each stored segment is acknowledged in order" {
	make-segment -d root,data -p 3 >s
	ps-upload v <s >acks
	[ "$(wc -l <acks)" -eq 6 ]
	[ "$(cut -f 1,3,4 acks | tr '\t' ' ' | grep root | tr '\n' ,)" = \
		"stored root 1,stored root 2,stored root 3," ]
	[ "$(objects v)" -eq 6 ]
	ps-vault verify v --data
}

@test "a file can be named, and so can standard input" {
	make-segment >s
	ps-upload v s >acks1
	ps-upload file://"$T/v" - <s >acks2
	cmp acks1 acks2
}

@test "the vault comes from the environment or from ps.yaml" {
	make-segment >s
	PS_VAULT=v ps-upload <s >acks1
	echo "vault: v" >ps.yaml
	ps-upload --config ps.yaml <s >acks2
	cmp acks1 acks2
	fails_with 64 ps-upload <s
}

@test "a refused segment ends with 1 and other disks are stored" {
	make-segment -x 1 >a
	make-segment -x 2 -d root,data >b
	ps-upload v <a >acks
	fails_with 1 ps-upload v b
	[ "$(grep -c '^refused.root.*another segment' <(cut -f 1,3,6 out))" -eq 1 ]
	[ "$(cut -f 1,3 out | grep -c "stored.data")" -eq 1 ]
}

@test "a folder that is no vault is configuration, and the hint says how" {
	mkdir other
	make-segment >s
	fails_with 78 ps-upload other s
	grep -q 'hint: .*ps-vault init other' err
	fails_with 66 ps-upload nowhere s
}

@test "damaged input ends with 65 and leaves what came before" {
	make-segment -p 2 -s 4M -z 0 -t random -c 50 >s
	head -c 4500000 s >short
	fails_with 65 ps-upload v short
	[ "$(objects v)" -eq 1 ]
	[ "$(leftovers v)" -eq 0 ]
	acked_are_there v <out
	flip_bit s 2000000
	fails_with 65 ps-upload v s
	echo "no segment at all, of any kind" >text
	fails_with 65 ps-upload v text
}

@test "what is there already is synced again before it is acknowledged" {
	command -v strace >/dev/null || skip "strace is not installed"
	grep -q '^#define PS_SANITIZE' "$PS_BUILD/config.h" &&
		skip "sanitizers and strace exclude each other"
	make-segment >s
	ps-upload v s >acks
	strace -f -y -o trace -e trace=fsync,write ps-upload v s >acks
	sed '/write(1.*stored/,$d' trace >before
	grep -q "fsync(.*/v/web01/root/00000000000000000001>) *= 0" before
	grep -q "fsync(.*/v/web01/root>) *= 0" before
	grep -q "fsync(.*/v/web01>) *= 0" before
	grep -q "fsync(.*/v>) *= 0" before
}

@test "acknowledgements that nobody takes end with an error" {
	make-segment >s
	local code=0
	ps-upload v s >/dev/full 2>err || code=$?
	[ "$code" -eq 75 ] || [ "$code" -eq 74 ]
	grep -q "^ps-upload: " err
	# What was stored is found again.
	ps-upload v s | grep -q ^stored
}

@test "a rate is kept" {
	make-segment -s 4M -z 0 -t random >s
	local begin end
	begin=$(date +%s%N)
	ps-upload v s --limit-rate 8M >acks
	end=$(date +%s%N)
	# 4 MiB less what the bucket holds at 8 MiB/s.
	[ $(((end - begin) / 1000000)) -ge 230 ]
	acked_are_there v <acks
}

@test "a rate can be written in bytes and in bits, not in words" {
	make-segment >s
	ps-upload v s --limit-rate 800Mbit >acks
	ps-upload v s --limit-rate 1.5G >acks
	fails_with 64 ps-upload v s --limit-rate fast
	fails_with 64 ps-upload v s --limit-rate 20Mbyte
	printf 'upload:\n  limit-rate: slow\n' >ps.yaml
	fails_with 78 ps-upload --config ps.yaml v s
}

# Runs a script in a mount namespace where ./small is a tmpfs of 8 MiB.
with_small_disk() {
	local how
	mkdir -p small
	for how in "-m" "-Urm"; do
		unshare "$how" mount -t tmpfs -o size=8M none small 2>/dev/null ||
			continue
		unshare "$how" bash -euc "mount -t tmpfs -o size=8M none small
			$1"
		return
	done
	skip "no right to mount a small disk here"
}

@test "a full disk ends with 75, no half object, acknowledgements hold" {
	make-segment -p 4 -s 4M -z 0 -t random -c 100 >s
	export -f objects leftovers acked_are_there fails_with
	export T
	# shellcheck disable=SC2016 # the inner shell expands it
	with_small_disk '
		ps-vault init small/v
		fails_with 75 ps-upload small/v s
		grep -q "No space left" err
		[ "$(grep -c ^stored out)" -eq 1 ]
		[ "$(objects small/v)" -eq 1 ]
		[ "$(leftovers small/v)" -eq 0 ]
		acked_are_there small/v <out
		ps-vault verify small/v --data
		mount -o remount,size=40M small
		ps-upload small/v s >acks
		[ "$(grep -c ^stored acks)" -eq 4 ]'
}

@test "a file size limit is an error, not a death" {
	make-segment -s 4M -t random -z 0 >s
	(
		ulimit -f 1024
		code=0
		ps-upload v s >acks 2>err || code=$?
		[ "$code" -eq 74 ]
	)
	grep -q "File too large" err
	[ "$(objects v)" -eq 0 ]
	[ "$(leftovers v)" -eq 0 ]
}

@test "killed at any moment, then run again: nothing twice, nothing lost" {
	local i pid
	make-segment -d root,data -p 8 -s 2M -z 0 -t random -c 60 >s
	: >acks
	for i in {1..25}; do
		ps-upload v s >>acks 2>/dev/null &
		pid=$!
		sleep "0.0$((RANDOM % 10))$((RANDOM % 10))"
		kill -9 "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
		# Whole lines only: the last one may be torn.
		grep -E '^stored.*[0-9a-f]{64}$' acks | acked_are_there v
		if [ $((i % 6)) -eq 0 ]; then rm -rf v/web01; : >acks; fi
	done
	ps-upload v s >last
	[ "$(grep -c ^stored last)" -eq 16 ]
	[ "$(objects v)" -eq 16 ]
	[ "$(leftovers v)" -eq 0 ]
	ps-vault verify v --data
}

@test "memory stays small with segments of any size" {
	local peak
	command -v /usr/bin/time >/dev/null || skip "GNU time is not installed"
	grep -q PS_SANITIZE "$PS_BUILD/config.h" &&
		grep -q '^#define PS_SANITIZE' "$PS_BUILD/config.h" &&
		skip "sanitizers use memory of their own"
	make-segment -s 160M -z 0 -n 128M >s
	peak=$(/usr/bin/time -f %M ps-upload v s 2>&1 >acks)
	[ "$peak" -lt $((32 * 1024)) ]
}
