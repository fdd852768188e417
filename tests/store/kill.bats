#!/usr/bin/env bats
# kill -9 of ps-upload at random moments. PS_LONG=1: 100 times.
load ../lib/common
load store

prepare() {
	strict
	three_passes
}

visible() {
	inventory s3 | sed -n "s,^bucket/$1/m/d/0*\([0-9]*\) .*,\1,p" | tr '\n' ,
}

# kill_one VAULT: starts an upload and ends it at some moment
kill_one() {
	local pid
	ps-upload "s3://bucket/$1" s >"acks.$1" 2>/dev/null 3>&- &
	pid=$!
	sleep "0.$(printf %03d $((RANDOM % 220)))"
	kill -9 "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
}

@test "an upload that is killed stores nothing twice and nothing by halves" {
	local i times=10 seen cut=0
	[ -z "${PS_LONG:-}" ] || times=100
	RANDOM=5
	for ((i = 1; i <= times; i++)); do
		ps-vault init "s3://bucket/v$i"
		kill_one "v$i"
		seen=$(visible "v$i")
		case $seen in
		"" | 1, | 1,2,) cut=$((cut + 1)) ;;
		1,2,3,) ;;
		*)
			echo "visible after a kill: $seen"
			return 1
			;;
		esac
		# What was acknowledged is there.
		[ "$(grep -c ^stored "acks.v$i")" -le "$(tr -cd , <<<"$seen" | wc -c)" ]
		ps-upload "s3://bucket/v$i" s >acks
		[ "$(grep -c ^stored acks)" -eq 3 ]
		[ "$(visible "v$i")" = 1,2,3, ]
		[ "$(inventory s3 | grep -c "^bucket/v$i/")" -eq 4 ]
	done
	ps-vault verify "s3://bucket/v$times" --data
	ps-restore "s3://bucket/v$times" --machine m --disk d -o restored
	cmp disk.img restored
	echo "# $cut of $times were killed in the middle" >&3
	[ "$cut" -ge $((times / 5)) ]
}
