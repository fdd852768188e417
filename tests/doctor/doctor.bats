#!/usr/bin/env bats
# ps-doctor: faults that are made for real, and the step that names each.
load ../lib/common
load ../lib/chain
load doctor

prepare() {
	need_jq
	new_server
	random_file disk.img 400000
	truncate -s 8M disk.img
}

need_jq() { command -v jq >/dev/null || skip "jq is not installed"; }

healthy() {
	serve
	pass m d disk.img s1 --bookmark b1
	wait_for drained
}

@test "a healthy server: no fault, no false alarm" {
	healthy
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

@test "a stopped receiver is named, and started again" {
	healthy
	kill "${STARTED[0]}"
	wait_for bash -c "! kill -0 ${STARTED[0]}"
	names "stopped receiver" services
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
