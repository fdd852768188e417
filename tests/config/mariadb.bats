#!/usr/bin/env bats
# ps-config with MariaDB: that goes away, that two servers share, whose desk
# is taken over, and that is put in another's place by a backup.
load ../lib/common
load config
load captive
load mariadb

setup_file() { database_install; }

prepare() {
	command -v jq >/dev/null || skip "jq is not installed"
	needs_database
	database
}

cleanup() {
	if [ -n "${DATABASE-}" ] && kill -0 "$DATABASE" 2>/dev/null; then
		database_dies
	fi
}

# ask PATH: as the operator; the answer with its head is in ./answer
ask() {
	printf 'GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' "$1" |
		timeout 30 "$PS_BUILD/tests/net/peer" raw 127.0.0.1 \
			"$(cat port)" first '*' >answer
}

is_away() { ask /v1/servers && grep -q '^HTTP/1.1 503' answer; }

# heard SERVER AFTER: it was, after that time in seconds
heard() {
	[ "$(answer '.contact | fromdate' show "$1")" -gt "$2" ]
}

@test "MariaDB goes away, with two servers on it: told so, and nothing is lost" {
	local away=2 first second begun
	[ -z "${PS_LONG-}" ] || away=60
	in_database away
	site --interval 1s
	first=$(cat port)
	cp -r config config2
	rm -rf config2/serve config2/server.key
	serve --dir "$T/config2" --interval 1s
	second=$(cat port)
	join ps2 >out
	beating ps2
	echo "$first" >port
	join ps1 >out
	beating ps1
	mv beat.err beat1.err # of both: it is open
	wait_for heard ps1 0
	wait_for heard ps2 0
	ps-config policy add gold
	ps-config backup before
	begun=$SECONDS
	database_dies
	# Commands: at once, or in the end.
	fails_with 75 ps-config --database-wait 1s policy add silver
	grep -q "Can't connect\|Lost connection\|gone away" err
	grep -q 'nothing was changed: try again when the database is back' err
	# More than the time that it is away.
	start ps-config --database-wait 120s policy add bronze
	patient=${STARTED[-1]}
	for port in "$first" "$second"; do
		echo "$port" >port
		wait_for is_away
		grep -q '^Retry-After: 5' answer
		grep -q '^PS-Cause: database' answer
		grep -q '"error":"database"' answer
		fails_with 75 join ps3
		grep -q 'database' err
	done
	while [ $((SECONDS - begun)) -lt "$away" ]; do
		! ask /v1/servers || grep -q '^HTTP/1.1 503' answer
		sleep 0.2
	done
	back=$(date +%s)
	database
	wait "$patient"
	[ "$(answer '[.[].name]' policy)" = '["bronze","gold"]' ]
	wait_for heard ps1 "$back"
	wait_for heard ps2 "$back"
	grep -q 'the configuration server is there again' beat1.err
	# What was there is there, and every change was made once.
	ps-config backup after
	diff <(grep '^{"table":"\(policies\|certificates\|authorities\|machines\)' before) \
		<(grep '^{"table":"\(policies\|certificates\|authorities\|machines\)' after) \
		>difference || true
	[ "$(grep -c '^[<>]' difference)" -eq 1 ] # bronze
	[ "$(answer 'map(select(.what == "policy-add")) | length' audit)" -eq 2 ]
	for port in "$first" "$second"; do
		echo "$port" >port
		ask /v1/servers
		grep -q '"ps1"' answer
		grep -q '"ps2"' answer
	done
	[ "$(answer '[.[] | select(.what == "server-silent")] | length' audit)" \
		-eq 0 ]
}

@test "MariaDB hangs: told so as well, and it goes on; with TLS, too" {
	[ -n "${PS_LONG-}" ] || skip "long: PS_LONG=1"
	database_dies
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-keyout key -out cert -subj /CN=x -days 2 2>/dev/null
	database --ssl-cert="$T/cert" --ssl-key="$T/key"
	in_database hangs "127.0.0.1:$(cat "$DB/port")"
	site --interval 1s
	join ps1 >out
	kill -STOP "$DATABASE"
	# It is away: that is no fault of TLS (2026), as the library has it.
	fails_with 75 join ps2
	grep -q 'register: database: ' err
	run ! grep '(2026)' serve.err
	fails_with 75 ps-config --database-wait 1s policy list
	beating ps1
	wait_for grep -q database beat.err || wait_for grep -q database beat.err
	is_away || is_away
	kill -CONT "$DATABASE"
	wait_for heard ps1 "$(date +%s)"
}

