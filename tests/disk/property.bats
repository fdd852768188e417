#!/usr/bin/env bats
# Random writes, random faults, many passes: whenever a pass has succeeded, the
# replica is the source. PS_SEED repeats a run.

load ../lib/common
load model

# One pass in which something may go wrong. Sets `complete` when it did not.
try_pass() {
	local fault=$1 rc
	shift
	case $fault in
	cut) # the stream ends at some byte
		scan "$@" 2>/dev/null | head -c $((RANDOM * 70)) |
			server 2>/dev/null | commit
		;;
	acks) # acknowledgements get lost from some on
		scan "$@" 2>/dev/null | server --acks $((RANDOM % 3)) | commit
		;;
	stop) # the server dies behind a segment, without acknowledging it
		scan "$@" 2>/dev/null |
			server --stop $((RANDOM % 3 + 1)) 2>/dev/null | commit
		;;
	nobody) # nothing is committed, everything has arrived
		scan "$@" | server >/dev/null
		;;
	power) # the source dies while its commit is at work
		# Without --foreground timeout kills itself, too, and nobody
		# waits for what it has killed.
		scan "$@" | server >lines
		timeout --foreground -s KILL 0.0$((RANDOM % 10)) \
			ps-scan --commit --map map <lines >/dev/null 2>&1
		;;
	*)
		scan "$@" | server | commit
		;;
	esac
	rc="${PIPESTATUS[*]}"
	complete=no
	if [ "$rc" = "0 0 0" ]; then complete=yes; fi
}

# run_passes N CHANGES [MORE]: N passes; by at most MORE bytes grown.
run_passes() {
	local n=$1 changes=$2 more=${3:-200000} i complete good=0 list
	local faults=(cut acks stop nobody power none none none none)
	local seed=${PS_SEED:-$RANDOM}
	echo "# seed $seed" >&3
	RANDOM=$seed
	for ((i = 1; i <= n; i++)); do
		scribble src $((seed * 1000 + i)) $((RANDOM % changes)) >list
		if [ $((RANDOM % 6)) -eq 0 ]; then
			truncate -s "+$((RANDOM % more))" src
		fi
		if [ $((RANDOM % 8)) -eq 0 ] && [ -d old ]; then
			rm -rf srv && cp -r --sparse=always old srv
		fi
		if [ -s map ]; then settle; fi
		# A list that a scan has taken is never given again.
		list=()
		if [ $((RANDOM % 3)) -gt 0 ] && [ -s list ] && [ -s map ]; then
			list=(--changed list)
		elif [ $((RANDOM % 10)) -eq 0 ]; then
			list=(--full)
		fi
		try_pass "${faults[RANDOM % 9]}" --segment-size 1M "${list[@]}" \
			|| true
		if [ "$complete" = yes ]; then
			same || { echo "after pass $i" >&2; return 1; }
			good=$((good + 1))
		fi
		if [ $((RANDOM % 4)) -eq 0 ] && [ -d srv ]; then
			rm -rf old && cp -r --sparse=always srv old
		fi
	done
	if [ -s map ]; then settle; fi
	pass
	same_bytes
	[ "$good" -gt $((n / 5)) ]
}

@test "50 passes over a disk of 3 MB, with blocks of 64 KiB" {
	random_file src 3000001
	run_passes 50 12
}

@test "50 passes over a disk of 3 MB, with blocks of 4 KiB" {
	random_file src 3000001
	export BLOCK=4K
	ps-scan --machine w --disk r --map map --block-size 4K src | server | commit
	run_passes 50 12
}

@test "25 passes over a sparse disk of several GiB that grows" {
	truncate -s 2300000000 src
	run_passes 25 12 700000000
}
