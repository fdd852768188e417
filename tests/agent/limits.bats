#!/usr/bin/env bats
# limits.nice and limits.ionice of ps-agent: not only set, but felt.
# shellcheck disable=SC2154 # agent is set by begin_agent
load ../lib/common
load ../lib/chain
load agent

prepare() {
	command -v jq taskset >/dev/null || skip "jq or taskset is not installed"
	new_server
	receive
}

# ticks PID: of processor time, in hundredths of a second
ticks() { sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'; }

scanner() {
	jq -er 'first(.stages[] | select(.stage == "ps-scan")) | .pid' \
		state/disks/d/.stages
}

@test "a busy program beside it keeps its processor" {
	local cpu busy scan before
	yes | head -c 200M >d.img # a second's work of ps-scan
	new_agent d <<-'END'
		limits: {nice: 19, ionice: idle}
	END
	cpu=$(taskset -pc $$ | sed 's/.*: //; s/[-,].*//')
	taskset -pc "$cpu" $$ >/dev/null
	start bash -c 'while :; do :; done'
	busy=${STARTED[-1]}
	begin_agent
	wait_for scanner
	scan=$(scanner)
	[ "$(ionice -p "$scan")" = idle ]
	[ "$(ps -o ni= -p "$scan" | tr -d ' ')" = 19 ]
	before="$(ticks "$busy") $(ticks "$scan")"
	worked() { [ "$(ticks "$busy")" -ge $((${before% *} + 60)) ]; }
	wait_for worked
	# By their weights in the scheduler it is 1024 to 15; it lives yet.
	[ $((($(ticks "$scan") - ${before#* }) * 8)) -lt 60 ]
	[ "$(scanner)" = "$scan" ]
	[ -e "/proc/$scan/stat" ]
}
