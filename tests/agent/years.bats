#!/usr/bin/env bats
# What happens to an agent within years: damaged files, a full disk, clocks
# that jump, disks that go bad, programs that run wild.

load ../lib/common
load ../lib/chain
load agent

prepare() {
	new_server
	receive
}

cleanup() { ! mountpoint -q "$T/state" || umount -l "$T/state"; }

goes_through() { agent once 2>>agent.err; }

# protected: the disk goes through again, without anybody's help, and restores
protected() {
	wait_for goes_through && wait_for drained && restored a
}

# damage FILE HOW
damage() {
	case $2 in
	empty) : >"$1" ;;
	half) truncate -s $(($(stat -c %s "$1") / 2)) "$1" ;;
	garbage)
		head -c "$(stat -c %s "$1")" /dev/urandom >x
		cat x >"$1"
		;;
	head) printf '\377\377\377\377\377\377\377\377\377\377\377\377\377\377' |
		dd of="$1" conv=notrunc status=none ;;
	gone) rm -f "$1" ;;
	esac
}

@test "any file of the state may be damaged" {
	local n=1 how file files hows='half garbage'
	[ -z "${PS_LONG-}" ] || hows='empty half garbage head gone'
	new_agent a:copy <<<'  '
	pipeline
	protected
	mapfile -t files < <(cd state && find . -type f ! -path '*/provider/*' ! -name lock | sort)
	[ "${#files[@]}" -ge 5 ]
	for file in "${files[@]}"; do
		for how in $hows; do
			[ -e "state/$file" ] || continue
			damage "state/$file" "$how"
			scribble a.img $((n = n + 1)) 2
			protected || { echo "# $file $how: $(tail -n 3 agent.err)" >&3; false; }
		done
	done
}

# set_state FILTER: changes what the agent remembers
set_state() {
	jq "$1" state/state.json >x
	cat x >state/state.json
}

@test "a clock that was a year ahead puts nothing off" {
	printf '#!/bin/sh\nexit 0\n' >hook
	chmod +x hook
	new_agent a:copy <<-END
		bookmarks: {app: 3600}
		hooks: {pre: $T/hook, post: $T/hook}
	END
	agent once
	is a .acknowledged.consistency crash # the first one is alone
	agent once
	is a .acknowledged.consistency app
	agent once
	is a .acknowledged.consistency crash # within the hour
	set_state '.app_ns += 31536000000000000 | .bookmark_ns += 31536000000000000'
	agent once
	is a .acknowledged.consistency app
	is a .error ''
}

@test "a full state folder: an error, no lie, and it goes on when there is room" {
	[ "$(id -u)" = 0 ] || skip "needs root"
	new_agent a:copy </dev/null
	pipeline
	mkdir state
	mount -t tmpfs -o size=24M,mode=700 none state
	protected
	cat /dev/zero >state/fill 2>/dev/null || true
	scribble a.img 5 2
	run agent once
	[ "$status" -ne 0 ]
	run agent status
	rm state/fill
	protected
	umount state
}

@test "a disk that grows, goes away and comes again, shrinks" {
	new_agent a b:copy </dev/null
	pipeline
	protected
	truncate -s 12M a.img
	scribble a.img 5 2
	protected
	mv a.img away
	fails_with 66 agent once
	[ -n "$(state a .error)" ]
	is b .error ''
	mv away a.img
	protected
	is a .error ''
	# A smaller one may be a mistake: somebody has to say.
	truncate -s 3M a.img
	fails_with 65 agent once
	fails_with 65 agent once
	state a .error | grep -q 'has shrunk from 12582912 to 3145728 bytes; if'
	# The map is good, and stays.
	[ ! -e state/disks/a/map.damaged ]
	agent accept a
	protected
	is a .error ''
}

@test "a program that says too much or leaves a child behind stops nobody" {
	mkdir providers
	cat >providers/wild <<-'END'
		#!/bin/bash
		case $1 in
		traits) yes | head -c "$PS_OPT_BYTES"; yes | head -c 2M >&2; sleep 10 & ;;
		create) echo "source $PS_SOURCE" ;;
		esac
	END
	chmod +x providers/wild
	new_agent "a:wild:bytes=$([ -n "${PS_LONG-}" ] && echo 1G || echo 20M)" \
		</dev/null
	export PS_PROVIDER_DIR=$T/providers
	SECONDS=0
	agent once 2>wild.err
	echo "# $SECONDS s, $(stat -c %s wild.err) bytes said" >&3
	is a .state continuous
	[ "$(stat -c %s wild.err)" -lt 100000 ]
	grep -q 'more lines left out' wild.err
}

@test "a change list of any length, and a provider that fills the disk" {
	local ranges=300000
	[ "$(id -u)" = 0 ] || skip "needs root"
	[ -z "${PS_LONG-}" ] || ranges=30000000
	mkdir state providers
	mount -t tmpfs -o size=12M,mode=700 none state
	ln -s "$PS_SOURCE/tests/lib/providers/copy" providers/copy
	cat >providers/long <<-END
		#!/bin/bash
		[ "\$1" != changes ] || {
			[ ! -e $T/fill ] || truncate -s 300M "\$PS_STATE/list" || exit 74
			awk 'BEGIN { for (i = 0; i < $ranges; i++)
				printf "%d 4 dirty\\n", i * int(314572800 / $ranges) }'
			exit
		}
		exec "$PS_SOURCE/tests/lib/providers/copy" "\$@"
	END
	chmod +x providers/long
	new_agent a:long </dev/null
	export PS_PROVIDER_DIR=$T/providers
	truncate -s 300M a.img
	pipeline
	protected
	scribble a.img 5 2
	agent once 2>err
	run ! grep 'no change list' err
	[ "$(stat -c %s state/disks/a/changes)" -lt 4000000 ]
	wait_for drained
	restored a
	# A file that it would keep beside is bounded as well.
	: >fill
	scribble a.img 6 2
	agent once 2>err
	grep -q 'no change list .*the whole disk is read' err
	wait_for drained
	restored a
	umount state
}
