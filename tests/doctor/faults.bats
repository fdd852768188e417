#!/usr/bin/env bats
# Faults that are made for real, each once: what `ps-health why` and the step
# that ps-doctor name as the cause. The table of all of them is printed in the
# end.
load ../lib/common
load ../lib/chain
load ../store/store
load ../agent/agent
load doctor

prepare() {
	command -v jq >/dev/null || skip "jq is not installed"
	export PS_HEALTH_DIR=$T/health
	new_server
	random_file disk.img 400000
	truncate -s 8M disk.img
}

cleanup() {
	! mountpoint -q "$T/s1/cache" || umount -l "$T/s1/cache"
}

teardown_file() { table; }

# root_only: some faults can be made by root alone
root_only() {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
}

# store_server KIND: the vault of s1 is in a strict server
store_server() {
	strict
	export AZURE_STORAGE_KEY AZURE_STORAGE_BLOB_ENDPOINT
	VAULT=azblob://$AZURE_STORAGE_ACCOUNT/vault
	ps-vault init "$VAULT"
	sed -i "s|^vault: .*|vault: $VAULT|" s1/ps.yaml
}

# All steps but the one that looks for eight seconds whether anything moves.
brisk() {
	[ -n "${PS_LONG:-}" ] ||
		echo alerts cache disks services heartbeat clock antivirus \
			port https address selftest logs store firewall proxy \
			bandwidth
}

from_source() { ps-doctor --role source -c agent.yaml --json "$@"; }

@test "a stopped receiver; it is started again" {
	serve
	pass m d disk.img s1 --bookmark b1
	wait_for drained
	kill "${STARTED[0]}"
	wait_for bash -c "! kill -0 ${STARTED[0]}"
	both "stopped receiver" receiver-down services
	# Nobody to ask: nothing is done.
	fails_with 1 setsid -w timeout 60 ps-doctor --config s1/ps.yaml \
		--state health -l "127.0.0.1:$(server_port s1)" --fix \
		--restart-receive 'touch touched'
	grep -q 'no terminal to ask on' err
	[ ! -e touched ]
	cat >again <<-END
		exec setsid ps-receive --config s1/ps.yaml \\
			-l 127.0.0.1:$(server_port s1) >/dev/null 2>&1 3>&- &
		echo \$! >again.pid
	END
	doctor --fix --yes --restart-receive '. ./again' >out 2>err
	STARTED+=("$(cat again.pid)")
	cat out err
	grep -q '^Cause: services: ' out
	grep -q '^No fault found: ' out
}

@test "a full cache" {
	root_only
	mv s1/cache s1/was
	mkdir s1/cache
	mount -t tmpfs -o size=16m tmpfs s1/cache || skip "no mounts here"
	cp -a s1/was/. s1/cache/
	serve
	faketime -f -60s ps-health sample --config s1/ps.yaml
	head -c 14M /dev/zero >s1/cache/.junk
	ps-health sample --config s1/ps.yaml
	ps-health check --json >check.json || true
	jq -e '.figures.cache_fill_bytes_per_second > 200000' check.json
	both "full cache" throttle cache
	[ "$(step cache '.evidence[0]' | grep -c 'free')" -eq 1 ]
}

@test "an upload that is limited to less than is needed" {
	sed -i '$a upload: {limit-rate: 2K}' s1/ps.yaml
	serve --stop-timeout 1
	random_file big.img 9000000
	pass m d big.img s1 --bookmark b1
	# shellcheck disable=SC2046 # words
	both "rate-limited upload" rate-limit bandwidth $(brisk)
	[ "$(step store .result)" = passed ]
	step bandwidth .next | grep -q 'limit-rate'
	# The figures of its first seconds are rough.
	steady() {
		why
		jq -e '.cause == "rate-limit" and .share > 0.5 and
			.samples >= 8 and .eta_seconds > 60 and
			.disks[0].cause == "rate-limit"' why.json
	}
	wait_for steady || { cat why.json; false; }
}

@test "a store that answers 503" {
	store_server
	echo 'store: {retry-for: 1}' >>s1/ps.yaml
	serve
	plan '{"every": 1, "kind": "503"}'
	pass m d disk.img s1 --bookmark b1
	# shellcheck disable=SC2046 # words
	both "store answering 503" store-errors store $(brisk)
	jq -r .what out | grep -q 503
	jq -e '.evidence | contains("503")' why.json
	[ "$(step clock .result)" = passed ]
	# With something to store its chain ends again and again: it runs.
	[ "$(step services .result)" = passed ]
}

@test "a proxy that nobody answers for" {
	store_server
	serve
	cat >>s1/ps.yaml <<-'END'
		store: {retry-for: 1}
		proxy: http://user:geheim@127.0.0.1:1
	END
	kill "${STARTED[-1]}"
	wait "${STARTED[-1]}" || true
	pass m d disk.img s1 --bookmark b1
	pipeline
	wait_for doctor services
	# shellcheck disable=SC2046 # words
	both "wrong proxy" proxy proxy $(brisk)
	[ "$(step store .result)" = failed ]
	[ "$(step proxy '.evidence[0]')" = "$T/s1/ps.yaml: 127.0.0.1:1" ]
	run ! grep -q geheim out why.json
	# It is said to differ from that of the environment.
	http_proxy=http://u:geheim@proxy.invalid:3128 \
		is_cause proxy store proxy
	step proxy '.evidence[]' | grep -q \
		'environment, http_proxy: proxy.invalid:3128'
	run ! grep -q geheim out
}