# tables_of DATABASE: all that init makes, besides what is different each time
tables_of() {
	local of="FROM information_schema"
	mariadb --no-defaults -S "$DB/socket" -u root -N <<-END
		SELECT table_name, column_name, column_type, is_nullable $of.columns
			WHERE table_schema = '$1' ORDER BY 1, 2;
		SELECT table_name, constraint_name, constraint_type
			$of.table_constraints WHERE table_schema = '$1' ORDER BY 1, 2;
		SELECT table_name, index_name, column_name $of.statistics
			WHERE table_schema = '$1' ORDER BY 1, 2, 3;
		SELECT version FROM $1.schema_at;
		SELECT COUNT(*) FROM $1.state;
		SELECT generation FROM $1.authorities;
	END
}

@test "an init that is killed at any step is finished by the next one" {
	local n code step=15 kills=0
	[ -z "${PS_LONG-}" ] || step=1
	in_database whole
	registry
	tables_of whole >whole
	for ((n = 5; ; n += step)); do
		in_database "cut$n"
		use "$T/config$n"
		code=0
		LD_PRELOAD=$PS_BUILD/tests/lib/fail-call.so FAIL_CALL=send \
			FAIL_AT=$n FAIL_HOW=kill ps-config init 2>err || code=$?
		[ "$code" -ne 0 ] || break
		[ "$code" -eq 137 ]
		kills=$((kills + 1))
		ps-config init
		tables_of "cut$n" | diff whole -
	done
	[ "$kills" -ge 5 ]
	# What has only a part of its tables says so.
	in_database part
	use "$T/part"
	LD_PRELOAD=$PS_BUILD/tests/lib/fail-call.so FAIL_CALL=send FAIL_AT=30 \
		FAIL_HOW=kill ps-config init 2>err || true
	fails_with 66 ps-config policy list
	grep -q 'to begin: ps-config init' err
	# The step from an older version was cut off: its tables are there.
	mariadb --no-defaults -S "$DB/socket" -u root whole \
		-e 'UPDATE schema_at SET version = 1; DROP TABLE contacts'
	in_database whole
	use "$T/config"
	fails_with 78 ps-config policy list
	grep -q 'has tables of version 1' err
	ps-config init
	tables_of whole | diff whole -
}

@test "the desk of MariaDB reaches the database, its folder, and nothing else" {
	can_capture
	in_database captive
	registry
	(umask 077 && ps-config passphrase new >first)
	serve_captive
	done_there open "$T/config/config.key"
	not_done open /etc/passwd # the database is on this machine
	not_done open "$T/credentials"
	not_done make "$T/new"
	no_tcp "$(cat port)"
	not_done wx
	dies exec /bin/true
	# By TCP: that port, and names of hosts.
	end "$SERVER"
	in_database captive "localhost:$(cat "$DB/port")"
	sed -i s/captive/faraway/ ps.yaml
	registry
	ps-config passphrase new >second
	mv second first
	chmod 600 first
	rm m.key
	serve_captive
	done_there connect "$(cat "$DB/port")"
	no_tcp "$(cat port)"
	not_done open "$T/first"
	not_done open "$DB/port"
	# Out there it finds its way back to the database by itself.
	database_dies
	wait_for is_away
	database
	back() { ask /v1/servers && grep -q '^HTTP/1.1 200' answer; }
	wait_for back
	! grep -q 'signal' serve.err || false
}

@test "backup and restore, one command each, from SQLite to MariaDB and back" {
	registry
	protected
	ps-config passphrase new --keep >/dev/null
	ps-config backup one
	in_database restored
	ps-config restore one
	[ "$(answer '[.state, .disks[0].size]' machine show web01)" = \
		'["enabled",42949672960]' ]
	ps-config passphrase show >out # is still in force
	ps-config policy add later
	fails_with 1 ps-config restore one
	ps-config restore one --replace
	fails_with 1 ps-config policy show later
	ps-config backup two
	rows() { grep '^{"table"' "$1" | grep -v '^{"table":"audit"'; }
	cmp <(rows one) <(rows two)
	export PS_CONFIG=
	ps-config restore two --replace
	ps-config backup three
	cmp <(rows one) <(rows three)
	# Without the key file: which one, and where to put it.
	in_database nokey
	use "$T/other"
	fails_with 66 ps-config restore one
	grep -q 'put the config.key that belongs to the backup there first' err
	[ ! -e other/config.key ]
}
