#!/usr/bin/env bats
# Hooks: a real MariaDB server with writers; PostgreSQL's questions.
load ../lib/common
load providers

prepare() {
	umask 022
	export PS_RUN_DIR=$T/run PS_MACHINE=w PS_TIMEOUT=20
}

# server FOLDER: starts one on its own folder and socket
server() {
	start mariadbd --no-defaults --tmpdir="$T" --datadir="$T/$1" --socket="$T/$1.sock" \
		--pid-file="$T/$1.pid" --skip-networking --user="$(id -un)" \
		--innodb-buffer-pool-size=16M --innodb-log-file-size=8M >"$1.log" 2>&1
	printf '[client]\nsocket=%s\nuser=root\n' "$T/$1.sock" >"$1.cnf"
	wait_for sql "$1" 'SELECT 1' || { cat "$1.log"; false; }
}

sql() { mariadb --defaults-file="$T/$1.cnf" -BN -e "$2"; }

database() {
	need mariadbd mariadb mariadb-install-db
	# It deletes the temporary tables of all others in its folder for them.
	TMPDIR=$T mariadb-install-db --no-defaults --datadir="$T/db" --user="$(id -un)" \
		--auth-root-authentication-method=normal --skip-test-db >install.log 2>&1 ||
		{ cat install.log; false; }
	server db
	sql db 'CREATE DATABASE t; CREATE TABLE t.a (i INT PRIMARY KEY) ENGINE=InnoDB;
		CREATE TABLE t.b (i INT PRIMARY KEY) ENGINE=InnoDB;
		CREATE TABLE t.m (i INT PRIMARY KEY) ENGINE=MyISAM'
	export PS_MARIADB_CNF=$T/db.cnf
}

# Transactions that write one number into two tables, as fast as they can.
writer() {
	local i
	for ((i = 0; ; i++)); do
		echo "BEGIN; INSERT INTO t.a VALUES ($i); INSERT INTO t.b VALUES ($i); COMMIT; INSERT INTO t.m VALUES ($i);"
	done | mariadb --defaults-file="$T/db.cnf" -B
}

rows() { sql "${2:-db}" "SELECT COUNT(*) FROM t.$1"; }
grown() { [ "$(rows a)" -gt "$1" ]; }

@test "mariadb: a copy taken between freeze and thaw starts and is consistent" {
	local before during
	database
	start writer
	wait_for grown 200
	"$HOOKS/mariadb" freeze
	before=$(rows a)
	# All files at one moment, as a snapshot has them: InnoDB writes behind
	# the scenes also while no transaction can commit.
	kill -STOP "$(cat db.pid)"
	cp -a db copy
	kill -CONT "$(cat db.pid)"
	during=$(rows a)
	[ "$before" = "$during" ]
	"$HOOKS/mariadb" thaw
	wait_for grown "$during"
	server copy
	[ "$(rows a copy)" = "$before" ]
	[ "$(rows b copy)" = "$before" ]
	sql copy 'CHECK TABLE t.a, t.b, t.m' | awk -F'\t' '$4 != "OK" { bad = 1; print } END { exit bad }'
	[ "$(ls run/hooks)" = "" ]
}

@test "mariadb: the limit lets writers go when thaw never comes" {
	local n
	database
	export PS_TIMEOUT=2
	"$HOOKS/mariadb" freeze
	n=$(rows a)
	# Waits for the lock, and gets it when the limit is over.
	timeout 15 mariadb --defaults-file=db.cnf -e 'INSERT INTO t.a VALUES (1)'
	[ "$(rows a)" -gt "$n" ]
	fails_with 1 "$HOOKS/mariadb" thaw
	fails_with 1 "$HOOKS/mariadb" thaw
}

@test "mariadb: whatever is killed, writers are let go" {
	local pid
	database
	# the holder
	"$HOOKS/mariadb" freeze
	pid=$(fuser run/hooks/mariadb.w.lock 2>/dev/null | tr -s ' ' '\n' | grep .)
	echo "$pid" | xargs kill -9
	timeout 15 mariadb --defaults-file=db.cnf -e 'INSERT INTO t.a VALUES (1)'
	fails_with 1 "$HOOKS/mariadb" thaw
	# a freeze that follows a forgotten one
	"$HOOKS/mariadb" freeze
	"$HOOKS/mariadb" freeze
	"$HOOKS/mariadb" thaw
	sql db 'INSERT INTO t.a VALUES (2)'
	# the client stopped: the server ends the session
	export PS_TIMEOUT=2
	"$HOOKS/mariadb" freeze
	pid=$(pgrep -f "^mariadb --defaults-extra-file=$T/db.cnf --batch" | head -n 1)
	kill -STOP "$pid"
	timeout 15 mariadb --defaults-file=db.cnf -e 'INSERT INTO t.a VALUES (3)'
	kill -CONT "$pid"
	fails_with 1 "$HOOKS/mariadb" thaw
}

@test "mariadb: no server, no lock, no words: told and nothing left behind" {
	need mariadb
	printf '[client]\nsocket=%s\n' "$T/nothing" >cnf
	export PS_MARIADB_CNF=$T/cnf
	fails_with 69 "$HOOKS/mariadb" freeze
	fails_with 1 "$HOOKS/mariadb" thaw
	fails_with 64 "$HOOKS/mariadb" stop
	fails_with 66 env PS_MARIADB_CNF=/nowhere "$HOOKS/mariadb" freeze
	fails_with 78 env PS_TIMEOUT=x "$HOOKS/mariadb" freeze
}

# psql that answers from files and remembers what it was asked.
psql_stand_in() {
	mkdir bin data data/pg_wal
	cat >bin/psql <<-'END2'
		#!/bin/bash
		printf '%s\n' "$*" >>"$T/asked"
		case ${!#} in
		"SHOW data_directory") echo "$T/data" ;;
		SELECT*) cat "$T/tablespaces" ;;
		CHECKPOINT) exit "${CHECKPOINT_CODE:-0}" ;;
		*) exit 99 ;;
		esac
	END2
	chmod +x bin/psql
	export T PGHOST=$T PATH=$T/bin:$PATH
	printf '\n\n' >tablespaces
}

@test "postgresql: a checkpoint when all lies in one file system" {
	psql_stand_in
	"$HOOKS/postgresql" freeze
	tail -n 1 asked | grep -qx -- '-X -q -A -t -w -v ON_ERROR_STOP=1 -d postgres -c CHECKPOINT'
	"$HOOKS/postgresql" thaw
	fails_with 75 env CHECKPOINT_CODE=2 "$HOOKS/postgresql" freeze
	fails_with 78 env PGPASSWORD=x "$HOOKS/postgresql" freeze
	echo /proc >tablespaces
	fails_with 1 "$HOOKS/postgresql" freeze
	grep -q "/proc lies in another file system" err
	fails_with 64 "$HOOKS/postgresql"
}
