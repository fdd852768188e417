#!/usr/bin/env bats
# kill -9 of ps-upload at random moments. PS_LONG=1: 100 times.
load ../lib/common
load store

prepare() {
	strict
	three_passes
}

# visible STORE VAULT: sequences of m/d that are there
visible() {
	objects "$1" "$2" | sed -n 's,^m/d/0*\([0-9]*\) .*,\1,p' | sort | tr '\n' ,
}

# kill_one URL: starts an upload and ends it at some moment
kill_one() {
	local pid
	ps-upload "$1" s >acks.killed 2>/dev/null 3>&- &
	pid=$!
	sleep "0.$(printf %03d $((RANDOM % ${2:-220})))"
	kill -9 "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
}

killed() { # STORE, and the time that an upload takes, milliseconds
	local i times=3 seen cut=0 url
	[ -z "${PS_LONG:-}" ] || times=100
	RANDOM=5
	for ((i = 1; i <= times; i++)); do
		url=$(store_of "$1")/v$i
		ps-vault init "$url"
		kill_one "$url" "$2"
		seen=$(visible "$1" "v$i")
		case $seen in
		"" | 1, | 1,2,) cut=$((cut + 1)) ;;
		1,2,3,) ;;
		*)
			echo "visible after a kill: $seen"
			return 1
			;;
		esac
		# What was acknowledged is there.
		[ "$(grep -c ^stored acks.killed)" -le \
			"$(tr -cd , <<<"$seen" | wc -c)" ]
		ps-vault verify "$url" --data >/dev/null
		ps-upload "$url" s >acks
		[ "$(grep -c ^stored acks)" -eq 3 ]
		[ "$(visible "$1" "v$i")" = 1,2,3, ]
		[ "$(objects "$1" "v$i" | wc -l)" -eq 4 ]
	done
	ps-vault verify "$url" --data
	ps-restore "$url" --machine m --disk d -o restored
	cmp disk.img restored
	echo "# $1: $cut of $times were killed in the middle" >&3
	# On a machine that is fast or slow few moments are in the middle.
	[ -z "${PS_LONG:-}" ] || [ "$cut" -ge $((times / 5)) ]
}

@test "an upload to S3 that is killed stores nothing twice and nothing by halves" {
	killed s3 220
}

@test "nor does one to Azure Blob" { killed azblob 220; }

@test "nor one to a folder" { killed file 60; }

# A copy needs no key, goes on where it was, and is never ahead of itself.
copied() { # STORE
	local i pid url sealed
	url=$(store_of "$1")/copy
	ps-vault init "$url"
	[ -e source ] || {
		ps-encrypt --new-key key
		ps-vault init source
		PATH=$PS_BUILD/tests/segment:$PATH
		make-segment -m m -d d,e -s 6M -p 3 -n 1M -t random -z 0 |
			ps-encrypt -k key | ps-upload source >acks
		mv key elsewhere
	}
	for i in 1 2; do
		ps-vault copy --limit-rate 20M source "$url" >/dev/null 2>&1 3>&- &
		pid=$!
		sleep "0.$((i * 3))"
		kill -9 "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
		ps-vault verify "$url" --json >json
		[ "$(jq '.affected | length' json)" -eq 0 ]
	done
	sealed=$(jq .objects json)
	ps-vault copy source "$url" >out
	ps-vault copy source "$url" | grep -q '0 objects'
	[ "$(objects "$1" copy | grep -v '^vault.json' | sort)" = \
		"$(cd source && find m -type f -printf '%P %s\n' | sed 's,^,m/,' | sort)" ]
	ps-vault verify "$url" -k elsewhere --data
	echo "# $1: $sealed objects were there after the kills" >&3
}

@test "a copy to S3 that is killed goes on" { copied s3; }

@test "a copy to Azure Blob that is killed goes on" { copied azblob; }
