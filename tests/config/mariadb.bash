# MariaDB for the tests of a file, on a socket and a port of 127.0.0.1 in the
# file's own folder. After `load config`.
# shellcheck shell=bash

# database_install: once for a file, in setup_file
database_install() {
	command -v mariadbd >/dev/null || return 0
	DB=$BATS_FILE_TMPDIR
	# It deletes the temporary tables of all others in its folder for them.
	TMPDIR=$DB mariadb-install-db --no-defaults --datadir="$DB/db" \
		--user="$(id -un)" --auth-root-authentication-method=normal \
		--skip-test-db --innodb-log-file-size=8M \
		--innodb-buffer-pool-size=16M >"$DB/install.log" 2>&1
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])' >"$DB/port"
	export DB
}

# database OPTIONS...: starts it; DATABASE is its id
database() {
	start mariadbd --no-defaults --tmpdir="$DB" \
		--datadir="$DB/db" --socket="$DB/socket" --pid-file="$DB/pid" \
		--bind-address=127.0.0.1 --port="$(cat "$DB/port")" \
		--user="$(id -un)" --innodb-buffer-pool-size=16M \
		--innodb-log-file-size=8M "$@" >>"$DB/log" 2>&1
	wait_for [ -s "$DB/pid" ]
	DATABASE=$(cat "$DB/pid")
}

# database_dies: as in a power cut
database_dies() {
	kill -9 "$DATABASE"
	while kill -0 "$DATABASE" 2>/dev/null; do sleep 0.02; done
	rm -f "$DB/pid"
}

# in_database NAME [HOST]: ps-config means this database from now on
in_database() {
	(umask 077 && printf '[MySQLCredentials]\nMySQLRootPassword = ""\nMySQLUserPassword = "x"\n' \
		>credentials)
	cat >ps.yaml <<-END
		config:
		  credentials: $T/credentials
		  database-host: ${2-$DB/socket}
		  database-name: $1
		  database-wait: 30
	END
	export PS_CONFIG=$T/ps.yaml
}

needs_database() {
	command -v mariadbd >/dev/null || skip "MariaDB is not installed"
	ps-config --version | grep -q MariaDB || skip "built without MariaDB"
}
