#!/usr/bin/env bats
# long: several servers
# ps-balance move, switch, apply: machines go from one server to another.
load ../lib/common
load ../lib/chain
load fleet

prepare() {
	command -v jq >/dev/null || skip "jq is not installed"
	random_file disk.img 2000000
	truncate -s 8M disk.img
}

sum() { sha256sum <disk.img | cut -d' ' -f 1; }

have_begun() { [ "$(config jobs list --json | jq length)" -eq "$1" ]; }

left_is_named() {
	order_note s1 left |
		grep -q 'done: held here, never stored: d: 1 segments, 2 to 2'
}

# What an agent does where its machine belongs.
sends() { # sends MACHINE BOOKMARK
	pass "$1" d disk.img "$(server_of "$1")" --bookmark "$2" 2>>source.err
}

@test "a machine moves: no point is lost, the chain goes on, the old one says where" {
	[ -n "${PS_LONG:-}" ] || skip "PS_LONG=1: some seconds more"
	local before
	fleet s1 s2
	protect m s1 d
	protect other s1 d
	pass other d disk.img s1 --bookmark o1
	pass m d disk.img s1 --bookmark b1
	scribble disk.img 1
	before=$(sum)
	pass m d disk.img s1 --bookmark b2
	balance move s1 s2 m >moved 2>moved.err &
	wait_for is_at m s2
	point_exists m b2 # all was stored before
	scribble disk.img 2
	wait_for settle m d s2 # it has come, and sends nothing yet
	wait "$!"
	sends m b3
	grep -q '^m: s1 -> s2: d has segment 2$' moved
	wait_for point_exists m b3
	[ "$(restored_sum m d b2)" = "$before" ]
	[ "$(restored_sum m d b3)" = "$(sum)" ]
	[ "$(ps-vault list vault --machine m -k vault.key --json | jq length)" = 3 ]
	fails_with 75 pass m d disk.img s1
	grep -q 'moved: the machine has moved to s2: ask the conf' err
	[ "$(ls -A s1/cache/m)" = .moved ]
	ps-vault verify vault -k vault.key --data >/dev/null
	pass other d disk.img s1 --bookmark o2 # nobody else has noticed
	# And back again, by its job.
	config jobs list --json | jq -e '.[] | select(.kind == "move").state == "done"'
	balance switch s2 s1 >moved 2>moved.err &
	wait_for is_at m s1
	scribble disk.img 3
	wait_for sends m b4
	wait "$!"
	wait_for point_exists m b4
	[ "$(restored_sum m d b4)" = "$(sum)" ]
}

@test "ps-balance killed at any time: resume goes on where it was" {
	[ -n "${PS_LONG:-}" ] || skip "PS_LONG=1: some seconds more"
	local i pid
	fleet s1 s2
	for i in 1 2 3; do
		protect "m$i" s1 d
		pass "m$i" d disk.img s1 --bookmark b1
	done
	for i in 1 2 3 4 5 6; do
		balance switch s1 s2 >/dev/null 2>&1 3>&- &
		pid=$!
		sleep "0.$((i * 13 % 40 + 10))"
		kill -9 "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	balance resume >moved 2>moved.err &
	pid=$!
	for i in 1 2 3; do wait_for is_at "m$i" s2; done
	scribble disk.img 4
	for i in 1 2 3; do wait_for sends "m$i" b2; done
	wait "$pid"
	for i in 1 2 3; do
		wait_for point_exists "m$i" b2
		[ "$(restored_sum "m$i" d b2)" = "$(sum)" ]
	done
	# One job for each: none was made twice, none is left.
	[ "$(config jobs list --json | jq 'map(select(.kind == "move" and .state == "done")) | length')" = 3 ]
	[ "$(config jobs list --open --json | jq length)" = 0 ]
	balance resume | grep -q 'Nothing has to move'
}

