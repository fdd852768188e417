#!/usr/bin/env bats
# ps-agent: unattended protection of a machine, over servers that fail.
# shellcheck disable=SC2154 # agent is set by begin_agent
load ../lib/common
load ../lib/chain
load agent

prepare() {
	command -v jq >/dev/null || skip "jq is not installed"
	new_server
	receive
}

@test "once: a point of every disk, and each restores identical" {
	new_agent a b </dev/null
	pipeline
	agent once
	wait_for points 2
	restored a
	restored b
	is a .complete true
	is a .acknowledged.seq 1
	is a .error ''
	agent once
	wait_for points 3
	[ "$(state a .acknowledged.bookmark)" = "$(state b .acknowledged.bookmark)" ]
	[ "$(ps-vault list vault --machine m -k vault.key --json |
		jq '.[-1].disks | length')" -eq 2 ]
	[ "$(state a .acknowledged.consistency)" = none ]
}

@test "run: bookmarks at the interval, stored points are known, TERM ends it" {
	new_agent a:copy b:copy </dev/null
	pipeline
	begin_agent
	wait_for points 3
	scribble a.img 7
	wait_for points 5
	wait_for sh -c "restore() { ps-restore vault --machine m --disk a -k vault.key -q -o out.img --force; }; restore && cmp a.img out.img"
	wait_for is a '.stored.seq >= 3' true
	is a .state continuous
	is a '.stored.consistency' crash
	wait_for is a '.lag_seconds < 10 and .next_pass != null' true
	agent status >text
	grep -q '^machine m, .* agent running' text
	grep -q '^a  *continuous ' text
	kill -TERM "$agent"
	wait "$agent"
	agent status | grep -q 'agent not running'
	! said 'cannot\|failed' || { cat agent.err; false; }
}

@test "a change list is given, old snapshots go, the base moves on" {
	new_agent a:copy </dev/null
	pipeline
	agent once
	scribble a.img 3
	agent once
	scribble a.img 4 1
	agent once
	wait_for points 3
	restored a
	[ "$(find state/disks/a/provider -name 'ps-*.img' | wc -l)" -eq 1 ]
	[ "$(grep -c '^changes .*base=ps-' state/disks/a/provider/calls)" -eq 2 ]
}

@test "a provider that keeps no snapshot makes change lists, too" {
	base() { sed -n 's/^create \(ps-[^ ]*\) .*/\1/p' state/disks/a/provider/calls | tail -n 1; }
	new_agent a:copy:own-base=1 </dev/null
	pipeline
	agent once
	scribble a.img 3
	agent once
	scribble a.img 4 1
	agent once
	wait_for points 3
	restored a
	[ "$(grep -c '^changes .*base=ps-' state/disks/a/provider/calls)" -eq 2 ]
	[ -z "$(find state/disks/a/provider -name 'ps-*.img')" ]
	# One that could not be deleted is, later; it stays the base.
	mv state/disks/a/provider/old-"$(base)" "state/disks/a/provider/$(base).img"
	scribble a.img 5 1
	agent once
	[ "$(grep -c '^changes .*base=ps-' state/disks/a/provider/calls)" -eq 3 ]
	[ -z "$(find state/disks/a/provider -name 'ps-*.img')" ]
	wait_for points 4
	restored a
}

@test "what a pass that was cut had sent is mended, also with change lists" {
	local i
	new_agent a:copy </dev/null
	pipeline
	agent once
	cp a.img first.img
	for i in 1 2 3 4 5 6; do
		scribble a.img "1$i"
		: >state/disks/a/provider/calls
		begin_agent
		wait_for grep -q "^changes" state/disks/a/provider/calls
		sleep "0.0$((i * 2 - 1))" # at any moment of the pass, or behind it
		kill -9 "$agent"
		wait "$agent" 2>/dev/null || true
		# Blocks that may have been sent are again what they were before.
		cp first.img a.img
		scribble a.img "2$i" 1
		agent once
		wait_for drained
		restored a
		cp a.img first.img
	done
}

@test "a disk in initial replication does not keep the others waiting" {
	new_agent a:copy big:copy:lazy="$T/go" </dev/null
	pipeline
	begin_agent
	wait_for is a '.acknowledged.seq >= 3' true
	is big .complete false
	touch go
	wait_for is big .complete true
	wait_for eval '[ "$(ps-vault list vault --machine m -k vault.key --json |
		jq ".[-1].disks | length")" -eq 2 ]'
}

