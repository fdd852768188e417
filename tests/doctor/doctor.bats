#!/usr/bin/env bats
# ps-doctor on a server that is well, and what must run on which kind of
# server.
load ../lib/common
load ../lib/chain
load doctor

prepare() {
	need_jq
	export PS_HEALTH_DIR=$T/health
	new_server
	random_file disk.img 400000
	truncate -s 8M disk.img
}

need_jq() { command -v jq >/dev/null || skip "jq is not installed"; }

@test "a healthy server: no fault, no false alarm" {
	serve
	pass m d disk.img s1 --bookmark b1
	wait_for drained
	doctor --all --json >out
	cat out
	[ "$(jq -r .result out)" = well ]
	[ "$(jq -r '[.steps[] | select(.result == "failed")] | length' out)" = 0 ]
	[ "$(jq -r .role out)" = server ]
	[ "$(step heartbeat .what)" = "no configuration server in ps.yaml" ]
	[ "$(step selftest .result)" = passed ]
	[ "$(step store .result)" = passed ]
	doctor --all -v >words
	cat words
	grep -q '^No fault found: ' words
}

# stand_in PROGRAM WORD...: a process that looks like it to who reads /proc
stand_in() {
	cat >"$1" <<-'END'
		#!/bin/bash
		sleep 300 &
		trap 'kill $!' EXIT
		wait
	END
	chmod +x "$1"
	start "./$1" "${@:2}"
	wait_for grep -qx "$1" "/proc/${STARTED[-1]}/comm"
}

# down [OPTION...]: what ps-health finds missing, by name, and ps-doctor, too
down() {
	rm -rf health
	ps-health sample --config s1/ps.yaml --listen \
		"127.0.0.1:$(server_port s1)" "$@"
	ps-health check --config s1/ps.yaml --json "$@" >check.json || true
	doctor --json "$@" services >out || true
	step services '.evidence[]' | sed -n \
		's/: \(nobody\|nothing\|no such\) .*//p' | sort >by-doctor
	jq .figures.services_down check.json >by-health
	[ "$(wc -l <by-doctor)" -eq "$(cat by-health)" ] || {
		cat by-doctor by-health out
		return 1
	}
	tr '\n' , <by-doctor
}

@test "each role has its services: what is missing is named by both tools" {
	load ../agent/agent
	serve
	new_agent root </dev/null
	export PS_AGENT_CONFIG=$T/agent.yaml
	# Without a configuration server nobody waits for a heartbeat.
	[ "$(down)" = '' ]
	[ "$(down --role standalone)" = '' ]
	[ "$(down --role failback)" = '' ]
	[ "$(down --role configuration)" = 'ps-config serve,' ]
	[ "$(down --role master-target)" = 'ps-agent,' ]
	[ "$(down --services agent,config)" = 'ps-agent,ps-config serve,' ]
	sed -i '$a config: {server: cs.example}' s1/ps.yaml
	[ "$(down --role standalone)" = 'ps-config heartbeat,' ]
	[ "$(down --role failback)" = '' ]
	[ "$(down --role configuration)" = \
		'ps-config heartbeat,ps-config serve,' ]
	[ "$(down --role master-target)" = 'ps-agent,ps-config heartbeat,' ]
	# ps.yaml says it as well.
	sed -i '$a health: {role: master-target}' s1/ps.yaml
	[ "$(down)" = 'ps-agent,ps-config heartbeat,' ]
	sed -i 's/role: .*/role: configuration}/' s1/ps.yaml
	[ "$(down)" = 'ps-config heartbeat,ps-config serve,' ]
	stand_in ps-config heartbeat --config s1/ps.yaml
	[ "$(down)" = 'ps-config serve,' ]
	stand_in ps-config serve --config "$T/s1/ps.yaml"
	[ "$(down)" = '' ]
	# What another configuration names is another's.
	kill "${STARTED[-1]}"
	wait "${STARTED[-1]}" || true
	stand_in ps-config serve --config empty.yaml
	[ "$(down)" = 'ps-config serve,' ]
	stop_all
	[ "$(down)" = \
		'ps-config heartbeat,ps-config serve,ps-pipeline,ps-receive,' ]
	[ "$(down --role failback)" = 'ps-pipeline,ps-receive,' ]
	sed -i 's/role: .*/role: butler}/' s1/ps.yaml
	fails_with 78 doctor services
	fails_with 78 ps-health sample --config s1/ps.yaml
	fails_with 64 doctor --services butler services
}

@test "a source must have its agent" {
	load ../agent/agent
	receive
	new_agent root </dev/null
	export PS_AGENT_CONFIG=$T/agent.yaml
	from_source() { ps-doctor --config empty.yaml --json "$@"; }
	fails_with 1 from_source --role source services
	[ "$(jq -r .what out)" = "not running: ps-agent" ]
	fails_with 1 from_source --role master-target services
	begin_agent
	wait_for from_source --role source services
	from_source --role master-target services
	[ "$(down --role source)" = '' ]
	kill "${STARTED[-1]}"
	wait "${STARTED[-1]}" || true
	[ "$(down --role source)" = 'ps-agent,' ]
}

