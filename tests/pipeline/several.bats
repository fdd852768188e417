#!/usr/bin/env bats
# ps-pipeline into several vaults: none of them is in another's way.
load ../lib/common

prepare() {
	umask 077
	ps-cache init --keep-free 0 --keep-free-initial 0 -C cache
	for name in near far third; do
		ps-vault init "vault.$name" >/dev/null
	done
	ps-encrypt --new-key key >/dev/null
	truncate -s 8M d.img
	random_file part 1000000
	dd if=part of=d.img conv=notrunc status=none
	configure near far
}

# configure NAME...: a ps.yaml with these vaults
configure() {
	printf 'cache: %s\nkey: %s\nvaults:\n' "$T/cache" "$T/key" >ps.yaml
	for name; do
		printf -- '- {name: %s, url: "%s"}\n' "$name" "$T/vault.$name"
	done >>ps.yaml
}

# pass DISK [OPTION...]: one pass of d.img into the cache.
pass() {
	local disk=$1
	shift
	ps-scan --machine m --disk "$disk" --map "$disk.map" "$@" d.img 2>scan.err |
		tee last | ps-cache put -C cache 2>put.err |
		ps-scan --commit --map "$disk.map" >acks 2>commit.err
}

change() { # change SEED: other bytes somewhere in d.img
	random_file part 100000 "$1"
	dd if=part of=d.img bs=64K seek=$(($1 % 50)) conv=notrunc status=none
}

ends() { # ends VAULT SEQ [DISK]: that is the vault's head of the disk
	[ "$(ps-vault head "vault.$1" --machine m --disk "${3:-d}" |
		cut -f 4)" = "$2" ]
}

restored() { # restored VAULT [DISK]: its latest point is what d.img is
	ps-restore "vault.$1" --machine m --disk "${2:-d}" -k key -o out.img \
		--force >/dev/null && cmp d.img out.img
}

# stat KEY...: of the disk d in `ps-cache stat --json`
stat_of() {
	ps-cache stat --json -C cache | python3 -c '
import json, sys
for d in json.load(sys.stdin)["disks"]:
    if d["disk"] == "d":
        for k in sys.argv[1:]:
            d = d[k]
        print(d)' "$@"
}

is() { # is VALUE KEY...
	[ "$(stat_of "${@:2}")" = "$1" ]
}

# A new server: its cache knows nothing of the disk, and the source asks.
new_cache() {
	rm -rf cache
	ps-cache init --keep-free 0 --keep-free-initial 0 -C cache
	fails_with 75 ps-cache put -C cache <last
	is False seated
}

said() {
	grep -q -e "$1" err
}

begin() { # ps-pipeline in the background, told from $pipeline
	start ps-pipeline --config ps.yaml --max-wait 1 "$@" >out 2>err
	pipeline=${STARTED[-1]}
}

finish() {
	kill -TERM "$pipeline"
	wait "$pipeline"
}

@test "each vault gets everything; it leaves the cache when all have it" {
	begin
	pass d
	wait_for ends near 1
	wait_for ends far 1
	wait_for is 1 stored seq
	wait_for is 0 segments
	restored near
	restored far
	finish
	ps-vault verify vault.near -k key >/dev/null
	ps-vault verify vault.far -k key >/dev/null
}

@test "a dead vault stalls no other and gets what it missed" {
	mv vault.far away
	begin
	pass d
	wait_for ends near 1
	change 2
	pass d
	wait_for ends near 2
	is 0 stored seq
	is 2 segments
	wait_for said '^ps-pipeline: far: ps-upload ended with .*again in'
	! said 'near: ' || false
	mv away vault.far
	wait_for ends far 2
	wait_for is 0 segments
	is 2 stored seq
	restored far
}

@test "stored is told after N of M, also by the next one that starts" {
	mv vault.far away
	begin --stored-after 1
	pass d
	wait_for is 1 stored seq
	is 1 segments
	kill -9 "$pipeline"
	change 2
	pass d
	begin --stored-after 1
	wait_for is 2 stored seq
	finish
	is 0 followers far seq
	# What was told once is not taken back, what comes needs both.
	begin
	change 3
	pass d
	wait_for is 3 followers near seq
	is 2 stored seq
	kill -HUP "$pipeline"
	finish
	# Only one is asked for again: it is told at once.
	begin --stored-after 1
	wait_for is 3 stored seq
}

@test "a vault that refuses a disk holds it for itself alone" {
	pass d
	ps-pipeline --config ps.yaml --once -q
	# Another server has gone on in the far vault.
	mkdir other
	cp -r d.map* other
	change 7
	ps-scan --machine m --disk d --map other/d.map d.img 2>scan.err |
		ps-encrypt -k key | ps-upload vault.far >/dev/null
	ends far 2
	change 2
	pass d
	begin
	wait_for ends near 2
	wait_for is True followers far held
	is False held
	fails_with 1 ps-cache stat -C cache
	grep -q 'on hold for far: refused' out
	change 3
	pass d
	wait_for ends near 3
	is 2 segments
	kill -0 "$pipeline"
	finish
	configure near
	ps-cache drop-follower far -C cache
	is 0 segments
	is 3 stored seq
}