@test "pause and resume, with an agent and without" {
	new_agent a:copy </dev/null
	agent pause
	agent once
	is a .state paused
	[ "$(state a .acknowledged)" = null ]
	agent resume
	is a .state initiating
	begin_agent
	wait_for is a '.acknowledged.seq >= 1' true
	agent pause a
	wait_for is a .under_way_since null
	local seq
	seq=$(state a .acknowledged.seq)
	is a .state paused
	agent resume a
	wait_for is a ".acknowledged.seq > $seq" true
	fails_with 64 agent pause nosuch
}

@test "rescan reads the whole disk once, whatever the change list says" {
	new_agent a:copy </dev/null
	agent once
	# A change that the provider does not see: the base is changed, too.
	scribble a.img 9
	cp a.img state/disks/a/provider/ps-*.img
	agent once
	pipeline
	wait_for drained
	! restored a || false
	agent rescan
	agent once
	wait_for drained
	restored a
	scribble a.img 10
	agent once
	[ "$(grep -c '^changes' state/disks/a/provider/calls)" -eq 2 ]
}

@test "scrub: what a change list has missed is found, sent, and told" {
	new_agent a:copy </dev/null
	sed -i '1i scrub: 1/1' agent.yaml
	agent once
	scribble a.img 9 1
	cp a.img state/disks/a/provider/ps-*.img
	agent once -q 2>>agent.err
	said 'scrub: .* blocks differ that no change list has named'
	pipeline
	wait_for drained
	restored a
	agent once 2>later.err
	run ! grep scrub: later.err
	is a '.scrub_found > 0' true
	agent status | grep -q 'scrub  *found'
}

@test "backlog, rescan, resync and held are told while they last" {
	new_agent a:copy:lazy="$T/go" b </dev/null
	sed -i 's/^interval.*/interval: 1/' agent.yaml
	touch go
	begin_agent
	wait_for is a .state continuous
	rm go
	wait_for is a .state backlog
	agent rescan a
	touch go
	wait_for is a .state continuous
	# Between passes: one that has begun would wait for go as it is.
	agent pause
	wait_for is a .under_way_since null
	rm go
	agent rescan a
	agent resume
	wait_for is a .state rescan
	touch go
	wait_for is a .state continuous
	ps-cache hold -C s1/cache m b "somebody said so"
	wait_for is b .state held
	kill -9 "$agent"
	wait "$agent" || true
	rm -rf state/disks/a/map*
	begin_agent
	wait_for is a .state resync
}

@test "a rescan that is asked for while one lasts is another one" {
	touch go
	new_agent "a:copy:lazy=$T/go" </dev/null
	agent once
	rm go
	agent rescan a
	start agent once
	wait_for is a .state rescan
	agent rescan a
	touch go
	wait "${STARTED[-1]}"
	[ -e state/control/rescan.a ]
	agent once
	[ ! -e state/control/rescan.a ]
}

@test "a server that goes away: disconnected, back-off, one pass on return" {
	touch go
	new_agent "a:copy:lazy=$T/go" b:copy </dev/null
	begin_agent
	wait_for is b '.acknowledged.seq >= 1' true
	kill "${STARTED[0]}"
	wait "${STARTED[0]}" || true
	wait_for is a .state disconnected
	is a .cause unreachable
	# What follows from that is no reason.
	said 'a: cxpsclient: .*Connection refused'
	! said 'nothing was said about this disk' || false
	scribble a.img 3
	is a '.error != "" and .next_pass != null' true
	rm go
	receive
	pipeline
	# That it is there again is seen long before the pass has ended.
	wait_for is a '.under_way_since != null and .cause == "" and .error == ""' true
	touch go
	wait_for is a .state continuous
	wait_for is a .error ''
	wait_for sh -c "ps-restore vault --machine m --disk a -k vault.key -q -o out.img --force && cmp a.img out.img"
	# Nothing but the map, its journal and one snapshot is kept.
	[ "$(find state/disks/a/provider -name 'ps-*.img' | wc -l)" -le 2 ]
}

