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
