#!/usr/bin/env bats
# Kill -9 of any process of the chain at any time loses nothing and stores
# nothing twice; every recovery point is what the disk was.
load ../lib/common
load ../lib/chain

cleanup() {
	local pids
	touch "$T/stop"
	stop_all # those that start again what ends
	mapfile -t pids < <(victims)
	[ ${#pids[@]} -eq 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true
}

# All processes of this test's chain (the path says whose they are).
victims() {
	pgrep -f "^(ps-|cxps|[^ ]*/(ps-|cxps))[^ ]* .*$T" || true
}

# Starts a daemon again whenever it ends, as a service manager does.
keep() {
	while [ ! -e "$T/stop" ]; do
		"$@" || true
		sleep 0.02
	done
}

keep_receive() {
	ps-receive --config "$T/s1/ps.yaml" -l "127.0.0.1:$(server_port)" \
		>/dev/null 2>>"$T/s1/receive.err"
}

keep_pipeline() {
	ps-pipeline --config "$T/s1/ps.yaml" >>"$T/s1/acks" \
		2>>"$T/s1/pipeline.err"
}

kill_at_random() {
	local n=0 pids pid
	while [ "$n" -lt "$1" ] && [ ! -e "$T/stop" ]; do
		sleep "0.0$((RANDOM % 9))$((RANDOM % 10))"
		mapfile -t pids < <(victims)
		[ ${#pids[@]} -gt 0 ] || continue
		pid=${pids[RANDOM % ${#pids[@]}]}
		cut -d' ' -f 2 "/proc/$pid/stat" >>"$T/killed" 2>/dev/null ||
			continue
		kill -9 "$pid" 2>/dev/null || continue
		n=$((n + 1))
	done
	touch "$T/enough"
}

@test "100 kills over the running chain: every point is what the disk was" {
	local n=0 sum good=0 id
	new_server
	receive
	stop_all
	start keep keep_receive
	start keep keep_pipeline
	random_file disk.img 3000000
	truncate -s 12M disk.img
	RANDOM=1
	start kill_at_random 100
	while [ ! -e enough ] || [ "$n" -lt 10 ]; do
		n=$((n + 1))
		[ "$n" -lt 2000 ]
		scribble disk.img "$n"
		sha256sum <disk.img | cut -d' ' -f 1 >"sum.$n"
		if pass m d disk.img s1 --bookmark "b$n" 2>>source.err; then
			good=$((good + 1))
			echo "b$n" >>good
		fi
	done
	echo "# $n passes, $good of them undisturbed; killed:" \
		"$(sort killed | uniq -c | tr -s ' \n' ' ')" >&3
	# Now nobody kills: the last pass goes through.
	wait_for settle m d 2>>source.err
	scribble disk.img 9999
	sum=$(sha256sum <disk.img | cut -d' ' -f 1)
	pass m d disk.img s1 --bookmark last
	wait_for point_exists m last
	wait_for drained
	[ "$(restored_sum m d last)" = "$sum" ]
	# Every point that there is, of interrupted passes too.
	ps-vault list vault --machine m -k vault.key --json |
		jq -r '.[] | select(.complete) | .point' >points
	[ "$(wc -l <points)" -gt "$good" ]
	grep -v '^last$' points | while read -r id; do
		[ "$(restored_sum m d "$id")" = "$(cat "sum.${id#b}")" ] ||
			{ echo "point $id differs" >&2; exit 1; }
	done
	# Whatever was acknowledged to the source as a whole pass is a point.
	[ ! -e good ] || sort good | comm -23 - <(sort points) >missing
	[ ! -s missing ]
	ps-vault verify vault -k vault.key >/dev/null
	ps-cache verify -C s1/cache >/dev/null
	! grep -q refused s1/acks || false
	[ ! -e s1/cache/failed ]
}
