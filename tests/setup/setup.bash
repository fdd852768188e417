# What the tests of unifiedsetup share. After `load ../lib/common`.
# shellcheck shell=bash

# files: one of each kind that is right, in the folder of the test
files() {
	umask 077
	echo 'abcdefgh12345678' >pass
	printf '* [ProxySettings]\n* ProxyAuthentication = "Yes"\n* Proxy IP = "192.0.2.7"\n* ProxyPort = "3128"\n* ProxyUserName="jo"\n* ProxyPassword="s3cret-pw"\n' >proxy
	printf '[MySQLCredentials]\nMySQLRootPassword = "root-pw"\nMySQLUserPassword = "user-pw"\n' >mysql
	mkdir -p vault
	cat >vaultcreds <<-END
		vault: $T/vault
		expires: 2099-01-01T00:00:00Z
	END
}

# ps OPTION...: a process server with all that is required
ps_flags() {
	unifiedsetup /ServerMode PS /InstallLocation "$T/data" /EnvType VMWare \
		/CSIP 127.0.0.1 /PassphraseFilePath pass "$@"
}

# A configuration server; its passphrase is what ./pass has from now on, and
# with `other_end two` ./pass2 has one that is accepted, too.
other_end() {
	PS_CONFIG_DIR=$T/cs ps-config init
	(umask 077 && PS_CONFIG_DIR=$T/cs ps-config passphrase new >pass)
	[ $# -eq 0 ] || (umask 077 &&
		PS_CONFIG_DIR=$T/cs ps-config passphrase rotate >pass2)
	rm -f port
	start env PS_CONFIG_DIR="$T/cs" ps-config serve -l 127.0.0.1:0 \
		>port 2>serve.err
	wait_for [ -s port ]
	# shellcheck disable=SC2034 # for whoever loads this
	CS_PORT=$(cat port)
}

# What starts services is not there: for tests that run them by themselves.
without_services() {
	mkdir -p bin
	# A file: who writes another one there writes through no link.
	printf '#!/bin/sh\n' >bin/ps-service
	chmod +x bin/ps-service
	PATH=$T/bin:$PATH
}

# A port that nobody has.
free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# says FILE WORDS...: the file has these words
says() {
	local file=$1
	shift
	grep -qF -e "$*" "$file" || {
		echo "not in $file: $*" >&2
		cat "$file" >&2
		return 1
	}
}

# lacks FILES WORD...: none of the files has any of these words
lacks() {
	local files=$1 word
	shift
	for word; do
		# shellcheck disable=SC2086
		if grep -F -e "$word" $files; then
			echo "it is in one of: $files" >&2
			return 1
		fi
	done
}
