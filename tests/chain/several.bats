#!/usr/bin/env bats
# Three vaults under one cache, of which one is away, one slow and one an
# object store: everything is killed again and again, and nothing is lost.
# PS_LONG=1: ten times as often.
load ../lib/common
load ../store/store

prepare() {
	umask 077
	ps-cache init --keep-free 0 --keep-free-initial 0 -C cache
	for name in near slow; do
		ps-vault init "vault.$name" >/dev/null
	done
	ps-encrypt --new-key key >/dev/null
	truncate -s 8M d.img
	random_file part 1000000
	dd if=part of=d.img conv=notrunc status=none
	strict
	ps-vault init s3://third >/dev/null
	cat >ps.yaml <<-END
		cache: $T/cache
		key: $T/key
		pipeline: {max-wait: 1s, stored-after: 2}
		vaults:
		- {name: near, url: "$T/vault.near"}
		- {name: slow, url: "$T/vault.slow", limit-rate: 2M}
		- {name: third, url: "s3://third", retry-for: 2s}
	END
}

pass() {
	ps-scan --machine m --disk d --map d.map --bookmark "b$1" d.img \
		2>scan.err | ps-cache put -C cache 2>put.err |
		ps-scan --commit --map d.map >acks 2>commit.err
}

change() { # change SEED: other bytes somewhere in d.img
	random_file part 300000 "$1"
	dd if=part of=d.img bs=64K seek=$(($1 % 50)) conv=notrunc status=none
}

# stat_of KEY...: of the disk d in `ps-cache stat --json`
stat_of() {
	ps-cache stat --json -C cache |
		jq -r ".disks[] | select(.disk == \"d\") | $1"
}
is() { [ "$(stat_of "$2")" = "$1" ]; }

begin() {
	start ps-pipeline --config ps.yaml >>out 2>>err
	pipeline=${STARTED[-1]}
}

# The service and all its stages, each as it stands.
kill_all() {
	local pids
	pids=$(ps -o pid= --ppid "$pipeline")
	# shellcheck disable=SC2086
	kill -9 "$pipeline" $pids 2>/dev/null || true
	wait "$pipeline" 2>/dev/null || true
}

@test "killed at any moment, with a vault that is away: all have everything" {
	local n kills=10 seq=0 named
	[ -z "${PS_LONG-}" ] || kills=100
	command -v jq >/dev/null || skip "jq is not installed"
	mv vault.slow away
	for ((n = 1; n <= kills; n++)); do
		begin
		change "$n"
		pass "$n"
		cp d.img "d.$n"
		seq=$((seq + 1))
		sleep "0.$((RANDOM % 250 + 100))"
		kill_all
		# Two have what is told as stored, whoever was killed when.
		named=$(stat_of '[.followers[].seq] | sort | reverse | .[1]')
		is "$named" .stored.seq
	done
	is 0 .followers.slow.seq
	begin
	wait_for is "$seq" .stored.seq
	mv away vault.slow
	wait_for is 0 .segments
	kill -TERM "$pipeline"
	wait "$pipeline"
	ps-cache verify -C cache >/dev/null
	for vault in vault.near vault.slow s3://third; do
		ps-vault verify "$vault" -k key >/dev/null
		for n in 1 "$((kills / 2))" "$kills"; do
			ps-restore "$vault" --machine m --disk d -k key \
				--point "b$n" -o out.img --force >/dev/null
			cmp "d.$n" out.img
		done
	done
}
