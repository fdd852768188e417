#!/usr/bin/env bats
# ps-pipeline: one service that keeps the chain of a process server running.
load ../lib/common

prepare() {
	umask 077
	ps-cache init -C cache
	ps-vault init vault >/dev/null
	ps-encrypt --new-key key >/dev/null
	truncate -s 8M d.img
	random_file part 1000000
	dd if=part of=d.img conv=notrunc status=none
	printf 'cache: %s\nvault: %s\nkey: %s\n' "$T/cache" "$T/vault" \
		"$T/key" >ps.yaml
}

# pass DISK [OPTION...]: one pass of d.img into the cache.
pass() {
	local disk=$1
	shift
	ps-scan --machine m --disk "$disk" --map "$disk.map" "$@" d.img 2>scan.err |
		ps-cache put -C cache 2>put.err |
		ps-scan --commit --map "$disk.map" >acks 2>commit.err
}

change() { # change SEED: other bytes somewhere in d.img
	random_file part 100000 "$1"
	dd if=part of=d.img bs=64K seek=$(($1 % 50)) conv=notrunc status=none
}

stored() { # stored DISK SEQ: the vault's head of the disk is there
	[ "$(ps-vault head vault --machine m --disk "$1" | cut -f 4)" = "$2" ]
}

restored() { # restored DISK: the latest point is what d.img is
	ps-restore vault --machine m --disk "$1" -k key -o out.img --force \
		>/dev/null && cmp d.img out.img
}

said() {
	grep -q -e "$1" err
}

begin() { # ps-pipeline in the background, told from $pipeline
	start ps-pipeline --config ps.yaml "$@" >out 2>err
	pipeline=${STARTED[-1]}
}

# The same, until every stage works: a segment has gone through.
begin_working() {
	begin "$@"
	pass d
	wait_for stored d 1
}

stages() {
	ps -o pid=,comm= --ppid "$pipeline"
}

pid_of() { # pid_of PROGRAM: the first such stage; fails when there is none
	stages | awk -v name="$1" '
		$2 == name { print $1; found = 1; exit }
		END { exit !found }'
}

@test "--once stores what the cache holds and ends" {
	pass d
	ps-pipeline --config ps.yaml --once >out
	grep -q $'^stored\tm\td\t1\t' out
	restored d
	[ -z "$(ps-cache list -C cache | grep d || true)" ]
}

@test "--once with an empty cache is done at once" {
	ps-pipeline --config ps.yaml --once >out
	[ ! -s out ]
}

@test "--print gives a line that a shell can run, whatever the names hold" {
	mv cache "it's a \$cache"
	sed -i "s|^cache:.*|cache: \"$T/it's a \$cache\"|" ps.yaml
	ps-scan --machine m --disk d --map d.map d.img |
		ps-cache put -C "it's a \$cache" >/dev/null
	ps-pipeline --config ps.yaml --once --print >line
	[ "$(wc -l <line)" -eq 1 ]
	sh line >out
	grep -q $'^stored\tm\td\t1\t' out
	restored d
}

@test "without a key nothing is sealed, and it says so" {
	sed -i '/^key/d' ps.yaml
	ps-pipeline --config ps.yaml --print >line
	! grep -q ps-encrypt line || false
	pass d
	ps-pipeline --config ps.yaml --once >out 2>err
	said 'no key'
	ps-restore vault --machine m --disk d -o out.img >/dev/null
	cmp d.img out.img
}

@test "codec none leaves ps-compress out" {
	printf 'compress:\n  codec: none\n' >>ps.yaml
	ps-pipeline --config ps.yaml --print >line
	! grep -q ps-compress line || false
}

@test "cache and vault are needed: exit 78 with a hint" {
	sed -i '/^vault/d' ps.yaml
	fails_with 78 ps-pipeline --config ps.yaml --once
	said 'no vault'
	said 'hint: .*ps.yaml'
}

@test "a running pipeline stores what arrives" {
	begin
	pass d
	wait_for stored d 1
	change 2
	pass d
	wait_for stored d 2
	wait_for restored d
	grep -q $'^stored\tm\td\t2\t' out
}

@test "a killed stage is started again and nothing is lost, any stage" {
	local stage seq=1
	begin --max-wait 1
	pass d
	wait_for stored d 1
	for stage in ps-cache ps-compress ps-encrypt ps-upload; do
		wait_for pid_of ps-upload
		kill -9 "$(pid_of "$stage")"
		change $((++seq))
		pass d
		wait_for stored d "$seq"
	done
	said 'was ended by signal 9'
	said 'again in'
	restored d
}