@test "a dead server: its machines go on elsewhere, and its leavings are held" {
	local before
	fleet s1 s2
	protect m s1 d
	pass m d disk.img s1 --bookmark b1
	before=$(sum)
	wait_for point_exists m b1
	wait_for drained
	stop_all
	# Taken, and never stored: then it dies.
	receive s1
	scribble disk.img 5
	pass m d disk.img s1 --bookmark lost
	stop_all
	receive s2
	pipeline s2
	serve
	heartbeat s2
	fails_with 75 balance move s1 s2 m --wait 1s
	grep -q 'ps-balance resume watches it' err
	balance move s1 s2 m --dead >moved 2>moved.err &
	wait_for is_at m s2
	scribble disk.img 6
	wait_for settle m d s2 # it has come, and sends nothing yet
	wait "$!"
	grep -q '^m: s1 -> s2: d has segment 1$' moved
	sends m b2
	wait_for point_exists m b2
	[ "$(restored_sum m d b1)" = "$before" ]
	[ "$(restored_sum m d b2)" = "$(sum)" ]
	! point_exists m lost || false
	# It comes back: nothing of it reaches the vault.
	heartbeat s1
	wait_for left_is_named
	receive s1
	pipeline s1
	fails_with 75 pass m d disk.img s1
	scribble disk.img 7
	sends m b3
	wait_for point_exists m b3
	[ "$(restored_sum m d b3)" = "$(sum)" ]
	[ "$(ps-cache stat --json -C s1/cache | jq -r '.disks[0].held')" = true ]
	# It cannot come back there before somebody has looked.
	fails_with 1 balance move s2 s1 m
	grep -q 'm was not moved to s1: s1: .*never stored' err
	is_at m s2
	sends m b4
}

is_leaving() { grep -q '^leaving s2$' s1/cache/m/.moved; }
wants_to_store() { config jobs show 1 | grep -q 'have to be stored first'; }
has_ended() { [ "$(config jobs show "$1" --json | jq -r .state)" = "$2" ]; }

@test "a move that is cancelled: the old server takes the machine again" {
	local before
	fleet s1 s2
	protect m s1 d
	pass m d disk.img s1 --bookmark b1
	wait_for point_exists m b1
	wait_for drained
	stop_one "${STARTED[2]}" # nothing is stored any more
	scribble disk.img 1
	pass m d disk.img s1 --bookmark b2
	balance move s1 s2 m >moved 2>moved.err &
	wait_for wants_to_store
	is_leaving
	fails_with 75 pass m d disk.img s1
	fails_with 1 config jobs failed 1
	config jobs cancel 1 >out
	grep -q '^s1 is asked to keep m; the job ends when it has answered$' out
	wait_for has_ended 1 cancelled
	[ "$(ls -A s1/cache/m)" = d ]
	scribble disk.img 2
	pass m d disk.img s1 --bookmark b3
	wait "$!" && false
	grep -q '^ps-balance: m was not moved to s2: m stays at s1$' moved.err
	pipeline s1
	wait_for point_exists m b3
	[ "$(restored_sum m d b3)" = "$(sum)" ]
	point_exists m b2
	is_at m s1
	# When the registry names the new one only the waiting ends.
	balance move s1 s2 m >moved 2>moved.err &
	wait_for is_at m s2
	config jobs cancel 2 >out
	grep -q '^m belongs to s2 already and stays there' out
	fails_with 1 config jobs cancel 2
	grep -q 'back: ps-balance move s2 s1 m' err
	wait "$!" && false
	wait_for settle m d s2
	pass m d disk.img s2 --bookmark b4
	wait_for point_exists m b4
}

# adds SERVER: a segment of another content behind the one that both have
adds() {
	local s=$1 n=$2
	cp m.d.map "$s.map"
	cp -a m.d.map.journal "$s.map.journal" 2>/dev/null || true
	cp disk.img "$s.img"
	scribble "$s.img" "$n"
	ps-scan --machine m --disk d --map "$s.map" --bookmark "of-$s" "$s.img" |
		client m "$s" --put - >"$s.put"
}

@test "two servers that both write: one is refused by the vault, and says so" {
	local s winner loser
	new_server s1
	new_server s2
	for s in s1 s2; do
		receive "$s"
		pipeline "$s"
	done
	pass m d disk.img s1 --bookmark b1
	wait_for point_exists m b1
	wait_for drained s1
	wait_for settle m d s2 # seated where the vault is
	# Neither knows of the other: both take segment 2, at one time.
	for s in "${STARTED[1]}" "${STARTED[3]}"; do stop_one "$s"; done
	adds s1 11
	adds s2 12
	grep -q '^durable' s1.put
	grep -q '^durable' s2.put
	pipeline s1
	pipeline s2
	wait_for grep -q '^refused' s1/acks s2/acks
	wait_for [ "$(grep -l '^stored.m.d.2' s1/acks s2/acks | wc -l)" -eq 1 ]
	winner=$(grep -l '^stored.m.d.2' s1/acks s2/acks | cut -d/ -f 1)
	loser=$(grep -l '^refused.m.d.2' s1/acks s2/acks | cut -d/ -f 1)
	[ "$winner" != "$loser" ]
	point_exists m "of-$winner"
	! point_exists m "of-$loser" || false
	[ "$(restored_sum m d latest)" = "$(sha256sum <"$winner.img" | cut -d' ' -f 1)" ]
	ps-vault verify vault -k vault.key --data >/dev/null
	wait_for is_held "$loser"
	! is_held "$winner" || false
}
is_held() { [ "$(ps-cache stat --json -C "$1/cache" | jq -r '.disks[0].held')" = true ]; }