@test "once says by its exit code whether to try again" {
	new_agent a </dev/null
	kill "${STARTED[0]}"
	wait "${STARTED[0]}" || true
	fails_with 69 agent once -q
	grep -q '^ps-agent: a: .*Connection refused' err
	[ "$(wc -l <err)" -eq 1 ]
	# And not twice where the program that failed is heard, too.
	fails_with 69 agent once
	[ "$(grep -c 'Connection refused' err)" -eq 1 ]
	is a .cause unreachable
	is a '.error | endswith("Connection refused: unreachable")' true
	rm state -rf
	chmod 644 m.key
	fails_with 77 agent once
	chmod 600 m.key
	sed -i 's/^max-wait.*/&\nlimits: {nice: 10, ionice: idle, cpu: 50%}/' agent.yaml
	receive
	agent once
}

@test "a killed agent: snapshots are swept, nothing is to be repaired" {
	local i
	new_agent a:copy b:copy </dev/null
	pipeline
	for i in 1 2 3 4 5 6; do
		begin_agent
		sleep "0.$i" # at any moment, not for something to happen
		kill -9 "$agent"
		wait "$agent" 2>/dev/null || true
		scribble a.img "$i" 2
	done
	wait_for agent once
	wait_for drained
	restored a
	restored b
	[ "$(find state/disks/*/provider -name 'ps-*.img' | wc -l)" -eq 2 ]
}

@test "two agents never work with one state" {
	new_agent a </dev/null
	begin_agent
	wait_for is a .complete true
	fails_with 75 agent once
	grep -q 'another ps-agent' err
}

@test "SIGHUP reads the configuration again; what is wrong is refused" {
	new_agent a:copy </dev/null
	begin_agent
	wait_for is a .complete true
	cp agent.yaml good.yaml
	echo 'nosuch: 1' >>agent.yaml
	kill -HUP "$agent"
	wait_for said "'nosuch': no such key"
	wait_for said 'the old one goes on'
	truncate -s 4M b.img
	cp good.yaml agent.yaml
	echo "  - {name: b, source: $T/b.img}" >>agent.yaml
	kill -HUP "$agent"
	wait_for is b .complete true
	kill -0 "$agent"
}

@test "the service manager is told: ready, watchdog, status, stopping" {
	new_agent a </dev/null
	python3 -c '
import socket
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
	NOTIFY_SOCKET=$T/notify.sock WATCHDOG_USEC=200000 begin_agent
	wait_for grep -q '^READY=1' notified
	wait_for eval '[ "$(grep -c "^WATCHDOG=1" notified)" -gt 2 ]'
	wait_for grep -q '^STATUS=1 disks: 1 continuous' notified
	kill -HUP "$agent"
	wait_for grep -q '^RELOADING=1' notified
	wait_for eval '[ "$(grep -c "^READY=1" notified)" -eq 2 ]'
	kill "$agent"
	wait_for grep -q '^STOPPING=1' notified
}

@test "wrong keys and values are refused with their line" {
	local line
	new_agent a </dev/null
	cp agent.yaml good.yaml
	while read -r line; do
		cp good.yaml agent.yaml
		sed -i "1i $line" agent.yaml
		fails_with 78 agent check
		grep -q 'agent.yaml:1: ' err || { cat err; false; }
	done <<-END
		intervall: 5
		scrub: 31/30
		scrub: x
		key: relative
		hooks: {timeout: soon}
		limits: {nice: 20}
		limits: {cpu: half}
		limits: {ionice: low}
		limits: {send-rate: fast}
		bookmarks: {app: 0}
	END
	cp good.yaml agent.yaml
	agent check
	sed -i '/^machine/d' agent.yaml
	fails_with 78 agent check
	fails_with 78 ps-agent check -c nowhere.yaml
	cp good.yaml agent.yaml
	echo 'config-server: {address: 127.0.0.1, pin: sha256//AAAA}' >>agent.yaml
	fails_with 78 agent check
	grep -q "'sha256//AAAA' is no pin" err
}

@test "status says why it is not known where the process server is" {
	new_agent a <<<'config-server: {address: 127.0.0.1, port: 1}'
	sed -i '/^  host:/d' agent.yaml
	fails_with 69 agent once
	agent status | grep '^where the process server is: .*refused'
	agent status --json | jq -e '.server_error | test("refused")'
}
