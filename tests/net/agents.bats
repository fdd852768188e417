#!/usr/bin/env bats
# heavy: 675 processes at once
# 225 machines with three disks each against one receiver.

load ../lib/common

# The bound of ps-receive(8): each connection, and the program itself once.
EACH_KIB=2048
# At rest about 490 of gate and worker together; PSS goes up and down with what
# else runs and shares pages with them.
IDLE_KIB=576

@test "225 agents with three disks: every pass is acknowledged, memory is bounded" {
	[ -x "$PS_BUILD/tests/net/agents" ]
	"$PS_SOURCE/bench/agents" --passes 1 --spread 0 --size 256K --dir "$T/a" >out
	cat out
	jq -e '.connections == 675 and .acks == 1350 and .lost == 0' out
	# Others may not look, and sanitizers take memory of their own.
	if [ "$(id -u)" -eq 0 ] && [ "${PS_SANITIZE:-}" != 1 ]; then
		jq -e ".idle_kib > 10000 and .idle_kib < 675 * $IDLE_KIB and .peak_kib < 675 * $EACH_KIB" out
	fi
}
