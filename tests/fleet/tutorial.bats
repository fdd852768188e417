#!/usr/bin/env bats
# doc/tutorial.md: its commands, literally, in its order, in one shell. They
# have fixed ports, so they run in a network of their own.
load ../lib/common

cleanup() {
	[ ! -s "$T/pids" ] || xargs kill <"$T/pids" || true
}

@test "the tutorial: from nothing to two process servers, a move, a restore" {
	[ "$(id -u)" -eq 0 ] || skip "needs root, for a network of its own"
	command -v jq >/dev/null || skip "jq is not installed"
	unshare -n true || skip "no network namespaces here"
	{
		# What is left running when a command fails is ended by cleanup().
		printf 'set -euo pipefail\ntrap "jobs -p >%s/pids" EXIT\n' "$T"
		awk '/^```sh$/ { on = 1; next } /^```$/ { on = 0 } on' \
			"$PS_SOURCE/doc/tutorial.md"
	} >commands
	[ "$(wc -l <commands)" -gt 60 ]
	timeout 200 unshare -n sh -c 'ip link set lo up && exec bash commands' \
		>out 2>err || { tail -n 30 out err site/*.err site/*/*.err; false; }
	grep -q "^web01: s1 -> s2" out
	grep -q "^verified equal to the source's digest, authenticated" out
	grep -q 'sound, every block checked$' out
	cmp site/disk.img site/restored.img
}
