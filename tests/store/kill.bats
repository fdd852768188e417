#!/usr/bin/env bats
# kill -9 of ps-upload at random moments. PS_LONG=1: 100 times.
load ../lib/common
load store

prepare() {
	PATH=$PS_BUILD/tests/segment:$PATH
	strict
}

# visible STORE VAULT: sequences of m/d that are there
visible() {
	objects "$1" "$2" | sed -n 's,^m/d/0*\([0-9]*\) .*,\1,p' | sort | tr '\n' ,
}

# feed: the stream s, half a MiB at a time, so that it takes 0.7 s at least on
# any machine and with any store; two thirds of that are for what comes behind
# the first segment
feed() {
	local i
	for ((i = 0; i * 524288 < $(stat -c %s s); i++)); do
		dd if=s bs=512K skip="$i" count=1 status=none || return
		sleep "0.0$((i < 9 ? 2 : 6))"
	done
}

# kill_one URL MS: starts an upload and kills it so many milliseconds later;
# "ack": when the first segment is stored
kill_one() {
	local pid
	ps-upload "$1" < <(feed 2>/dev/null 3>&-) >acks.killed 2>/dev/null 3>&- &
	pid=$!
	if [ "$2" = ack ]; then
		wait_for [ -s acks.killed ]
	else
		sleep "0.$(printf %03d "$2")"
	fi
	kill -9 "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
}

# sound STORE VAULT: nothing is there by halves; what was told is there
sound() {
	seen=$(visible "$1" "$2")
	[[ 1,2,3,4,5, = "$seen"* ]] || {
		echo "visible after a kill: $seen"
		return 1
	}
	[ "$(grep -c ^stored acks.killed)" -le "$(tr -cd , <<<"$seen" | wc -c)" ]
	ps-vault verify "$(store_of "$1")/$2" --data >/dev/null
}

killed() { # STORE
	local i times=3 none=0 some=0 all=0 seen url moment=ack
	[ -z "${PS_LONG:-}" ] || times=100
	RANDOM=5
	# Some 8 MiB; parts of Azure have 2 MiB, those of S3 5 MiB.
	make-segment -m m -d d -s 5M -z 0 -t random -p 5 -c 15 -o want >s
	for ((i = 1; i <= times; i++)); do
		url=$(store_of "$1")/v$i
		ps-vault init "$url"
		kill_one "$url" "$moment"
		sound "$1" "v$i"
		case $seen in
		"") none=$((none + 1)) ;;
		1,2,3,4,5,) all=$((all + 1)) ;;
		*) some=$((some + 1)) ;;
		esac
		ps-upload "$url" s >acks
		[ "$(grep -c ^stored acks)" -eq 5 ]
		[ "$(visible "$1" "v$i")" = 1,2,3,4,5, ]
		[ "$(objects "$1" "v$i" | wc -l)" -eq 6 ]
		moment=$((RANDOM % 640))
	done
	ps-vault verify "$url" --data
	ps-restore "$url" --machine m --disk d -o restored
	cmp want.d.5 restored
	echo "# $1: of $times kills $none came before the first name," \
		"$some between names, $all behind the last" >&3
	# The first one came between names: its moment was chosen so.
	[ "$some" -ge 1 ] && [ "$all" -le $((times / 2)) ]
	[ -z "${PS_LONG:-}" ] || { [ "$none" -ge 10 ] && [ "$some" -ge 10 ]; }
}

@test "an upload to S3 that is killed stores nothing twice and nothing by halves" {
	killed s3
}

@test "nor does one to Azure Blob" { killed azblob; }

@test "nor one to a folder" { killed file; }

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
