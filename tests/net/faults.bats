#!/usr/bin/env bats
# A line that fails in every way there is: the chain heals by itself, and what
# was acknowledged restores. PS_LONG=1: many rounds.
load ../lib/common
load ../lib/chain

# The same as in lib/chain, but it does not wait long, unless told to.
client() {
	local m=$1 s=$2
	shift 2
	[ -e "$T/$m.key" ] ||
		machine_key "$m" "$T/passphrase" "$T/$m.key"
	cxpsclient -i 127.0.0.1 -l "$(server_port "$s")" -P "$T/$m.key" \
		-y "${PATIENCE:-2}" "$@"
}

# proxy OPTION...: one in front of the server; passes go to "line"
proxy() {
	mkdir -p line
	rm -f faults
	start "$PS_BUILD/tests/lib/proxy" --control faults "$@" 127.0.0.1 \
		"$(server_port)" >line/port 2>struck
	wait_for [ -s line/port ]
}

# fault [SPEC...]: from the next connection on
fault() {
	local before
	before=$(grep -c ^control struck || true)
	printf '%s\n' "$@" >faults.new
	mv faults.new faults
	wait_for changed "$before"
}

changed() { [ "$(grep -c ^control struck)" -gt "$1" ]; }

# through DISK POINT: the agent's loop, until a pass was acknowledged. It gets
# more patient: where fsync takes 0.4 s, as on a disk that others keep busy, no
# pass is acknowledged within 2 s, however good the line is.
through() {
	local n PATIENCE
	for ((n = 0; n < 12; n++)); do
		PATIENCE=$((2 + n))
		pass m "$1" "$1.img" line --bookmark "$2" 2>>source.err &&
			return 0
	done
	echo "$1 $2 does not go through" >&2
	tail -n 5 source.err >&2
	return 1
}

number() { # MAX
	NUMBER=$(((RANDOM * 32768 + RANDOM) % $1))
}

# one_round KIND N: a random place of the line, a pass, remembers the sum.
# The first connection asks for the head, the second one sends.
one_round() {
	local kind=$1 n=$2 dir='' k=2 at
	number 8
	[ "$NUMBER" -ne 0 ] || k=1
	number 4
	[ "$NUMBER" -ne 0 ] || [ "$kind" = twice ] || dir=down:
	number 150000
	at=$NUMBER
	[ -z "$dir" ] && [ "$k" -eq 2 ] || at=$((at % 2500))
	[ "$kind" != flip ] || at=$((at * 8 + n % 8))
	scribble d.img "$n"
	sha256sum <d.img | cut -d' ' -f 1 >"sum.$n"
	echo "$n $k/$dir$kind:$at" >>rounds
	fault "$k/$dir$kind:$at"
	through d "b$n"
}

all_restore() {
	local sum
	wait_for drained
	for sum in sum.*; do
		[ "$(restored_sum m d "b${sum#sum.}")" = "$(cat "$sum")" ] ||
			{ echo "b${sum#sum.} differs" >&2; cat rounds >&2; false; }
	done
	ps-vault verify vault -k vault.key >/dev/null
	ps-cache verify -C s1/cache >/dev/null
	! grep -q refused s1/acks || false
}

prepare() {
	[ -x "$PS_BUILD/tests/lib/proxy" ] ||
		{ echo "tests/lib/proxy is not built (make check)" >&2; return 1; }
	new_server
	sed -i 's/^receive:/&\n  idle-timeout: 2\n  login-timeout: 2/' s1/ps.yaml
	receive
	pipeline s1
	random_file d.img 1500000
	truncate -s 6M d.img
}

@test "a good line passes everything, a long one too" {
	proxy --delay 20
	through d first
	[ ! -s struck ]
	sha256sum <d.img | cut -d' ' -f 1 >sum.0
	scribble d.img 1
	through d b0
	sha256sum <d.img | cut -d' ' -f 1 >sum.0
	all_restore
}

@test "stall, reset, half-close, cut, flipped bits, trickling, twice, held" {
	local kind n=0 seed=${PS_SEED:-3} rounds=2 missed
	[ -z "${PS_LONG-}" ] || rounds=40
	RANDOM=$seed
	proxy
	through d first
	for kind in stall reset half cut flip slow twice hold; do
		for ((i = 0; i < rounds; i++)); do
			n=$((n + 1))
			one_round "$kind" "$n"
		done
	done
	all_restore
	missed=$((n - $(grep -cv ^control struck)))
	echo "# seed $seed, $n rounds, $missed faults beyond the end" >&3
	[ "$missed" -lt $((n / 2)) ]
}

@test "several disks over several connections, each line bad by itself" {
	local d i pids=()
	# The questions for the heads come first, most often.
	proxy --fault '1/down:stall:900' --fault '2/flip:5000' \
		--fault '3/reset:900' --fault '4/cut:300000' \
		--fault '5/stall:100000' --fault '6/half:250000' \
		--fault '7/flip:4000000' --fault '8/down:cut:1500'
	for d in d e f; do
		random_file "$d.img" 3000000 "$(printf %d "'$d")"
	done
	for d in d e f; do
		through "$d" all 3>&- &
		pids+=("$!")
	done
	for i in "${pids[@]}"; do wait "$i"; done
	echo "# $(grep -cv ^control struck) of 8 faults" >&3
	[ "$(grep -cv ^control struck)" -ge 3 ]
	wait_for drained
	for d in d e f; do
		[ "$(restored_sum m "$d" all)" = \
			"$(sha256sum <"$d.img" | cut -d' ' -f 1)" ]
	done
}