@test "when ps-pipeline itself is killed its stages end too" {
	local pids
	begin
	wait_for pid_of ps-upload
	pids=$(stages | awk '{ print $1 }')
	kill -9 "$pipeline"
	# shellcheck disable=SC2086
	wait_for sh -c "! kill -0 $(echo $pids | sed 's/ / 2>\/dev\/null || kill -0 /g') 2>/dev/null"
	begin
	pass d
	wait_for stored d 1
}

@test "SIGTERM ends it in order: exit 0, nothing is left running" {
	begin_working
	kill -TERM "$pipeline"
	local code=0
	wait "$pipeline" || code=$?
	[ "$code" -eq 0 ] || { cat err; false; }
	[ -z "$(ps -o pid= --ppid "$pipeline")" ]
	! said 'ended with' || false
}

@test "SIGTERM lets the stages finish the segment that is under way" {
	printf 'upload:\n  limit-rate: 500K\n' >>ps.yaml
	pass d
	begin
	# The upload of a megabyte has begun, and takes two seconds.
	wait_for sh -c '[ -n "$(find vault -name ".tmp*" -size +0)" ]'
	run ! stored d 1
	kill -TERM "$pipeline"
	wait "$pipeline"
	stored d 1
	restored d
}

@test "SIGTERM during a wait ends it at once" {
	begin --max-wait 86400 --vault "$T/nowhere"
	wait_for said 'again in'
	kill -TERM "$pipeline"
	local code=0
	wait "$pipeline" || code=$?
	[ "$code" -eq 0 ]
}

@test "SIGHUP reads the configuration again, in the same process" {
	ps-vault init vault2 >/dev/null
	begin_working
	sed -i "s|^vault:.*|vault: $T/vault2|" ps.yaml
	kill -HUP "$pipeline"
	pass e
	wait_for sh -c 'ps-vault list vault2 | grep -q yes'
	kill -0 "$pipeline"
	ps-restore vault2 --machine m --disk e -k key -o out.img >/dev/null
	cmp d.img out.img
}

@test "SIGHUP with a broken configuration changes nothing" {
	begin_working
	echo 'compress: [' >>ps.yaml
	kill -HUP "$pipeline"
	wait_for said 'the old one goes on'
	change 2
	pass d
	wait_for stored d 2
}

@test "a vault that is not there is tried again, and used when it comes" {
	mv vault away
	pass d
	begin --max-wait 1
	wait_for said 'again in'
	mv away vault
	wait_for stored d 1
}

@test "what does not pass by itself ends it with the stage's code" {
	chmod 644 key
	pass d
	fails_with 77 ps-pipeline --config ps.yaml
	said 'ps-encrypt ended with 77'
}

@test "a program that is missing ends it" {
	mkdir bin
	cp "$PS_BUILD/tools/ps-pipeline" "$PS_BUILD/tools/ps-cache" bin/
	PATH=/usr/bin:/bin fails_with 127 bin/ps-pipeline --config ps.yaml
	said 'cannot run'
}

@test "the service manager is told: ready, stopping" {
	command -v socat >/dev/null || command -v python3 >/dev/null ||
		skip "neither socat nor python3"
	python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("notify.sock")
open("bound", "w").close()
while True:
    text = s.recv(4096).decode()
    print(text, flush=True)
    if "STOPPING" in text:
        break
' >notified 3>&- &
	STARTED+=("$!")
	wait_for [ -e bound ]
	export NOTIFY_SOCKET=$T/notify.sock
	begin
	wait_for grep -q '^READY=1' notified
	kill -TERM "$pipeline"
	wait_for grep -q '^STOPPING=1' notified
}

@test "a second pipeline over the same cache waits for the first" {
	begin_working
	start ps-pipeline --config ps.yaml --max-wait 1 >out2 2>err2
	wait_for grep -q 'again in' err2
	kill "$pipeline"
	change 2
	pass d
	wait_for stored d 2
}

@test "when no stage can be started for a while it goes on trying" {
	begin
	wait_for eval '[ -n "$(pid_of ps-upload)" ]'
	prlimit --pid "$pipeline" --nofile=4:
	kill -9 "$(pid_of ps-upload)"
	wait_for said 'Too many open files; again in'
	prlimit --pid "$pipeline" --nofile=1024:
	pass d
	wait_for stored d 1
	kill "$pipeline"
	wait "$pipeline"
}
