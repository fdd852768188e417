#!/usr/bin/env bats
# kill -9 at each write, fsync, rename and unlink of ps-scan, one after the
# other; each time settling and one more pass make the replica right.

load ../lib/common
load model

prepare() {
	command -v strace >/dev/null || skip "no strace"
	random_file src 6000001
	random_file more 200000 7
	pass
	mkdir start && cp -r map map.journal srv src start
}

restore() {
	rm -rf map map.journal srv src
	cp -r start/. .
}

# kill_at CALL N COMMAND...: 0 when the N-th call was reached (and killed).
kill_at() {
	local call=$1 n=$2 rc=0
	shift 2
	strace -f -qq -o /dev/null -e "inject=$call:signal=KILL:when=$n" \
		"$@" >out 2>/dev/null || rc=$?
	[ "$rc" -eq 137 ]
}

change() {
	put 3 A 20
	dd if=/dev/zero of=src bs=65536 seek=40 count=20 conv=notrunc status=none
	cat more >>src
}

# The list says that nothing changed since: dirty list and map must know all.
recover() {
	local size
	size=$(stat -c %s src)
	settle
	echo "0 $size clean" >list
	pass --changed list
	same_bytes
}

@test "--commit killed at each step" {
	local call n
	for call in pwrite64 fsync ftruncate fallocate renameat unlinkat; do
		for ((n = 1; n < 60; n++)); do
			restore
			change
			scan --segment-size 1M | server >lines
			kill_at $call $n ps-scan --commit --map map <lines || break
			recover
		done
	done
}

@test "--commit killed at each step, and then the server loses its cache" {
	local size n
	for size in 1M 64M; do
		for ((n = 1; n < 60; n++)); do
			restore
			change
			scan --segment-size $size | server >lines
			kill_at pwrite64 $n ps-scan --commit --map map <lines || break
			rm -rf srv && cp -r start/srv srv
			recover
		done
	done
}

@test "--commit of a later base killed at each step, kept or lost" {
	local n keep
	for keep in yes no; do
		for ((n = 1; n < 60; n++)); do
			restore
			change
			scan --full >stream
			server <stream >lines
			kill_at fsync $n ps-scan --commit --map map <lines || break
			if [ $keep = no ]; then
				rm -rf srv && cp -r start/srv srv
			fi
			recover
		done
	done
}

@test "going back to an older head killed at each step" {
	local call n
	for call in pwrite64 fsync renameat unlinkat; do
		for ((n = 1; n < 60; n++)); do
			restore
			change
			pass
			rm -rf srv && cp -r start/srv srv
			head_line >line
			kill_at $call $n ps-scan --commit --map map <line || break
			recover
		done
	done
}

@test "going back over a base killed at each step" {
	local n
	for ((n = 1; n < 60; n++)); do
		restore
		change
		pass --full
		rm -rf srv && cp -r start/srv srv
		head_line >line
		kill_at fsync $n ps-scan --commit --map map <line || break
		recover
	done
}

@test "ps-scan killed at each step" {
	local call n
	for call in write fsync renameat pwrite64; do
		for ((n = 1; n < 60; n++)); do
			restore
			change
			kill_at $call $n ps-scan --machine w --disk r --map map \
				--segment-size 1M src || break
			server <out >lines 2>/dev/null || true
			if [ $((n % 2)) -eq 0 ]; then
				ps-scan --commit --map map <lines >/dev/null 2>&1 || true
			fi
			settle
			pass
			same_bytes
		done
	done
}

@test "growth over GiBs killed at each step and lost, then grown by a hole" {
	local n at=$((2200 << 20))
	rm -rf map map.journal srv src start
	truncate -s 500M src
	dd if=more of=src bs=1M seek=3 conv=notrunc status=none
	pass
	mkdir start && cp -r --sparse=always map map.journal srv src start
	for ((n = 1; n < 60; n++)); do
		rm -rf map map.journal srv src
		cp -r --sparse=always start/. .
		truncate -s 2300M src
		dd if=more of=src bs=1M seek=2200 conv=notrunc status=none
		scan | server >lines
		kill_at pwrite64 $n ps-scan --commit --map map <lines || break
		rm -rf srv && cp -r --sparse=always start/srv srv
		fallocate -p -o $at -l 1MiB src
		settle
		pass
		same
	done
	[ "$n" -gt 3 ]
}
