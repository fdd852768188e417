#!/usr/bin/env bats
# scripts/quickstart in small form: what it promises on the terminal is so.
load ../lib/common

quickstart() {
	QUICKSTART_MIB=48 "$PS_SOURCE/scripts/quickstart" "$T/q" \
		>out 2>err || { cat out err; return 1; }
}

nothing_runs() {
	! pgrep -af "$T/q"
}

needs() {
	for program in mke2fs debugfs e2fsck jq; do
		PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null ||
			skip "$program is not installed"
	done
	[ -x /usr/bin/time ] || skip "time is not installed"
}

@test "quickstart protects, changes, lists and restores three points" {
	needs
	quickstart
	[ "$(grep -c '^disk digest .*: the source' out)" -eq 3 ]
	[ "$(grep -c '^cmp  *equal to the copy' out)" -eq 3 ]
	[ "$(grep -c '^e2fsck -fn  *[0-9]*/[0-9]* files' out)" -eq 3 ]
	grep -q '^3 a change list' out
	# Every stage has its line of figures, none of them zero.
	[ "$(sed -n '/^stage/,/^$/p' out | grep -c '^ps-\|^cxps')" -eq 9 ]
	! sed -n '/^stage/,/^$/p' out | grep -qE ' 0\.0+( |$)' || false
}

@test "quickstart leaves nothing running and nothing outside its folder" {
	needs
	mkdir empty
	TMPDIR=$T/empty quickstart
	[ -z "$(ls empty)" ]
	nothing_runs
	[ -d q/vault/web01/root ]
}

@test "quickstart that is interrupted stops what it started" {
	needs
	# In a session of its own, as a terminal would have it.
	QUICKSTART_MIB=48 start setsid "$PS_SOURCE/scripts/quickstart" "$T/q" \
		>out 2>err
	wait_for grep -q 'Pass 1' out
	kill -TERM "${STARTED[-1]}"
	wait "${STARTED[-1]}" || true
	wait_for nothing_runs
	grep -q "all else are in $T/q" err
}

@test "quickstart refuses a folder that is in use" {
	mkdir q
	touch q/x
	fails_with 64 "$PS_SOURCE/scripts/quickstart" "$T/q"
	grep -q 'is not empty' err
}
