#!/usr/bin/env bats
# ps-upload keeps its rate, and follows a changed one without a break.
load ../lib/common
load ../store/store

prepare() {
	PATH=$PS_BUILD/tests/segment:$PATH
	ps-vault init v >/dev/null
}

# timed VAULT SECONDS MIB: stores s at MIB each second; took too little or much?
timed() {
	local begin end ms want=$(($2 * 1000)) most=$(($2 * 1050))
	begin=$(date +%s%N)
	ps-upload "$1" s --limit-rate "$3M" >"acks.$2" 2>/dev/null || return
	end=$(date +%s%N)
	ms=$(((end - begin) / 1000000))
	echo "$1: $ms ms, $want wanted"
	# Slower is also what a busy machine makes: only the long run is strict.
	[ -n "${PS_LONG-}" ] || most=$(($2 * 1500))
	[ "$ms" -ge $((want * 95 / 100)) ] && [ "$ms" -le "$most" ]
}

@test "a rate is held within 5 %, into a folder and over HTTP" {
	local seconds=6 mib=4 folder
	[ -z "${PS_LONG-}" ] || seconds=30
	strict
	make-segment -p "$seconds" -s 4M -c 100 -z 0 -t random >s
	ps-vault init s3://rates >/dev/null
	timed v "$seconds" "$mib" 3>&- &
	folder=$!
	timed s3://rates "$seconds" "$mib"
	wait "$folder"
}

# stored N: so many segments have been acknowledged
stored() {
	[ "$(wc -l <acks)" -ge "$1" ]
}

# upload_slowly VAULT: with the rates of ps.yaml, in the background
upload_slowly() {
	start ps-upload --config ps.yaml "$@" s >acks 2>err
	upload=${STARTED[-1]}
	wait_for stored 1
}

@test "SIGHUP changes the rate of what is under way, in folder and store" {
	local vault
	strict
	ps-vault init s3://rates >/dev/null
	# A small one first, then a minute at this rate.
	make-segment -m a -s 64K >s
	make-segment -m b -s 16M -c 100 -z 0 -t random >>s
	for vault in v s3://rates; do
		printf 'upload:\n  limit-rate: 256K\n' >ps.yaml
		upload_slowly "$vault"
		printf 'upload:\n  limit-rate: 1G\n' >ps.yaml
		kill -HUP "$upload"
		wait "$upload"
		stored 2
	done
	ps-vault verify v >/dev/null
}

@test "a schedule counts, of upload or of the vault's own entry" {
	make-segment -m a -s 64K >s
	make-segment -m b -s 16M -c 100 -z 0 -t random >>s
	cat >ps.yaml <<-END
		upload: {limit-rate: 1G, schedule: "* 00:00-24:00 1G"}
		vaults:
		- {name: far, url: v, schedule: "* 256K"}
		- {name: near, url: v}
	END
	upload_slowly --for far v
	[ "$(wc -l <acks)" -eq 1 ]
	kill -0 "$upload"
	# A mistake changes nothing, and is said.
	sed -i 's/256K/never/' ps.yaml
	kill -HUP "$upload"
	wait_for grep -q "the old ones stay: .*'\* never' is no rule" err
	kill -0 "$upload"
	sed -i 's/never/unlimited/' ps.yaml
	kill -HUP "$upload"
	wait "$upload"
	stored 2
	ps-upload --config ps.yaml --for near v s >acks
	fails_with 78 ps-upload v s --schedule "Mon never"
	grep -q "'Mon never' is no rule such as" err
}

# minute SECONDS: TZ becomes a zone where a minute begins so many seconds from
# now, at $boundary (microseconds), on the clock $from; a while later it is $to
minute() {
	local utc=$((EPOCHSECONDS + $1))
	boundary=$((utc * 1000000))
	TZ=$(printf 'ODD0:00:%02d' $((utc % 60)))
	export TZ
	from=$(date -d "@$utc" +%H:%M)
	to=$(date -d "@$((utc + 1800))" +%H:%M)
}

# across VAULT SECONDS: a rule begins so many seconds later; acks.VAULT gets a
# column with the microsecond of each
across() {
	local line
	ps-upload -v "$1" s --schedule "* $from-$to 4M; * 1M" 2>"err.${1%%:*}" |
		while IFS= read -r line; do
			printf '%s\t%s\n' "$line" "${EPOCHREALTIME/./}"
		done >"acks.${1%%:*}"
}

# at_rate FILE FROM TO MIB: what was stored between two moments, within 5 %
at_rate() {
	awk -F '\t' -v from="$2" -v to="$3" -v want="$4" -v long="${PS_LONG-0}" '
		$NF >= from && $NF < to { n++ }
		END {
			got = n / 16 / (to - from) * 1e6 / want
			printf "%s: %.3f of %s MiB/s\n", FILENAME, got, want
			# The bucket, and a machine with other work.
			spare = long ? 0.05 : 0.4
			exit !(got > 1 - spare && got < 1 + spare)
		}' "$1"
}

@test "a rule of the schedule that begins changes the rate of what is under way" {
	local seconds=3 boundary from to kind n
	[ -z "${PS_LONG-}" ] || seconds=31
	strict
	ps-vault init s3://rates
	# Segments of 64 KiB: an acknowledgement for each.
	make-segment -s $((seconds * 5))M -n 64K -r 64K -z 0 -t random >s
	n=$(ps-stream list s | wc -l)
	minute $((seconds + 1))
	across v 3>&- &
	across s3://rates
	wait $!
	for kind in v s3; do
		at_rate "acks.$kind" $((boundary - (seconds - 1) * 1000000)) \
			"$boundary" 1
		at_rate "acks.$kind" $((boundary + 300000)) \
			$((boundary + (seconds - 1) * 1000000)) 4
		[ "$(grep -c 'at most 4.* from now on' "err.$kind")" -eq 1 ]
		[ "$(wc -l <"acks.$kind")" -eq "$n" ]
	done
}