have_told_size() { balance inventory | jq -e '.servers | all(.[]; .cache)'; }

@test "a plan is made from the registry, and applied; half of one changes nothing" {
	mkdir -p bin s1/health s2/health
	cat >bin/ps-health <<-'END'
		#!/bin/sh
		echo '{"level": "warning", "figures": {"cache_size_bytes": 644245094400, "cache_free_percent": 50, "memory_percent": 40},
		"disks": [{"machine": "m1", "disk": "d", "churn_bytes_per_day": 1000,
			"accepted": 9, "stored": 7, "crash_point": "2026-11-20T10:00:00Z"},
		{"machine": "m1", "disk": "e", "churn_bytes_per_day": 500},
		{"machine": "m2", "disk": "d", "churn_bytes_per_day": null}]}'
	END
	chmod +x bin/ps-health
	PATH=$T/bin:$PATH
	fleet s1 s2
	protect m1 s1 d
	protect m2 s1 d
	wait_for have_told_size
	balance inventory >inventory 2>err
	grep -q 'of 1 machines it is not known' err
	jq -e '.servers[0].cache == 644245094400 and .servers[1].state == "warning" and
		.servers[0].cores == '"$(nproc --all)"'' inventory
	[ "$(jq -c '.machines' inventory)" = '[{"name":"m1","churn":1500,"server":"s1"},{"name":"m2","churn":0,"server":"s1"}]' ]
	balance plan --json <inventory >planned
	jq -e '.load.left == 0' planned
	config machine disable m1 --keep-points
	config machine disable m2 --keep-points
	cat >plan.json <<-END
		{"moves": [{"machine": "m1", "from": "s1", "to": "s2"},
		           {"machine": "m2", "from": "s2", "to": "s1"},
		           {"machine": "m3", "from": "s1", "to": "s2"}]}
	END
	fails_with 1 balance apply plan.json
	grep -q "m3.: there is none" err
	is_at m1 s1
	sed -i '/m3/s/m3/m1/; /m3/d' plan.json
	balance apply --dry-run plan.json >out
	grep -q '^m1  *s1  *s2' out
	grep -q '^s1  *warning ' out
	balance apply --dry-run --json plan.json |
		jq -e '[.servers[].state] == ["warning", "warning"]'
	is_at m1 s1
	balance move s1 s2 m1 --dead --dry-run 2>/dev/null |
		grep -q '^m1/d: .* taken segment 9 and stored 7: 8 to 9, and points up to 2026-11-20T10:00:00Z are missing'
	balance move s1 s2 m1 --dead --dry-run --json 2>/dev/null |
		jq -e '.last_word == [{machine: "m1", disk: "d", accepted: 9, stored: 7,
			newest_point: "2026-11-20T10:00:00Z"}]'
	# Both servers are shown, as they told.
	grep -qE '^s1 .* of 600 GiB .* 1.46 KiB ' out
	grep -q '^s2 .* of 600 GiB ' out
	balance apply --json <plan.json >applied
	jq -e '.servers | map([.name, .cache_size_bytes, .churn_bytes_per_day]) ==
		[["s1", 644245094400, 1500], ["s2", 644245094400, 1500]]' applied
	jq -e '.done == 3 and .failed == 0 and .open == 0' applied
	is_at m1 s2
	is_at m2 s1
	balance apply plan.json | grep -q 'Nothing has to move'
	balance apply --dry-run plan.json | grep -q '^m1 .* is there already'
	config machine edit m1 --server s1
	config server add s3 --address s3.example
	fails_with 1 balance move s1 s3 m1
	grep -q "'s3': was never heard" err
	fails_with 65 balance apply disk.img
	fails_with 66 balance apply nowhere
	fails_with 74 balance apply .
	fails_with 64 balance move s1 s2
	fails_with 64 balance switch s1
	fails_with 65 balance apply <<<'{"machines": []}'
	# Two places for one machine are no plan, whatever there was before.
	fails_with 65 balance apply --dry-run <<<'{"moves": [
		{"machine": "m1", "from": "s1", "to": "s2"},
		{"machine": "m1", "from": "s1", "to": "s3"}]}'
	grep -q "move 2: machine 'm1' goes to s2, and to s3, too" err
	fails_with 65 balance apply <<<'{"moves": [{"machine": "m1", "from": 5, "to": "s2"}]}'
	# On a terminal a line tells how far it is, and is gone before the next.
	command -v script >/dev/null || return 0
	script -qec "ps-balance move s1 s2 m1 --dir $T/registry" /dev/null \
		</dev/null >said
	grep -q '0 of 1 moved, 1 left' said
	grep -q $'\r\e\\[Km1: s1 -> s2' said
}

