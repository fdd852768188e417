#!/usr/bin/env bats
# Which stage holds the passes of a source back: faults made for real, and
# what `ps-agent status` and `ps-health why` name.
# shellcheck disable=SC2154 # agent is set by begin_agent
load ../lib/common
load ../lib/chain
load agent

prepare() {
	command -v jq >/dev/null || skip "jq is not installed"
	new_server
	receive
}

# What was halted could not end.
cleanup() {
	local pid
	for pid in "${HALTED[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
}
HALTED=()

# big DISK [BYTES]: an image of which no pass comes to an end within the test
big() { random_file "$1.img" "${2:-20000000}" "$((++IMAGES))"; }

why() { ps-health why -c agent.yaml --json "$@" >why.json 2>why.err; }

# named DISK CAUSE: by both programs
named() {
	why m "$1" || [ $? -eq 1 ]
	[ "$(jq -r '"\(.cause) \(.behind)"' why.json)" = "$2 true" ] &&
		is "$1" .limited_by.cause "$2"
}

# names DISK CAUSE: sooner or later, then enters it into the table
names() {
	wait_for named "$@" || {
		cat why.json why.err agent.err "state/disks/$1/.stages"
		return 1
	}
	fails_with 1 ps-health why -c agent.yaml m "$1"
	printf '%-12s %s\n' "$2" "$(jq -r '.what' why.json)" >&3
}

# stage DISK PROGRAM: its process id
stage() {
	jq -er --arg s "$2" 'first(.stages[] | select(.stage == $s)) | .pid' \
		"state/disks/$1/.stages"
}

halt() {
	wait_for stage "$@"
	HALTED+=("$(stage "$@")")
	kill -STOP "${HALTED[-1]}"
}

@test "a slow disk, a limit on reading, a program that does not work" {
	big slow
	big limited 100000000
	big squeezed
	big sealed
	new_agent slow limited squeezed sealed <<-END
		key: $T/vault.key
		limits: {read-rate: 2M}
	END
	echo slow 60000 >bad
	export BAD_DISK=/slow.img BAD_DISK_IS=$T/bad
	LD_PRELOAD=$PS_BUILD/tests/lib/bad-disk.so begin_agent
	halt squeezed ps-compress
	halt sealed ps-encrypt
	names slow source-read
	jq -e '.share > 0.9 and .samples >= 8 and .eta_seconds > 5 and
		.followers[0].name == "slow"' why.json
	names limited read-limit
	jq -e '.what | contains("limits.read-rate")' why.json
	names squeezed compress
	names sealed encrypt
	agent status | grep -q 'limited by  *encrypt: ps-encrypt in'
	# Of all, what comes first in the manual's list.
	why || true
	jq -e '.cause == "read-limit" and (.disks | length) == 4' why.json
	ps-health watch -c agent.yaml >watch &
	wait_for grep -q '^20.* read-limit backlog' watch
	kill $!
	kill -9 "$agent"
}

@test "a narrow line, a limit on sending" {
	big d
	"$PS_BUILD/tests/lib/proxy" --rate 8M 127.0.0.1 "$(server_port s1)" >port 3>&- &
	STARTED+=("$!")
	wait_for [ -s port ]
	new_agent d </dev/null
	sed -i "s/port: .*/port: $(sed 's/.*://' port)/" agent.yaml
	begin_agent
	names d network-in
	jq -e '.share > 0.3' why.json
	kill -9 "$agent"
	[ -n "${PS_LONG-}" ] || return 0
	wait "$agent" || true
	sed -i "s/port: .*/port: $(server_port s1)/" agent.yaml
	sed -i 's/^max-wait.*/&\nlimits: {send-rate: 1M}/' agent.yaml
	begin_agent
	names d send-limit
	jq -e '.what | contains("limits.send-rate")' why.json
	kill -9 "$agent"
}

@test "a server whose disk is slow is told from a narrow line" {
	big d 250000000
	kill "${STARTED[-1]}"
	wait "${STARTED[-1]}" || true
	BAD_DISK_SYNC=500 LD_PRELOAD=$PS_BUILD/tests/lib/bad-disk.so receive
	new_agent d </dev/null
	begin_agent
	names d server-slow
	jq -e '.what | test("waits for its disk, in ([5-9]|100)")' why.json
	kill -9 "$agent"
}

@test "a server that is full, one that is away, a pause, no agent" {
	new_agent d </dev/null
	ps-cache init -C s1/cache --keep-free 99 --keep-free-initial 100
	stop_all
	begin_agent
	because() { why; [ "$(jq -r .cause why.json)" = "$1" ]; }
	wait_for because server-unreachable
	receive
	wait_for because throttle
	jq -e '.what | contains("cache-throttle")' why.json
	[ "$(jq -r '.disks[0].state' why.json)" = throttled ]
	agent pause
	wait_for because paused
	kill -9 "$agent"
	wait "$agent" || true
	agent resume
	wait_for because agent-down
	fails_with 66 ps-health why -c agent.yaml other
	fails_with 66 ps-health why -c agent.yaml m nodisk
	fails_with 66 ps-health why -c nowhere.yaml
	fails_with 64 ps-health why
	fails_with 64 ps-health report --state . -c agent.yaml --html x
}

@test "what goes through is held back by nothing" {
	new_agent d </dev/null
	sed -i 's/^interval.*/interval: 60/' agent.yaml
	begin_agent
	wait_for is d .complete true
	wait_for why
	jq -e '.cause == "nothing" and .eta_seconds == 0 and
		.disks[0].state == "continuous"' why.json
}
