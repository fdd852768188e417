# A process server to be examined. After `load ../lib/common` and
# `load ../lib/chain`.
# shellcheck shell=bash

# doctor [OPTION...]: examines the server s1
doctor() {
	timeout 120 ps-doctor --config "$T/s1/ps.yaml" --state "$T/health" \
		-l "127.0.0.1:$(server_port s1)" "$@"
}

# serve [OPTION...]: the server s1 runs, and the doctor sees that it does; the
# options are those of ps-pipeline
serve() {
	receive
	pipeline s1 "$@"
	wait_for doctor services
}

# names FAULT STEP [OPTION...]: the doctor finds a fault, names this step as
# the cause, and says what to do; a line of the table is printed.
names() {
	local fault=$1 step=$2
	shift 2
	fails_with 1 doctor --json "$@"
	[ "$(jq -r .cause out)" = "$step" ] || {
		cat out
		return 1
	}
	[ -n "$(jq -r .next out)" ]
	told "$fault"
}

# The table, as the tests go.
told() {
	printf '# %-28s -> %-10s %s\n' "$1" "$(jq -r .cause out)" \
		"$(jq -r .what out | sed "s,$T/,,g")" >&3
}

# step NAME FILTER: of the last answer
step() { jq -r --arg s "$1" ".steps[] | select(.step == \$s) | $2" out; }
