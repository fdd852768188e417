#!/usr/bin/env bats
# unifiedsetup: each step of an upgrade, of the way back, of registering again
# and of uninstalling fails, is killed, or does its work and fails then. The
# machine is as before, or the same command completes it.
load ../lib/common
load setup
load versions
load ../config/mariadb

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
	[ -z "${DB-}" ] || dump
}

ROOT=root # as the programs are told

begin() { # the installation of $first, and it runs
	rm -rf root
	cp -a "$first" root
	touch running
	[ -z "${DB-}" ] || in_maria \
		"DROP DATABASE IF EXISTS steps; CREATE DATABASE steps; USE steps;
		source $T/$first.sql"
}

# ---- with MariaDB: the tables belong to what there is ----

in_maria() { mariadb --no-defaults -u root -S "$DB/socket" -e "$1"; }

dump() {
	mariadb-dump --no-defaults -u root -S "$DB/socket" --skip-dump-date steps
}

# complete VERSION WHAT: what it comes to when nothing fails
complete() {
	begin
	with "$1" setup-only "$ROOT" "$2" >out 2>err || { cat out err; false; }
	image >"$2.want"
	[ "$2" = uninstall ] || [ -e running ]
}

# broken VERSION WHAT HOW N: nothing when there is no such step. Each command
# has its own end: errexit does not count where the status is looked at.
broken() {
	local code=0
	begin || return
	with "$1" setup-only "$ROOT" "$2" "$3" "$4" >out 2>err || code=$?
	[ "$code" -ne 1 ] || return 0
	image >now
	if [ "$3" = kill ]; then
		[ "$code" -eq 137 ] || return
	else
		[ "$code" -eq 74 ] || return
		if ! grep -q 'goes on here' err; then
			diff before now && [ -e running ] || return
		fi
	fi
	tried=$((tried + 1))
	# Nothing is left to be done when the last step was over.
	with "$1" setup-only "$ROOT" "$2" >out 2>err ||
		grep -q 'nothing is installed\|nothing to go back to' err || return
	image | diff "$2.want" - || return
	[ "$2" = uninstall ] || [ -e running ]
}

