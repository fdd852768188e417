#!/usr/bin/env bats
# unifiedsetup on a disk that becomes full, in each step of all that it does:
# it says so and what to do, the machine is as before or the same command goes
# on, and with room again it comes to the same end. PS_LONG=1: each step.
load ../lib/common
load setup
load versions

prepare() {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	unshare -m true 2>/dev/null || skip "no mount namespaces here"
	command -v jq python3 >/dev/null || skip "no jq or no python3"
	files
	ps-vault init vault >/dev/null
	export T
	PATH=$PS_BUILD/tests/setup:$PATH
	mkdir -p root none
}

# What is there, but logs and the folders above them.
image() { # FOLDER
	(cd "$1" && find . -mindepth 1 ! -path '*/log/ps-toolkit*' ! -name .counters \
		! -path ./usr ! -path ./usr/local ! -path ./usr/local/var \
		! -path ./usr/local/var/log ! -name ballast ! -name '*.db-*' -printf '%p %y %m\n' | sort
	find . -type f ! -path '*/log/ps-toolkit/*' ! -name .counters ! -name ballast \
		! -name '*.db-*' -print0 | sort -z | xargs -0 -r sha256sum)
}

small() { "$PS_SOURCE/tests/setup/full-disk" "$@"; }

# complete FIRST COMMAND...: what it comes to when there is room
complete() {
	small "$1" - - "${@:2}"
	[ "$(cat code)" -eq 0 ] || { cat out err; false; }
	image after >want
	image "$1" >before
}

# full FIRST KIB N COMMAND...: after complete(). `hit` counts those that failed.
full() {
	small "$@"
	if [ "$(cat code)" -ne 0 ]; then
		[ "$(cat code)" -eq 75 ] || return
		hit=$((hit + 1))
		grep -q '^[a-z-]*: .*: No space left on device' err || return
		grep -q '^[a-z-]*: hint: make room there; the same command' err || return
		[ "$(cat code2)" -eq 0 ] || return
		grep -q 'goes on here' err || image after | diff before - || return
	fi
	image again >now
	# Keys and certificates are new ones each time.
	diff <(grep -v '^[0-9a-f]\{64\} ' want) <(grep -v '^[0-9a-f]\{64\} ' now)
}

# room FIRST AT-MOST STEP COMMAND...: with so many KiB, and more
room() {
	local kib first=$1 most=$2 step=$3
	shift 3
	complete "$first" "$@"
	hit=0
	for ((kib = 0; kib <= most; kib += PS_LONG ? 4 : step)); do
		full "$first" "$kib" - "$@" ||
			{ echo "$kib KiB: $*"; cat code out err code2 err2; false; }
	done
}

# steps FIRST LIST COMMAND...: full from each of these steps on (with PS_LONG:
# from each there is)
steps() {
	local n first=$1 list=$2
	shift 2
	complete "$first" "$@"
	[ -z "${PS_LONG:-}" ] || list=$(seq 12)
	hit=0
	for n in $list; do
		full "$first" - "$n" "$@" ||
			{ [ "$(cat code)" -eq 1 ] && [ ! -s err ]; } ||
			{ echo "step $n: $*"; cat code out err code2 err2; false; }
	done
}

@test "installing, another proxy, another registration, an upgrade, and back" {
	other_version next 0.2.0 setup-only
	without_services
	PATH=$T/next:$PATH other_end two
	room none 44 28 install-only "$T/root" 9443 pass "$CS_PORT"
	[ "$hit" -ge 2 ]
	rm -rf first
	cp -a again first
	sed 's/192.0.2.7/192.0.2.8/; s/s3cret-pw/other/' proxy >proxy2
	room first 4 4 unifiedsetup --root "$T/root" --set-proxy proxy2
	[ "$hit" -eq 2 ]
	steps first 3 setup-only "$T/root" reregister
	[ "$hit" -ge 1 ]
	PATH=$T/bin:$T/next:$PATH
	steps first "5 6" setup-only "$T/root" upgrade
	[ "$hit" -ge 2 ]
	cp -a again upgraded
	PATH=${PATH#"$T/bin:$T/next:"}
	# The way back has its room before anything is begun.
	small first 100 - setup-only "$T/root" reregister
	[ "$(cat code)" -eq 75 ]
	says err "ps-toolkit: No space left on device"
	says err "make room: "
	image first | diff - <(image after)
	[ "$(cat code2)" -eq 0 ]
	[ -n "${PS_LONG:-}" ] || return 0
	steps upgraded "" setup-only "$T/root" rollback
	[ "$hit" -ge 2 ]
	# It needs no room, and makes some.
	steps first "" setup-only "$T/root" purge
	[ "$hit" -eq 0 ]
}

@test "a configuration server whose registry gets newer tables" {
	other_version next 0.2.0 setup-only
	without_services
	unifiedsetup --root "$T/root" --skip-space-check /ServerMode CS \
		/InstallLocation /data /EnvType NonVMWare /PSIP 127.0.0.1 \
		--cs-port "$(free_port)" --name cs1 /VaultCredsFilePath vaultcreds \
		/DataTransferSecurePort "$(free_port)" >out || { cat out; false; }
	# As a version before made it.
	python3 - "$(find root -name registry.db)" <<-'END'
		import sqlite3, sys
		db = sqlite3.connect(sys.argv[1])
		db.execute("DROP TABLE contacts")
		db.execute("UPDATE schema_at SET version = 2")
		db.commit()
	END
	mv root first
	mkdir root
	PATH=$T/bin:$T/next:$PATH
	steps first "5 6 7" setup-only "$T/root" upgrade
	[ "$hit" -ge 3 ]
}

@test "services that start on a full disk are seen to run when there is room" {
	cat >see <<-'END'
		#!/bin/bash
		set -eu
		mount -t tmpfs -o size=4m none root
		mkdir -p root/usr/local/etc/ps-toolkit root/run root/usr/local/var/log
		cp ps.yaml root/usr/local/etc/ps-toolkit/
		cat /dev/zero >root/ballast 2>/dev/null || true
		ps-service start -q --root "$T/root" health
		state() { ps-service status --root "$T/root" --json health | jq -r '.[].state'; }
		state >full
		rm root/ballast
		for ((i = 0; i < 100; i++)); do
			if [ "$(state)" = idle ]; then break; fi
			sleep 0.1
		done
		state >room
		ps-service stop -q --root "$T/root" health
	END
	printf 'service:\n  names: health\n' >ps.yaml
	unshare -m bash see
	[ "$(cat full)" = starting ]
	[ "$(cat room)" = idle ]
}
