#!/usr/bin/env bats
# What keeps an agent from its work is said before it runs, and seen while it
# does.
# shellcheck disable=SC2154 # agent is set by begin_agent
load ../lib/common
load ../lib/chain
load agent

prepare() {
	command -v jq >/dev/null || skip "jq is not installed"
	new_server
	receive
}

cleanup() {
	stop_all
	if mountpoint -q "$T/small" 2>/dev/null; then umount "$T/small"; fi
}

@test "check says everything that is wrong, each with its reason, before run does" {
	new_agent a b:copy c <<-END
		hooks: {pre: $T/pre, post: $T/post}
		bookmarks: {app: 1h}
		key: $T/seal.key
	END
	printf '#!/bin/sh\n' >pre
	chmod 755 pre
	cp pre post
	cp vault.key seal.key
	agent check
	[ ! -e state ]
	# One thing at a time, each with its code.
	wrong() { # CODE WORDS
		fails_with "$1" agent check
		grep -q -e "^ps-agent: $2" err || { cat err; false; }
		[ "$(grep -vc '^ps-agent: hint: ' err)" -eq 1 ]
	}
	mv m.key gone
	wrong 66 "server.key: $T/m.key: No such file"
	mv gone m.key
	chmod 644 m.key
	wrong 77 "server.key: $T/m.key: refused: others"
	chmod 600 m.key
	mv a.img gone
	wrong 66 "disk a: $T/a.img: No such file"
	ln b.img a.img
	wrong 78 "disk b: $T/b.img and $T/a.img, of disk a, are the same"
	rm a.img
	mkdir a.img
	wrong 78 "disk a: $T/a.img: neither a regular file nor a block"
	rmdir a.img
	mv gone a.img
	chmod 777 post
	wrong 77 "hooks.post: $T/post: refused: everybody can write it"
	chmod 644 post
	wrong 78 "hooks.post: $T/post: Permission denied"
	chmod 755 post
	sed -i 's/provider: copy/provider: nobody-has-it/' agent.yaml
	wrong 78 "disk b: provider: .*/nobody-has-it: No such file"
	sed -i 's/provider: nobody-has-it/provider: copy/' agent.yaml
	echo nonsense >seal.key
	fails_with 78 agent check
	# And all at once: the gravest code, no word left out.
	rm m.key a.img post
	sed -i 's/^interval:.*/intervall: 5/; s/^max-wait:.*/max-wait: soon/' agent.yaml
	fails_with 78 agent check
	for word in intervall "'max-wait': not a time" m.key a.img post seal.key; do
		grep -q -e "$word" err || { cat err; false; }
	done
}

@test "a hook that everybody can write is not run, the error stands in status" {
	new_agent a:copy <<-END
		hooks: {pre: $T/hook, post: $T/hook}
		bookmarks: {app: 1}
	END
	printf '#!/bin/sh\necho "$1" >>%s/ran\n' "$T" >hook
	chmod 777 hook
	agent once
	agent once
	[ ! -e ran ]
	state a .error | grep -q "hook pre: $T/hook: refused: everybody can write it"
	is a .acknowledged.consistency crash
	chmod 755 hook
	agent once
	[ "$(paste -sd , ran)" = freeze,thaw ]
	is a .acknowledged.consistency app
	is a .error ''
}

@test "a state folder without room: status says so, and when it has room again" {
	local before
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	mkdir small
	mount -t tmpfs -o size=1m,mode=700 tmpfs small || skip "no tmpfs"
	new_agent a </dev/null
	sed -i "s|^state:.*|state: $T/small/state|; s/^interval.*/interval: 1/" agent.yaml
	pipeline
	begin_agent
	wait_for is a '.acknowledged.seq >= 1' true
	before=$(agent status --json | jq -r .state_error)
	[ "$before" = '' ]
	# What a pass that fails gives back is taken, too.
	troubled() {
		cat /dev/zero >>small/filler
		agent status --json | jq -e '.state_error == "No space left on device" and
			(.disks[0] | .state == "stalled" and (.error |
			test("the state cannot be saved since 20.*: No space left")))' &&
			agent status | grep -q '^THE STATE CANNOT BE SAVED (No space left'
	}
	wait_for troubled
	rm small/filler
	wait_for is a .state continuous
	is a .error ''
	said 'the state is saved again'
	[ "$(agent status --json | jq -r .state_error)" = '' ]
	kill "$agent"
	wait "$agent"
}

@test "points that a server had acknowledged and lost are named" {
	local stored first last
	new_agent a </dev/null
	sed -i 's/^interval.*/interval: 1/' agent.yaml
	pipeline
	begin_agent
	wait_for points 1
	kill "${STARTED[1]}"
	wait "${STARTED[1]}" || true
	stored=$(ps-vault head vault --machine m --disk a | cut -f 4)
	scribble a.img 3
	wait_for is a ".acknowledged.seq >= $stored + 3" true
	is a .lost_points null
	agent pause
	wait_for is a .under_way_since null
	last=$(state a .acknowledged.bookmark)
	first=$(jq -r --argjson s "$stored" 'first(.disks[0].points[] |
		select(.seq > $s)).bookmark' state/state.json)
	# It is gone for good, and another one takes its place.
	kill "${STARTED[0]}"
	wait "${STARTED[0]}" || true
	rm -r s1/cache
	ps-cache init -C s1/cache
	receive
	pipeline
	agent resume
	wait_for is a '.lost_points.points >= 3' true
	is a .lost_points.first.bookmark "$first"
	is a .lost_points.last.bookmark "$last"
	agent status | grep -q "^    lost .* points, $first to $last, noticed 2"
	said "a: [0-9]* points that the process server had acknowledged are lost"
	wait_for is a ".stored.seq > $stored" true
	# It stays known, and is told once.
	agent pause
	wait_for is a .under_way_since null
	[ "$(grep -c 'acknowledged are lost' agent.err)" -eq 1 ]
	is a .lost_points.last.bookmark "$last"
	wait_for drained
	restored a
}