# heartbeat AGE: both tools, with a stamp of that age
heartbeat() {
	faketime -f "-$1s" ps-health sample --config s1/ps.yaml
	faketime -f "-$1s" ps-health stamp heartbeat
	ps-health sample --config s1/ps.yaml
	ps-health check --config s1/ps.yaml --json >check.json || true
	doctor --json heartbeat >out || true
	echo "$(jq -r '[.alerts[] | select(.code == "806") | .level] | .[0]' \
		check.json) $(step heartbeat .result)"
}

@test "no heartbeat for 15 minutes is told, where one is expected" {
	port=9443
	echo "$port" >s1/port
	# The age of a stamp is of whole seconds, and some pass meanwhile.
	[ "$(heartbeat 2000)" = 'null skipped' ]
	sed -i '$a config: {server: cs.example, port: 443}' s1/ps.yaml
	rm -rf health
	[ "$(heartbeat 830)" = 'null passed' ]
	rm -rf health
	[ "$(heartbeat 901)" = 'critical failed' ]
	step heartbeat .what | grep -q '806: no heartbeat to cs.example for 15m'
	# The first sample that expects one begins the time.
	rm -rf health
	doctor --json heartbeat >out || true
	[ "$(step heartbeat .what)" = 'no heartbeat to cs.example yet' ]
	faketime -f -901s ps-health sample --config s1/ps.yaml
	ps-health sample --config s1/ps.yaml
	ps-health check --config s1/ps.yaml --json >check.json || true
	jq -e '.alerts[] | select(.code == "806") | .level == "critical"' check.json
	# Another threshold is that of both.
	sed -i '$a health: {limits: {heartbeat: {critical: 2h}}}' s1/ps.yaml
	[ "$(heartbeat 3600)" = 'null passed' ]
	# Who takes the server out of ps.yaml is not told of it any more.
	sed -i '/^config:/d' s1/ps.yaml
	[ "$(heartbeat 9000)" = 'null skipped' ]
	[ ! -e health/heartbeat.since ]
}

@test "a scanner by its name, and one that holds each open, with what to exclude" {
	echo 1 >s1/port
	stand_in clamonacc
	doctor --json antivirus >out
	[ "$(step antivirus .result)" = warning ]
	step antivirus '.evidence[]' | grep -q 'ClamAV on-access runs'
	step antivirus .next | grep -q "exclude from it: $T/s1/cache, $T/health"
	[ "$(id -u)" -eq 0 ] || skip "the rest needs root"
	mkdir watched
	cat >listener.py <<-'END'
		import ctypes, sys, time
		c = ctypes.CDLL(None, use_errno=True)
		# FAN_CLASS_CONTENT; FAN_MARK_ADD, FAN_OPEN_PERM, AT_FDCWD
		fd = c.fanotify_init(4, 0)
		c.fanotify_mark.argtypes = [ctypes.c_int, ctypes.c_uint,
		    ctypes.c_uint64, ctypes.c_int, ctypes.c_char_p]
		ok = fd >= 0 and c.fanotify_mark(fd, 1, 0x10000, -100, b"watched") == 0
		print("yes" if ok else "no", flush=True)
		time.sleep(100)
	END
	start python3 listener.py >can
	wait_for test -s can
	grep -q yes can || skip "no permission events of fanotify here"
	doctor --json antivirus >out
	step antivirus '.evidence[]' |
		grep -q "(pid ${STARTED[-1]}) is asked before a file is opened"
}

@test "failures in the logs: of a disk, and of a program" {
	serve
	pass m d disk.img s1 --bookmark b1
	wait_for drained
	doctor --json logs >out
	[ "$(step logs .result)" = passed ]
	ps-cache hold -C s1/cache m d "somebody said so"
	scribble disk.img 7
	ps-scan --machine m --disk d --map m.d.map --bookmark b2 disk.img |
		client m s1 --put - >acks 2>put.err || true
	echo "ps-upload: azblob://a/v: the service answered 500" >some.log
	doctor --json --log some.log logs >out || true
	[ "$(step logs .result)" = failed ] || { cat out put.err; false; }
	step logs '.evidence[]' | grep -q '^last answer 423 .*/m/disks/d/'
	step logs '.evidence[]' | grep -q '^1 line tells of failures; .* 500$'
	# One that nobody wrote to for an hour is old.
	touch -d '2 hours ago' some.log
	doctor --json --log some.log logs >out || true
	step logs '.evidence[]' | grep -q '^last answer 423'
	run ! grep -q 'tells of failures' out
}
