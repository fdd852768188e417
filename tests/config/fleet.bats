#!/usr/bin/env bats
# ps-config serve with MariaDB that goes away, and with many machines.
load ../lib/common
load config

prepare() {
	command -v jq >/dev/null || skip "jq is not installed"
}

# database: MariaDB on a socket in our folder
database() {
	start mariadbd --no-defaults --tmpdir="$T" --datadir="$T/db" --socket="$T/socket" \
		--pid-file="$T/pid" --skip-networking --user="$(id -un)" \
		--innodb-buffer-pool-size=16M --innodb-log-file-size=8M \
		>>database.log 2>&1
	DATABASE=${STARTED[-1]}
}

@test "MariaDB goes away and comes back: told so, and nothing is lost" {
	command -v mariadbd >/dev/null || skip "MariaDB is not installed"
	ps-config --version | grep -q MariaDB || skip "built without MariaDB"
	# It deletes the temporary tables of all others in its folder for them.
	TMPDIR=$T mariadb-install-db --no-defaults --datadir="$T/db" \
		--user="$(id -un)" --auth-root-authentication-method=normal \
		--skip-test-db >install.log 2>&1
	database
	(umask 077 && printf '[MySQLCredentials]\nMySQLRootPassword = ""\nMySQLUserPassword = "x"\n' \
		>credentials)
	cat >ps.yaml <<-END
		config:
		  credentials: $T/credentials
		  database-host: $T/socket
		  database-wait: 30
	END
	export PS_CONFIG=$T/ps.yaml
	site
	join ps1 >out
	beat ps1 --once
	beating ps1 --interval 1s
	kill -9 "$DATABASE"
	wait "$DATABASE" 2>/dev/null || true
	wait_for grep -q 'database' beat.err
	fails_with 75 join ps2
	grep -q 'database' err
	database
	wait_for grep -q 'is there again' beat.err
	wait_for join ps2
	[ "$(answer '[.[].name]' list)" = '["ps1","ps2"]' ]
	kill -0 "$SERVER"
}

# What ps-health says of a server with 225 machines of 3 disks.
many_machines() {
	mkdir -p bin health
	jq -n '[range(225) as $m | range(3) as $d | {machine: "m\($m)",
		disk: "d\($d)", accepted: 100000, stored: 99999,
		pending_bytes: 1048576, lag_seconds: ($m % 60),
		changed_bytes: 123456789, crash_point: (now - 60 - $d | todate),
		app_point: (now - 1800 | todate), held: false, unseated: false,
		initial: false}] | {status: "OK", level: "ok", alerts: [],
		disks: .}' >many.json
	printf '#!/bin/sh\ncat %s/many.json\n' "$T" >bin/ps-health
	chmod +x bin/ps-health
	PATH=$T/bin:$PATH
}

# Ticks of processor time that the server has used, with all its children.
used() {
	local pid sum=0 f
	for pid in "$SERVER" $(cat "/proc/$SERVER/task/$SERVER/children"); do
		read -ra f <"/proc/$pid/stat"
		sum=$((sum + f[13] + f[14] + f[15] + f[16]))
	done
	echo "$sum"
}

@test "225 machines of three disks: all is heard, under 5 % of a core" {
	local before n=12 i
	site
	join ps1 >out
	many_machines
	ps-config policy add gold
	ps-config machine add m7 --policy gold --server ps1 --vault v
	ps-config machine disk m7 d0
	ps-config machine enable m7
	beat ps1 --once
	[ "$(answer '[.machines[] | .level, .lag_s]' status)" = '["ok",7]' ]
	# As if each machine came by itself, with a login of its own.
	rm bin/ps-health
	before=$(used)
	for ((i = 0; i < n; i++)); do beat ps1 --once; done
	before=$(($(used) - before))
	echo "ms for each: $((before * 1000 / n / $(getconf CLK_TCK)))"
	# 225 a minute: 5 % of a core are 13.3 ms for each.
	[ $((before * 225 * 1000 / n)) -lt \
		$((60 * 50 * $(getconf CLK_TCK))) ]
}
