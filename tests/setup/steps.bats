#!/usr/bin/env bats
# unifiedsetup: each step of an upgrade, of the way back, of registering again
# and of uninstalling fails, is killed, or does its work and fails then. The
# machine is as before, or the same command completes it.
load ../lib/common
load setup
load versions

prepare() {
	command -v jq >/dev/null || skip "jq is not installed"
	command -v python3 >/dev/null || skip "no python3"
	files
	ps-vault init vault >/dev/null
	export T
	PATH=$PS_BUILD/tests/setup:$PATH
	other_version next 0.2.0 setup-only
	without_services
	# Services that start and end at once; life.bats has real ones.
	cat >bin/services <<-'END'
		#!/bin/sh
		case $1 in
		--dump-options)
			echo
			printf 'cmd\t%s\t-\n' start stop restart status
			;;
		start | restart)
			>"$T/running"
			find "$T/root" -path '*/health/heartbeat' -exec touch {} +
			;;
		stop) rm -f "$T/running" ;;
		esac
	END
	chmod +x bin/services
}

# From now on there are services.
with_services() { mv bin/services bin/ps-service; }

# with VERSION COMMAND...: by the programs of that version
with() {
	local PATH=$PATH
	[ "$1" = 0.1.0 ] || PATH=$T/bin:$T/next:$PATH
	shift
	"$@"
}

# What is there, but logs and the files by which SQLite is shared.
image() {
	(cd root && find . -path '*/log/ps-toolkit' -prune -o ! -name .counters \
		! -name '.tmp.*' ! -name '*.db-*' -printf '%p %y %m\n' | sort
	find . -path '*/log/ps-toolkit' -prune -o -type f ! -name .counters \
		! -name '.tmp.*' ! -name '*.db-*' -print0 | sort -z |
		xargs -0 -r sha256sum)
}

begin() { # the installation of $first, and it runs
	rm -rf root
	cp -a "$first" root
	touch running
}

# complete VERSION WHAT: what it comes to when nothing fails
complete() {
	begin
	with "$1" setup-only root "$2" >out 2>err || { cat out err; false; }
	image >"$2.want"
	[ "$2" = uninstall ] || [ -e running ]
}

# broken VERSION WHAT HOW N: 1: there is no such step
broken() {
	local code=0
	begin
	with "$1" setup-only root "$2" "$3" "$4" >out 2>err || code=$?
	[ "$code" -ne 1 ] || return 0
	image >now
	if [ "$3" = kill ]; then
		[ "$code" -eq 137 ]
	else
		[ "$code" -eq 74 ]
		if ! grep -q 'goes on here' err; then
			diff before now
			[ -e running ]
		fi
	fi
	tried=$((tried + 1))
	# Nothing is left to be done when the last step was over.
	with "$1" setup-only root "$2" >out 2>err || [ "$?" -eq 66 ]
	image | diff "$2.want" -
	[ "$2" = uninstall ] || [ -e running ]
}

# walk MIN VERSION WHAT [WORDS]: each step (that has those words) in one way, or
# in all of them (with words, or PS_LONG); at least MIN
walk() {
	local n how words ways=(kill fail half) all=${4:-${PS_LONG:-}}
	complete "$2" "$3"
	begin
	image >before
	with "$2" setup-only root "$3" count 0 >steps
	tried=0 n=0
	while read -r words; do
		n=$((n + 1))
		[[ $words = *${4:-}* ]] || continue
		for how in "${ways[@]}"; do
			[ -n "$all" ] || [ "$how" = "${ways[n % 3]}" ] || continue
			broken "$2" "$3" "$how" "$n" ||
				{ echo "$3: $how at $n"; cat out err; false; }
		done
	done <steps
	echo "# $3: $tried, $n steps" >&3
	[ "$tried" -ge "$1" ]
}

@test "a process server: each step of all that is done to it" {
	with 0.2.0 other_end two
	install-only root 9443 pass "$CS_PORT" >out
	touch "$(find root -type d -name health)/heartbeat"
	with_services
	mv root first
	first=first
	walk 6 0.2.0 upgrade
	# Half of it is taken back, too, and nothing else is done then.
	begin
	image >before
	fails_with 137 with 0.2.0 setup-only root upgrade kill 4
	fails_with 78 with 0.1.0 setup-only root upgrade
	says err "going to 0.2.0 was begun"
	with 0.1.0 setup-only root rollback >out || { cat out; false; }
	image | diff before -
	# What runs now is 0.2.0.
	complete 0.2.0 upgrade
	mv root upgraded
	first=upgraded
	walk 6 0.1.0 rollback
	first=first
	walk 5 0.1.0 reregister
	walk 6 0.1.0 uninstall
}

@test "a configuration server: a registry with older tables, and back" {
	local db
	unifiedsetup --root "$T/root" --skip-space-check /ServerMode CS \
		/InstallLocation /data /EnvType NonVMWare /PSIP 127.0.0.1 \
		--cs-port "$(free_port)" --name cs1 /VaultCredsFilePath vaultcreds \
		/DataTransferSecurePort "$(free_port)" >out || { cat out; false; }
	db=$(find root -name registry.db)
	sql() { # on the registry, which nobody has open then
		python3 - "$db" "$1" <<-'END'
			import sqlite3, sys
			db = sqlite3.connect(sys.argv[1])
			for line in sys.argv[2].split(";"):
			    db.execute(line)
			db.commit()
			db.close()
		END
	}
	# As a version before made it.
	sql "DROP TABLE contacts; UPDATE schema_at SET version = 2"
	with_services
	mv root first
	first=first
	walk 6 0.2.0 upgrade registry
	ps-config list --config "$(find root -path '*/etc/ps-toolkit/ps.yaml')" >/dev/null
	# As one that is newer than 0.1.0 knows would leave it.
	complete 0.2.0 upgrade
	sql "CREATE TABLE newer (a INTEGER); UPDATE schema_at SET version = 4"
	mv root upgraded
	first=upgraded
	walk 3 0.1.0 rollback registry
	cmp root/"${db#root/}" first/"${db#root/}"
}
