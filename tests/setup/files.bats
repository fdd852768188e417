#!/usr/bin/env bats
# unifiedsetup: the files that it is given, right and wrong.
load ../lib/common
load setup

prepare() { files; }

flags() { ps_flags --print-command --json --name ps1 "$@"; }

# wrong CODE ID LINE WORDS COMMAND...
wrong() {
	local code=$1 id=$2 line=$3 words=$4
	shift 4
	fails_with "$code" "$@" || { cat out; return 1; }
	[ "$(jq -r '[.error, .line // "-", .exit] | join(" ")' out)" = \
		"$id $line $code" ] || { cat out; return 1; }
	says out "$words"
	lacks "out err" s3cret user-pw abcdefgh
}

@test "proxy settings: as documentation prints them, and what is wrong" {
	flags /ProxySettingsFilePath proxy >out
	printf '[proxysettings]\r\nproxyauthentication=no\r\nPROXYIP=http://proxy.example/\r\nProxyPort=8080\r\nProxyUserName=\r\n' >p
	flags /ProxySettingsFilePath p >out
	p() { # LINE WORDS SED: the file `proxy` changed by sed
		sed "$3" proxy >p
		wrong 65 proxy-settings "$1" "$2" flags /ProxySettingsFilePath p
	}
	p 3 "is not known" 's/Proxy IP/ProxyHost/'
	p 4 "stands there twice" 's/^\* ProxyPort.*/ProxyIP=192.0.2.8/'
	p 1 "the section is not" '1s/Proxy/Web/'
	p 3 "is no INI" 's/Proxy IP =/Proxy IP/'
	p - "there is no [ProxySettings]" d
	p - "ProxyPort: '99999' is no port" 's/3128/99999/'
	p - "ProxyPort is missing or empty" 's/"3128"/""/'
	p - "is neither Yes nor No" 's/"Yes"/"Perhaps"/'
	p - "ProxyPassword is missing" 's/"s3cret-pw"//'
	p - "ProxyUserName: a name with" 's/"jo"/"a:b"/'
	p - "is neither a name nor" 's/192.0.2.7/a b/'
	p - "ProxyIP is missing" '/Proxy IP/d'
}

@test "MySQL credentials: right and wrong" {
	cs() { unifiedsetup --print-command --json --name cs /ServerMode CS \
		/InstallLocation "$T/d" /EnvType NonVMWare \
		/VaultCredsFilePath vaultcreds /MySQLCredsFilePath "$@"; }
	cs mysql
	printf '* [MySQLCredentials]\n* MySQLRootPassword = x\n* MySQLUserPassword=y\n' >m
	cs m
	printf '[MySQLCredentials]\nMySQLRootPassword = "x"\n' >m
	wrong 65 mysql-credentials - "MySQLUserPassword is missing" cs m
	printf '[MySQLCredentials]\nMySQLRootPassword = "x"\nRoot = "y"\n' >m
	wrong 65 mysql-credentials 3 "'Root' is not known" cs m
	wrong 66 mysql-credentials - "No such file" cs none
}

@test "passphrase: its newline goes, more than a line is refused" {
	flags >out
	printf 'abcdefgh12345678\r\n' >pass
	flags >out
	printf 'one\ntwo\n' >pass
	wrong 65 passphrase 2 "more than one line" flags
	printf '\n' >pass
	wrong 65 passphrase - "is empty" flags
	printf 'a\0b\n' >pass
	wrong 65 passphrase - "is no text" flags
	rm pass
	wrong 66 passphrase - "No such file" flags
}

@test "vault credentials: the template, an expiry, and what is wrong" {
	v() { flags /VaultCredsFilePath "$1"; }
	unifiedsetup --write-template new
	[ "$(stat -c %a new)" = 600 ]
	wrong 65 vault-credentials 6 "the template is not filled in" v new
	sed -i 's/ACCOUNT/account/; s/CONTAINER/container/' new
	v new >out
	fails_with 73 unifiedsetup --write-template new
	says err 'is there already'
	wrong 73 template - "is there already" unifiedsetup --json \
		--write-template new
	bad() { # CODE ID LINE WORDS, the file on standard input
		cat >bad
		wrong "$1" "$2" "$3" "$4" v bad
	}
	bad 78 vault-credentials-expired 2 "have expired" <<-END
		vault: s3://bucket
		expires: 2026-01-01T00:00:00Z
	END
	bad 65 vault-credentials - "expires is missing" <<-END
		vault: s3://bucket
	END
	bad 65 vault-credentials - "vault is missing" <<-END
		expires: never
	END
	bad 65 vault-credentials 2 "neither a time nor" <<-END
		vault: s3://bucket
		expires: soon
	END
	bad 65 vault-credentials 1 "is no vault" <<-END
		vault: https://account.blob.core.windows.net/
		expires: never
	END
	bad 65 vault-credentials 1 "names no container" <<-END
		vault: azblob://account/
		expires: never
	END
	bad 65 vault-credentials 1 "names no bucket" <<-END
		vault: s3://
		expires: never
	END
	bad 65 vault-credentials 3 "'colour' is not known" <<-END
		vault: s3://bucket
		expires: never
		colour: red
	END
	bad 65 vault-credentials 4 "is none of those" <<-END
		vault: s3://bucket
		expires: never
		credentials:
		  PATH: /tmp
	END
	bad 78 vault-credentials 3 "stands there twice" <<-END
		vault: s3://bucket
		expires: never
		vault: s3://other
	END
}

@test "as Windows saves them: marks before UTF-8, CRLF, UTF-16" {
	command -v iconv >/dev/null || skip "iconv is not installed"
	all() { # all COMMAND...: with each file, as it is now
		"$@" /ProxySettingsFilePath proxy /VaultCredsFilePath vaultcreds
	}
	local file
	for file in pass proxy mysql vaultcreds; do
		sed -i '1s/^/\xef\xbb\xbf/; s/$/\r/' "$file"
	done
	all flags >out
	says out /ProxySettingsFilePath
	unifiedsetup --print-command --name cs /ServerMode CS /InstallLocation \
		/d /EnvType NonVMWare /VaultCredsFilePath vaultcreds \
		/MySQLCredsFilePath mysql >out
	# The passphrase is the same to those who read it later.
	cxpsclient -P pass --derive-key web01 >with
	echo 'abcdefgh12345678' >pass
	cxpsclient -P pass --derive-key web01 | cmp - with
	for file in pass proxy vaultcreds; do
		cp -p "$file" kept
		iconv -f UTF-8 -t UTF-16LE kept | sed '1s/^/\xff\xfe/' >"$file"
		fails_with 65 all flags
		says out "it is UTF-16"
		says out "iconv -f UTF-16 -t UTF-8 $file"
		mv kept "$file"
	done
}

@test "a file that others can read is refused, each of them" {
	local file
	for file in pass proxy mysql vaultcreds; do
		chmod 640 "$file"
		case $file in
		pass) set -- ;;
		proxy) set -- /ProxySettingsFilePath proxy ;;
		vaultcreds) set -- /VaultCredsFilePath vaultcreds ;;
		mysql) set -- ;;
		esac
		if [ "$file" = mysql ]; then
			fails_with 77 unifiedsetup --print-command --json \
				/ServerMode CS /InstallLocation /d /EnvType \
				VMWare /VaultCredsFilePath vaultcreds \
				/MySQLCredsFilePath mysql
		else
			fails_with 77 flags "$@"
		fi
		says out "others than its owner can read it"
		says out "chmod 600 $file"
		chmod 600 "$file"
	done
}
