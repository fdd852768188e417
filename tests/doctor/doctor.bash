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
	is_cause "${@:2}"
	row "$1" - "$2" "$(jq -r .what out)"
}

is_cause() {
	local step=$1
	shift
	fails_with 1 doctor --json "$@"
	[ "$(jq -r .cause out)" = "$step" ] || {
		cat out
		return 1
	}
	[ -n "$(jq -r .next out)" ]
}

# why [OPTION...]: what ps-health says of s1, in why.json
why() {
	ps-health why --config "$T/s1/ps.yaml" --state "$T/health" --json \
		--listen "127.0.0.1:$(server_port s1)" "$@" >why.json 2>why.err || true
}

# holds CAUSE [OPTION...]: that is what holds replication back, now
holds() {
	why "${@:2}"
	[ "$(jq -r '"\(.cause) \(.behind) \(.next != "")"' why.json)" = \
		"$1 true true" ]
}

# both FAULT CAUSE STEP [OPTION...]: of a fault that has been made, ps-health
# why sooner or later names the cause, then ps-doctor (which is given the
# options) this step; another row of the table.
both() {
	wait_for holds "$2" || {
		tail -n 30 why.json why.err s1/pipeline.err s1/cache/.upload*
		return 1
	}
	is_cause "${@:3}"
	row "$1" "$2" "$3" "$(jq -r .what out)"
}

# row FAULT CAUSE STEP WORDS: into the table, which table() prints in the end
row() {
	printf '# %-26s | %-19s | %-9s | %s\n' "$1" "$2" "$3" \
		"${4//"$T/"/}" >>"$BATS_FILE_TMPDIR/table"
}

table() {
	[ -s "$BATS_FILE_TMPDIR/table" ] || return 0
	printf '# %-26s | %-19s | %-9s | %s\n' fault "ps-health why" \
		ps-doctor "in words of ps-doctor" >&3
	cat "$BATS_FILE_TMPDIR/table" >&3
}

# step NAME FILTER: of the last answer
step() { jq -r --arg s "$1" ".steps[] | select(.step == \$s) | $2" out; }