# walk MIN VERSION WHAT [WORDS]: each step (that has those words) in one way, or
# in all of them (with words, or PS_LONG); at least MIN
walk() {
	local n how words ways=(kill fail half) all=${4:-${PS_LONG:-}}
	complete "$2" "$3"
	begin
	image >before
	with "$2" setup-only "$ROOT" "$3" count 0 >steps
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

# The server that it would register at does not run here, and what that gives
# is another certificate each time: site.bats has it.
own_registers() {
	cat >bin/ps-config <<-'END'
		#!/bin/sh
		PATH=${PATH#"$T/bin:"}
		[ "$1" = register ] || exec ps-config "$@"
		cd "$(find "$T/root" -type d -name identity)" || exit 73
		echo "$*" >>"$T/registered"
		echo certificate >server.crt
		printf '{"name": "cs1", "cs_host": "127.0.0.1", "cs_port": "1"}' >identity.json
	END
	chmod +x bin/ps-config
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
	# Master targets are not left behind, either.
	sql "INSERT INTO servers VALUES ('mt1', 'mt', NULL, 'a', 1, '1.0.0', 0, 0, NULL, NULL)"
	fails_with 78 with 0.2.0 setup-only root upgrade
	says err "1 servers cannot work with 0.2.0, the first is mt1 with 1.0.0"
	sql "DELETE FROM servers WHERE name = 'mt1'"
	# As a version before made it.
	sql "DROP TABLE contacts; UPDATE schema_at SET version = 2"
	with_services
	own_registers
	touch "$(find root -type d -name health)/heartbeat"
	mv root first
	first=first
	ROOT=$T/root
	walk 9 0.2.0 upgrade regist
	# Under the name that it was entered by; its receiver shows that.
	says registered "--name cs1 --address 127.0.0.1 --port "
	says "$(find root -path '*/etc/ps-toolkit/ps.yaml')" 'identity/server.crt"'
	cmp "$(find root -path '*/etc/ps-toolkit/server.key')" \
		"$(find root -path '*/identity/server.key')"
	ps-config list --config "$(find root -path '*/etc/ps-toolkit/ps.yaml')" >/dev/null
	# Back from where the tables were newer, and nothing else was.
	begin
	n=$(with 0.2.0 setup-only root upgrade count 0 | grep -n '^registry: tables' |
		cut -d : -f 1)
	fails_with 137 with 0.2.0 setup-only root upgrade kill "$n"
	sql "UPDATE schema_at SET version = 4"
	with 0.1.0 setup-only root rollback >out 2>err || { cat out err; false; }
	cmp root/"${db#root/}" first/"${db#root/}"
	# As one that is newer than 0.1.0 knows would leave it.
	complete 0.2.0 upgrade
	sql "CREATE TABLE newer (a INTEGER); UPDATE schema_at SET version = 4"
	mv root upgraded
	first=upgraded
	walk 3 0.1.0 rollback registry
	cmp root/"${db#root/}" first/"${db#root/}"
}

@test "a configuration server with MariaDB: the registry is copied, and back" {
	[ -n "${PS_LONG:-}" ] || skip "takes a while: PS_LONG=1"
	needs_database
	local yaml
	unifiedsetup --root "$T/root" --skip-space-check /ServerMode CS \
		/InstallLocation /data /EnvType NonVMWare /PSIP 127.0.0.1 \
		--cs-port "$(free_port)" --name cs1 /VaultCredsFilePath vaultcreds \
		/DataTransferSecurePort "$(free_port)" >out || { cat out; false; }
	yaml=$(find root -name ps.yaml)
	rm "$(find root -name registry.db)"
	database_install
	database
	in_database steps
	sed 1d ps.yaml | sed -i '/^config:/r /dev/stdin' "$yaml"
	ps-config init --config "$yaml"
	ps-config policy add gold --config "$yaml"
	with_services
	# As a version before made it.
	in_maria 'USE steps; DROP TABLE contacts; UPDATE schema_at SET version = 2'
	dump >first.sql
	mv root first
	first=first
	walk 12 0.2.0 upgrade
	complete 0.2.0 upgrade
	ps-config policy list --config "$yaml" | grep -q gold
	# What cannot be put back keeps its copy, and the next time it can.
	begin
	mkdir broken
	printf '#!/bin/sh\n[ "$1" = --version ]\n' >broken/mariadb
	chmod +x broken/mariadb
	n=$(with 0.2.0 setup-only root upgrade count 0 | grep -n '^registry: tables' |
		cut -d : -f 1)
	PATH=$T/broken:$PATH fails_with 74 with 0.2.0 setup-only root upgrade half "$n"
	says out "could not be taken back: registry"
	with 0.2.0 setup-only root upgrade >out 2>err || { cat out err; false; }
	image | diff upgrade.want -
	complete 0.2.0 upgrade
	# As one that is newer than 0.1.0 knows would leave it.
	in_maria 'USE steps; CREATE TABLE newer (a INT); UPDATE schema_at SET version = 4'
	dump >upgraded.sql
	mv root upgraded
	first=upgraded
	walk 12 0.1.0 rollback
	complete 0.1.0 rollback
	dump | diff first.sql -
	# Killed while tables were put back: they are all put back again.
	begin
	in_maria 'SET foreign_key_checks = 0; USE steps; DROP TABLE servers'
	keep=$(find root -type d -name ps-toolkit-setup)
	touch "$keep/0.1.0/half"
	with 0.1.0 setup-only root rollback >out 2>err || { cat out err; false; }
	dump | diff first.sql -
	# Where nobody can make a copy, it has to be asked for.
	first=first
	begin
	mkdir without
	printf '#!/bin/sh\nexit 127\n' >without/mariadb-dump
	chmod +x without/mariadb-dump
	PATH=$T/without:$PATH fails_with 78 with 0.2.0 setup-only root upgrade
	says err "install mariadb-client, or save them"
}