@test "a vault that comes later begins when it was filled by a copy" {
	[ -n "${PS_LONG-}" ] || skip "PS_LONG=1; the next but one has most of it"
	configure near
	begin
	pass d
	wait_for ends near 1
	finish
	configure near far
	begin
	change 2
	pass d
	wait_for ends near 2
	wait_for is True followers far held
	ps-vault copy vault.near vault.far >/dev/null
	wait_for is False followers far held
	wait_for is 0 segments
	wait_for is 2 stored seq
	change 3
	pass d
	wait_for ends far 3
	restored far
	said 'm/d: a vault that was left behind goes on'
}

@test "a slow vault does not hold up the others; SIGHUP makes it fast" {
	printf -- '- {name: third, url: "%s", limit-rate: 64K}\n' \
		"$T/vault.third" >>ps.yaml
	begin
	pass d
	wait_for ends near 1
	wait_for ends far 1
	change 2
	pass d
	wait_for ends near 2
	wait_for ends far 2
	# A megabyte takes 16 seconds there: it is still on its way.
	ends third 0
	local upload
	upload=$(ps -o pid=,args= --ppid "$pipeline" |
		awk '/ps-upload.*--for third/ { print $1 }')
	sed -i 's/64K/1G/' ps.yaml
	kill -HUP "$pipeline"
	wait_for ends third 2
	kill -0 "$upload"
	wait_for is 0 segments
	restored third
}

@test "a new server goes on from the furthest vault, the other is filled" {
	pass d
	ps-pipeline --config ps.yaml --once -q
	configure near
	change 2
	pass d
	ps-cache drop-follower far -C cache
	ps-pipeline --config ps.yaml --once -q
	new_cache
	configure far near
	begin
	wait_for is True seated
	is 2 accepted seq
	change 3
	pass d
	wait_for ends near 3
	wait_for is True followers far held
	stat_of followers far reason | grep -q 'ps-vault copy has to fill it'
	is 0 stored seq
	ps-vault copy vault.near vault.far >/dev/null
	wait_for is False followers far held
	wait_for is 3 stored seq
	restored far
}

@test "too few vaults that answer do not decide where a disk goes on" {
	pass d
	change 2
	pass d
	ps-pipeline --config ps.yaml --once -q
	new_cache
	mv vault.far away
	# What was told as stored may be in the other one alone.
	# It is not to give up the vault that is away meanwhile.
	begin --seat-wait 0 --stored-after 1 --max-wait 60
	wait_for said 'm/d: could not be seated'
	is False seated
	finish
	begin --seat-wait 0
	wait_for is True seated
}

@test "a vault that somebody has to look at is left alone until SIGHUP" {
	ps-cache init -C none
	sed -i "s|$T/vault.far|$T/none|" ps.yaml
	begin
	wait_for said 'far: ps-upload ended with 78 .*; stopped, the others go on'
	pass d
	wait_for ends near 1
	rm -r none
	cp -r vault.third none
	kill -HUP "$pipeline"
	wait_for is 0 segments
	change 2
	pass d
	wait_for is 2 stored seq
}

@test "a key of a vault that is unknown, or one without a name, is refused" {
	sed -i 's/name: far/name: far, keys: x/' ps.yaml
	fails_with 78 ps-pipeline --config ps.yaml --print
	grep -q 'ps.yaml:[0-9]*: vaults.1.keys: no such key' err
	fails_with 64 ps-pipeline --vault a --vault b --print -C cache
	grep -q "say --vault NAME=URL" err
	fails_with 78 ps-pipeline --vault a=a --vault b=b --stored-after 3 \
		--print -C cache
}

@test "--print gives lines that a shell runs at the same time" {
	pass d
	ps-pipeline --config ps.yaml --once --print >lines
	[ "$(wc -l <lines)" -eq 3 ]
	sh lines >out
	ends near 1
	ends far 1
	is 0 segments
}

# The source asks what was taken, as `cxpsclient --status` does.
settle() {
	printf 'durable\tm\td\t%s\t%s\thead\n' "$(stat_of accepted seq)" \
		"$(stat_of accepted digest)" |
		ps-scan --commit --map d.map >/dev/null 2>&1
}

# throttled: a pass is not taken, for want of room
throttled() {
	change "$1"
	! pass d && grep -q 'limit' put.err && settle
}

@test "stores away for hours: the cache fills, sources wait, all drains" {
	local n
	ps-cache init --disk-limit 1200K -C cache
	mv vault.near near
	mv vault.far far
	begin
	for n in 1 2 3 4; do
		change "$n"
		pass d || break
	done
	grep -q 'limit' put.err
	settle
	# The one that comes back gets all; the dead one still keeps the room.
	mv near vault.near
	wait_for is "$(stat_of accepted seq)" followers near seq
	throttled 5
	configure near
	kill -HUP "$pipeline"
	wait_for ps-cache drop-follower far -C cache
	wait_for is 0 segments
	change 6
	pass d
	wait_for is "$(stat_of accepted seq)" stored seq
	restored near
	# The dead one comes back, and misses what a copy brings.
	mv far vault.far
	ps-vault copy vault.near vault.far >/dev/null
	configure near far
	kill -HUP "$pipeline"
	change 7
	pass d
	wait_for is 0 segments
	restored near
	restored far
	ps-vault verify vault.near -k key >/dev/null
	ps-vault verify vault.far -k key >/dev/null
}
