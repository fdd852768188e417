# An agent and its server for tests. After `load ../lib/common` and
# `load ../lib/chain`.
# shellcheck shell=bash

# new_agent DISK[:PROVIDER[:KEY=VALUE...]]...: agent.yaml for machine m, one
# image for each disk; more lines for the file on standard input.
new_agent() {
	local spec disk provider options
	umask 077
	export PS_PROVIDER_DIR=$BATS_TEST_DIRNAME/../lib/providers
	export PS_RUN_DIR=$T/run
	machine_key m passphrase m.key
	{
		cat <<-END
			machine: m
			server:
			  host: 127.0.0.1
			  port: $(server_port s1)
			  key: $T/m.key
			  timeout: 20
			state: $T/state
			interval: 2
			max-wait: 1
		END
		cat
		echo disks:
		for spec; do
			IFS=: read -r disk provider options <<<"$spec"
			echo "  - {name: $disk, source: $T/$disk.img," \
				"provider: ${provider:-none}, options: {" \
				"${options//=/: } }}"
			[ -e "$disk.img" ] || {
				truncate -s 8M "$disk.img"
				scribble "$disk.img" "$((++IMAGES))"
			}
		done
	} >agent.yaml
}
IMAGES=0

agent() { ps-agent "$1" -c agent.yaml "${@:2}"; }

# An agent in the background: its id in $agent, its words in agent.err.
begin_agent() {
	start ps-agent run -c agent.yaml "$@" 2>>agent.err
	# shellcheck disable=SC2034 # for the tests
	agent=${STARTED[-1]}
}

said() { grep -q -e "$1" agent.err; }

# state DISK FILTER: of status --json
state() {
	agent status --json | jq -r --arg d "$1" \
		".disks[] | select(.disk == \$d) | $2"
}

# is DISK FILTER VALUE: if not, says what is known of the disk
is() {
	[ "$(state "$1" "$2")" = "$3" ] || {
		state "$1" '.points = null' >&2
		return 1
	}
}

# points N: the vault lists so many complete points of machine m
points() {
	[ "$(ps-vault list vault --machine m -k vault.key --json |
		jq '[.[] | select(.complete)] | length')" -ge "$1" ]
}

# restored DISK [IMAGE]: its latest point is this image
restored() {
	ps-restore vault --machine m --disk "$1" --point latest -k vault.key \
		-q -o out.img --force && cmp "${2:-$1.img}" out.img
}