@test "a machine that is disabled is not sent, until it is enabled again" {
	local points
	local -x PS_PROVIDER_DIR=$FLEET_PROVIDERS
	fleet s1
	agent_up m1 s1
	wait_for is_whole m1
	config machine disable m1 --keep-points
	stop_one "${RUNS[agent m1]}"
	up agent m1
	wait_for grep -q 'nothing is sent until it is enabled again' m1.err
	ps-agent status -c m1.yaml | grep -q '^the machine is disabled'
	ps-agent status -c m1.yaml --json | jq -e '.disabled and .server_error == ""'
	stop_one "${RUNS[agent m1]}"
	wait_for drained s1
	points=$(listed m1)
	scribble m1.img 7
	# With the configuration server away it is known, too.
	stop_one "${STARTED[0]}"
	fails_with 69 ps-agent once -c m1.yaml
	serve
	fails_with 75 ps-agent once -c m1.yaml
	grep -q 'the machine is disabled' err
	[ "$(listed m1)" = "$points" ]
	up agent m1
	config machine enable m1
	wait_for grep -q 'the machine is enabled again' m1.err
	wait_for is_whole m1
}

@test "the policy says how often bookmarks are application-consistent" {
	local -x PS_PROVIDER_DIR=$FLEET_PROVIDERS
	fleet s1
	agent_up m1 s1
	wait_for is_whole m1
	stop_one "${RUNS[agent m1]}"
	echo "hooks: {pre: /bin/true, post: /bin/true}" >>m1.yaml
	once_gives() { # CONSISTENCY
		ps-agent once -c m1.yaml 2>err
		ps-agent status -c m1.yaml --json |
			jq -e ".disks[0].acknowledged.consistency == \"$1\""
	}
	config policy edit gold --app-consistent 0
	once_gives crash
	config policy edit gold --app-consistent 1h
	once_gives app
	grep -q 'application-consistent bookmarks each 1h 00m, as the policy says' err
	once_gives crash # the hour has begun
	# agent.yaml goes before it.
	sed -i 's/^hooks:/bookmarks: {app: 1}\n&/' m1.yaml
	sleep 1
	once_gives app
}

@test "agents follow their machines, whatever is killed meanwhile" {
	local i m mover object all=(m1 m2)
	fleet_up s1 s2
	for m in "${all[@]}"; do agent_up "$m" s1; done
	for m in "${all[@]}"; do wait_for is_whole "$m"; done
	RANDOM=7
	balance switch s1 s2 >moved 2>moved.err &
	mover=$!
	wait_for have_begun 2
	kill -9 "$mover" # who watches it is not needed
	for i in 1 2 3 4 5; do
		scribble "${all[i % 2]}.img" $((50 + i)) 2
		kill_any
		note_points "${all[@]}"
	done
	for m in "${all[@]}"; do wait_for is_at "$m" s2; done
	balance resume >>moved 2>>moved.err
	[ "$(config jobs list --json | jq 'map(select(.kind == "move" and .state == "done")) | length')" = 2 ]
	scribble m1.img 60
	check_fleet "${all[@]}"
	for m in "${all[@]}"; do [ "$(ls -A "s1/cache/$m")" = .moved ]; done
	grep -q 'the process server is s2, 127.0.0.1 port' m1.err
	# The check would have found what it looks for.
	cp -a vault sound
	object=$(find vault/m1/d -type f -name '[0-9]*' | sort | sed -n 2p)
	rm "$object"
	fails_with 1 check_points m1
	grep -q '^m1 ' missing
	cp -a sound/. vault/
	flip_bit "$object" $(($(stat -c %s "$object") / 2))
	! check_points m1 2>err || false
	cp -a sound/. vault/
	sed -i 's/[0-9a-f]\{8\}$/00000000/' witness
	fails_with 1 check_points m2
	grep -q 'and was:$' err
}