@test "an expired certificate" {
	faketime '400 days ago' openssl req -x509 -newkey ec -pkeyopt \
		ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=ps1 \
		-keyout s1/key -out s1/cert 2>/dev/null
	serve
	both "expired certificate" certificate https
	jq -r .what out | grep -q 'expired'
}

@test "a clock that is off, against the store and against the server" {
	store_server
	serve
	settings '{"clock": 5000}'
	pass m d disk.img s1 --bookmark b1
	# shellcheck disable=SC2046 # words
	both "clock offset, store" clock clock $(brisk)
	jq -r .what out | grep -q '1h 2[34]m'
	offset() { # offset LEVEL: what the alert says
		ps-health sample --config s1/ps.yaml
		ps-health check --json >check.json || true
		[ "$(jq -r '.alerts[] | select(.code == "clock-offset") |
			.level' check.json)" = "$1" ]
	}
	wait_for offset critical
	[ "$(jq '.figures.clock_offset_seconds - 5000 | . > -60 and . < 60' \
		check.json)" = true ]
	# It has stopped: that does not pass by itself.
	settings '{"clock": -400}'
	pipeline
	wait_for offset warning
	wait_for drained
	settings '{"clock": 100}'
	scribble disk.img 7
	pass m d disk.img s1 --bookmark b2
	wait_for offset ''
	[ "$(jq '.figures.clock_offset_seconds > 60' check.json)" = true ]
}

@test "from a source: all well, a closed port, a clock, a wrong key" {
	sed -i '$a health: {limits: {disk-lag: {warning: 1}}}' s1/ps.yaml
	serve
	new_agent root </dev/null
	begin_agent
	wait_for points 1
	wait_for from_source services
	from_source --all >out || { cat out; false; }
	[ "$(jq -r .result out)" = well ]
	[ "$(jq -r .role out)" = source ]
	[ "$(step selftest .result)" = passed ]
	fails_with 1 env FAKETIME_DONT_FAKE_MONOTONIC=1 faketime -f +30m \
		ps-doctor --role source -c agent.yaml --json clock
	[ "$(jq -r .cause out)" = clock ]
	row "clock offset, source" - clock "$(jq -r .what out)"
	sed -i "s/^  port: .*/  port: 1/" agent.yaml
	fails_with 1 from_source
	[ "$(jq -r .cause out)" = port ]
	cp out port.json
	sed -i "s/^  port: .*/  port: $(server_port s1)/" agent.yaml
	ps-receive --new-passphrase -P other
	rm m.key
	cxpsclient --derive-key m -P other -o m.key
	fails_with 1 from_source
	[ "$(jq -r .cause out)" = selftest ]
	row "wrong key of a machine" - selftest "$(jq -r .what out)"
	# The server cannot know why nothing comes, only that nothing does.
	kill "${STARTED[-1]}"
	wait "${STARTED[-1]}" || true
	wait_for drained
	ps-health sample --config s1/ps.yaml
	wait_for holds source-silent || { cat why.json; false; }
	jq -e '.next | contains("ps-doctor")' why.json
	row "closed port" source-silent port "$(jq -r .what port.json)"
	fails_with 1 from_source
	[ "$(jq -r .cause out)" = services ]
	row "stopped agent" source-silent services "$(jq -r .what out)"
}

@test "one slow disk of a machine, then one on hold" {
	serve
	pass m d1 disk.img s1 --bookmark b1 --members m/d1
	pass m d2 disk.img s1 --bookmark b1 --members m/d2
	wait_for drained
	FAKETIME_DONT_FAKE_MONOTONIC=1 faketime -f -40m ps-health sample \
		--config s1/ps.yaml
	why
	jq -e '.cause == "source-silent" and
		all(.disks[]; .state == "disconnected")' why.json
	scribble disk.img 7
	pass m d2 disk.img s1 --bookmark b2 --members m/d2
	wait_for drained
	ps-health sample --config s1/ps.yaml
	both "one slow disk" slow-disk disks
	jq -r .what out | grep -q 'm/d1'
	jq -e '.what | contains("disk d1")' why.json
	ps-cache hold -C s1/cache m d2 "another server stores this disk"
	both "held disk" held disks
	step disks '.evidence[0]' | grep -q 'another server stores'
	jq -e '.evidence == "another server stores this disk"' why.json
	jq -e '.disks[] | select(.disk == "d2") | .state == "held"' why.json
	# Asked of one disk, only that one counts.
	why m d1
	[ "$(jq -r .cause why.json)" != held ]
	fails_with 66 ps-health why --config s1/ps.yaml m x
}

@test "a peer that takes the connection and hangs costs one step" {
	receive
	new_agent root </dev/null
	cat >mute.py <<-'END'
		import socket, time
		s = socket.create_server(("127.0.0.1", 0))
		print(s.getsockname()[1], flush=True)
		time.sleep(100)
	END
	start python3 mute.py >mute.port
	wait_for test -s mute.port
	sed -i "s/^  port: .*/  port: $(cat mute.port)/" agent.yaml
	fails_with 1 from_source --step-timeout 2 port https
	[ "$(jq -r .cause out)" = https ]
	[ "$(jq -r .what out)" = "no answer within 2 s" ]
	[ "$(jq '.seconds < 20' out)" = true ]
	row "a peer that hangs" - https "$(jq -r .what out)"
}

@test "misuse, and nothing to examine" {
	fails_with 64 ps-doctor --config s1/ps.yaml nonsense
	grep -q "no step 'nonsense'" err
	fails_with 64 ps-doctor --yes
	fails_with 64 ps-doctor --role butler
	fails_with 78 ps-doctor -c "$T/none.yaml"
	grep -q 'nothing is configured here' err
	fails_with 66 ps-doctor --role source -c "$T/none.yaml"
}
