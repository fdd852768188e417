#!/usr/bin/env bats
# ps-agent: application-consistent bookmarks, held writers, resync.
# shellcheck disable=SC2154 # agent is set by begin_agent
load ../lib/common
load ../lib/chain
load agent

prepare() {
	command -v jq >/dev/null || skip "jq is not installed"
	new_server
	receive
	cat >hook <<'END'
#!/bin/sh
echo "$1" >>calls
[ ! -e "$1.fails" ] || { printf 'hook: ung\374ltig\n' >&2; exit 1; }
[ ! -e "$1.hangs" ] || exec sleep 1000
END
	chmod +x hook
}

hooked() { # hooked DISK...: an agent with hooks
	new_agent "$@" <<-END
		bookmarks: {app: 1}
		hooks: {pre: $T/hook, post: $T/hook, timeout: ${LIMIT-60}}
	END
}

@test "hooks around the snapshots make a point application-consistent" {
	hooked a:copy b:copy
	agent once
	pipeline
	agent once
	is a .acknowledged.consistency app
	is b .acknowledged.consistency app
	[ "$(tr '\n' ' ' <calls)" = 'freeze thaw ' ]
	wait_for drained
	[ "$(ps-vault list vault --machine m -k vault.key --json |
		jq -r '.[-1].consistency')" = app ]
}

@test "a hook that fails or takes too long: thawed, crash-consistent, told" {
	local how word
	LIMIT=1 hooked a:copy
	agent once
	for how in fails hangs; do
		for word in freeze thaw; do
			rm -f calls
			touch "$word.$how"
			agent once 2>>agent.err
			rm "$word.$how"
			is a .acknowledged.consistency crash
			state a .error | grep -q 'no application-consistent'
			# Words in Latin-1 do not cost the state of the disk.
			[ "$how" = hangs ] ||
				state a .error | grep -q 'hook: ung?ltig'
			[ "$(tr '\n' ' ' <calls)" = 'freeze thaw ' ]
			sleep 1 # the interval between application bookmarks
		done
	done
	sed -i 's/timeout: 1}/timeout: 60}/' agent.yaml
	agent once
	is a .acknowledged.consistency app
	is a .error ''
}

@test "an application is not held longer than its limit, however long snapshots take" {
	touch go
	LIMIT=1 hooked "a:copy:lazy=$T/go"
	agent once
	rm -f go calls
	start ps-agent once -c agent.yaml 2>>agent.err
	wait_for grep -q thaw calls
	touch go
	wait "${STARTED[-1]}"
	[ "$(tr '\n' ' ' <calls)" = 'freeze thaw ' ]
	is a .acknowledged.consistency crash
	state a .error | grep -q 'hook post: run before the snapshots were there, after 1 s'
}

@test "an agent that is killed between the hooks thaws when it comes again" {
	hooked a:copy
	agent once
	touch freeze.hangs
	begin_agent
	wait_for grep -q freeze calls
	kill -9 "$agent"
	wait "$agent" 2>/dev/null || true
	rm freeze.hangs calls
	agent pause
	agent once
	[ "$(cat calls)" = thaw ]
}

@test "a snapshot that fails or takes too long leaves its disk out" {
	hooked a:copy b:copy
	agent once
	sed -i '/name: b/s/options: {/&fail: create/' agent.yaml
	fails_with 75 agent once
	is b '.error | contains("told to fail")' true
	is b .state stalled
	is a .acknowledged.seq 2
	is b .acknowledged.seq 1
	sed -i 's/fail: create/hang: create/; 1i provider-timeout: 1' agent.yaml
	fails_with 75 agent once
	is b '.error | contains("did not end within 1 s")' true
	is a .acknowledged.seq 3
}

@test "a provider without a change list has the whole disk read" {
	new_agent a:copy:no-changes=1 </dev/null
	agent once
	scribble a.img 2
	# It says so each time: that is no trouble.
	agent once 2>agent.err
	[ ! -s agent.err ]
	pipeline
	wait_for drained
	restored a
}

@test "a map that is lost: the server's digest map, and only what differs" {
	new_agent a:copy </dev/null
	pipeline
	agent once
	wait_for drained
	rm -rf state/disks/a/map*
	scribble a.img 2 1
	wait_for eval 'agent once 2>>agent.err'
	said 'resync: .*digest map is asked for'
	! said 'everything is sent again' || false
	is a .error ''
	is a .acknowledged.seq 2
	wait_for drained
	restored a
	# The first pass had a hundred kilobytes or more.
	[ "$(find vault -type f -path '*/a/*' -printf '%s\n' | sort -n |
		head -n 1)" -lt 60000 ]
}

@test "a server that holds back: throttled is not failed, and it passes" {
	new_agent a:copy </dev/null
	agent once
	ps-cache init -C s1/cache --keep-free 99 --keep-free-initial 100
	scribble a.img 2
	fails_with 75 agent once
	is a .state throttled
	is a .cause cache-throttle
	agent status | grep -q throttled
	ps-cache init -C s1/cache --keep-free 0 --keep-free-initial 0
	agent once
	is a .state continuous
	is a .error ''
	pipeline
	wait_for drained
	restored a
}

@test "writers are held only for the rest, and the point says if they were" {
	ps-scan --help | grep -q -e --no-point || skip "no passes without a point"
	new_agent a:window </dev/null
	pipeline
	agent once
	is a .acknowledged.consistency crash
	[ ! -e a.img.held ]
	wait_for drained
	restored a
	sed -i 's/options: {/&break: 1/' agent.yaml
	scribble a.img 2
	agent once 2>agent.err
	is a .acknowledged.consistency none
	is a '.error | contains("window was not kept")' true
	wait_for drained
	restored a
	grep -q check state/disks/a/provider/calls
}

@test "31 disks: the agent itself needs less than 16 MiB" {
	local i disks=()
	for ((i = 1; i <= 31; i++)); do
		disks+=("d$i")
		truncate -s 1M "d$i.img"
		random_file part 5000 "$i"
		dd if=part of="d$i.img" conv=notrunc status=none
	done
	new_agent "${disks[@]}" <<<''
	begin_agent
	wait_for eval '[ "$(agent status --json |
		jq "[.disks[] | select(.complete)] | length")" -eq 31 ]'
	wait_for is d31 '.acknowledged.seq >= 2' true
	[ "$(ps -o rss= -p "$agent")" -gt 0 ]
	[ "${PS_SANITIZE:-}" = 1 ] || # they take memory of their own
		[ "$(ps -o rss= -p "$agent")" -lt 16384 ]
}
