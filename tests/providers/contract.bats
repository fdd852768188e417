#!/usr/bin/env bats
# What all providers have in common: words, environment, exit codes.
load ../lib/common
load providers

prepare() {
	random_file disk 100000
	environment "$T/disk"
}

all() { (cd "$PROVIDERS" && find . -type f ! -name '*.*' -printf '%P\n' | sort); }

@test "wrong words and wrong environments are refused by each" {
	local p
	for p in $(all); do
		fails_with 64 provider "$p" destroy ps-1
		fails_with 64 provider "$p" create 'ps-../x'
		fails_with 64 provider "$p" create ''
		fails_with 64 provider "$p" create 'x-1'
		fails_with 64 provider "$p" changes ps-1 'ps;1'
		fails_with 64 env PS_MACHINE=../x "$PROVIDERS/$p" list
		fails_with 78 env PS_SOURCE=disk "$PROVIDERS/$p" list
		fails_with 64 env PS_SOURCE=/x PS_STATE=/nowhere "$PROVIDERS/$p" list
		fails_with 78 env PS_SOURCE=/x PS_TIMEOUT=0 "$PROVIDERS/$p" list
		fails_with 78 env PS_SOURCE=/x PS_OPT_WINDOWS=3 "$PROVIDERS/$p" list
		grep -q "unknown option 'WINDOWS'" err
	done
}

@test "traits are lines of key, tab, value, and name what has to be named" {
	local p
	for p in $(all); do
		[ "$p" != qemu ] || continue # asks for its programs
		provider "$p" traits >traits
		grep -qxE $'consistency\t(none|crash)' traits
		grep -qxE $'changes\t(yes|no)' traits
		grep -qxE $'keep\t(yes|no)' traits
		! grep -qvE $'^(consistency|changes|converge|keep|window)\t[a-z0-9]+$' traits
	done
}

@test "none: the source as it is; the administrator may know more of it" {
	create none ps-1
	[ "$SOURCE_PATH" = "$T/disk" ]
	protect p1
	restored p1 disk
	fails_with 1 provider none changes ps-2 ps-1
	provider none delete ps-1
	listed none
	fails_with 66 env PS_SNAPSHOT=ps-1 PS_SOURCE="$T/nothing" "$PROVIDERS/none" create
	environment "$T/disk" PS_OPT_CONSISTENCY=crash
	provider none traits | grep -qx $'consistency\tcrash'
	environment "$T/disk" PS_OPT_CONSISTENCY=app
	fails_with 78 provider none traits
}

@test "one word at a time for one disk" {
	mkdir -p run/providers
	exec 9>run/providers/w.d.lock
	flock 9
	export PS_TIMEOUT=1
	fails_with 75 provider none create ps-1 9>&-
	grep -q "another provider is busy" err
	exec 9>&-
	provider none create ps-1
}
