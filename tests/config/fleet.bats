#!/usr/bin/env bats
# ps-config serve with MariaDB that goes away, and with many machines.
load ../lib/common
load config

prepare() {
	command -v jq >/dev/null || skip "jq is not installed"
}

# database: MariaDB on a socket in our folder
database() {
	start mariadbd --no-defaults --datadir="$T/db" --socket="$T/socket" \
		--pid-file="$T/pid" --skip-networking --user="$(id -un)" \
		--innodb-buffer-pool-size=16M --innodb-log-file-size=8M \
		>>database.log 2>&1
	DATABASE=${STARTED[-1]}
}

@test "MariaDB goes away and comes back: told so, and nothing is lost" {
	command -v mariadbd >/dev/null || skip "MariaDB is not installed"
	ps-config --version | grep -q MariaDB || skip "built without MariaDB"
	mariadb-install-db --no-defaults --datadir="$T/db" \
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
