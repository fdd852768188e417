# Holds a file system frozen for a window and lets it go, whatever becomes of
# the program that started it. Of two processes one holds and one watches that
# it does; either can be killed. Started by the provider fsfreeze, in a session
# of its own.
# usage: bash freeze-guard.bash STATE-PREFIX MOUNTPOINT WINDOW-SECONDS
# shellcheck shell=bash
set -u
at=$1 mount=$2 window=$3

# Hundredths of a second since boot: no clock that somebody can set.
now() {
	local up
	read -r up _ </proc/uptime
	echo "${up/./}"
}

# Who renames the state has the duty to thaw.
thaw() {
	mv "$at.state" "$at.over" 2>/dev/null
	fsfreeze -u "$mount" 2>/dev/null || fsfreeze -u "$mount"
	: >"$at.done"
}

# Lives until the holder's end of the pipe is closed, by its end or by force
# (read says 1), or the window is over (more than 128): then the holder may hang
# inside the freezing itself, and thawing is tried until it does not.
watch() {
	local word code=0
	trap '' TERM INT HUP
	read -r -t $((window + 2)) word || code=$?
	until [ -e "$at.done" ] || [ -e "$at.failed" ]; do
		mv "$at.state" "$at.over" 2>/dev/null
		if fsfreeze -u "$mount" 2>/dev/null; then : >"$at.done"; fi
		[ "$code" -gt 128 ] || break
		code=0
		read -r -t 0.2 word || code=$?
	done
}

hold() {
	local end word=
	if ! fsfreeze -f "$mount" 2>"$at.why"; then
		: >"$at.failed"
		: >"$at.done"
		if grep -q -i busy "$at.why"; then
			echo busy >&8
		else
			cat "$at.why" >&2
			echo failed >&8
		fi
		return
	fi
	: >"$at.state"
	echo frozen >&8
	end=$((begun + window * 100))
	while [ -z "$stop" ] && [ "$(now)" -lt "$end" ]; do
		read -r -t 0.2 -u 7 word || true
		[ -z "$word" ] || break
	done
	thaw
}

exec 6>"$at.lock"
flock -n 6 || exit 75
# Short of memory, this is the last process to be chosen.
echo -1000 2>/dev/null >/proc/self/oom_score_adj || true
stop=
trap 'stop=1' TERM INT HUP
exec 7<>"$at.ask" 8<>"$at.said"
begun=$(now)
: >"$at.begun"
exec 5> >(exec 7>&- 8>&- && watch)
hold
exit 0
