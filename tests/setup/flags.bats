#!/usr/bin/env bats
# unifiedsetup: flags of the original and of ours, in any order and case.
load ../lib/common
load setup

prepare() { files; }

# The usual ones as the table below has them.
PS='/ServerMode PS /InstallLocation /srv/ps /EnvType VMWare /CSIP 192.0.2.1 /PassphraseFilePath pass'
CS='/ServerMode CS /InstallLocation /srv/cs /EnvType NonVMWare /VaultCredsFilePath vaultcreds'

# cases: lines "WORDS -> WANTED COMMAND LINE" on standard input
cases() {
	local line want got
	while IFS= read -r line; do
		want=${line#*-> }
		# shellcheck disable=SC2086 # words are meant
		got=$(unifiedsetup --print-command --name ps1 ${line%%->*} 2>err) ||
			{ cat err; echo "failed: $line"; return 1; }
		[ "$got" = "unifiedsetup /AcceptThirdpartyEULA $want --name ps1" ] || {
			printf '%s\nwanted %s\ngot    %s\n' "$line" "$want" "$got"
			return 1
		}
	done
}

# refused: lines "ID FLAG WORDS" on standard input; all of them exit 64
refused() {
	local id flag words
	while IFS=' ' read -r id flag words; do
		# shellcheck disable=SC2086
		fails_with 64 unifiedsetup --json --print-command $words ||
			{ echo "accepted: $words"; return 1; }
		[ "$(jq -r '[.error, .flag // "-", .exit] | join(" ")' out)" = \
			"$id $flag 64" ] ||
			{ echo "$id $flag: $words"; cat out; return 1; }
		# The same for people.
		# shellcheck disable=SC2086
		fails_with 64 unifiedsetup --print-command $words
		says err unifiedsetup:
	done
}

@test "each flag, in any letter case and order, and as an option of ours" {
	cases <<-END
		$PS -> $PS
		/servermode ps /installlocation /srv/ps /envtype vmware /csip 192.0.2.1 /passphrasefilepath pass -> $PS
		/SERVERMODE Ps /INSTALLDRIVE /srv/ps /ENVTYPE VMWARE /CSIP 192.0.2.1 /PASSPHRASEFILEPATH pass -> $PS
		/PassphraseFilePath pass /CSIP 192.0.2.1 /EnvType VMware /InstallDrive /srv/ps/ /ServerMode PS -> ${PS/srv\/ps/srv/ps/}
		--server-mode ps --install-location=/srv/ps --env-type vmware --csip=192.0.2.1 --passphrase-file-path pass -> $PS
		--csip 192.0.2.1 /ServerMode PS --install-drive /srv/ps /EnvType VMWare --passphrase-file-path=pass -> $PS
		$PS /PSIP 192.0.2.9 -> ${PS/ \/CSIP/ \/PSIP 192.0.2.9 \/CSIP}
		$PS --psip=192.0.2.9 -> ${PS/ \/CSIP/ \/PSIP 192.0.2.9 \/CSIP}
		$PS /bypassproxy -> $PS /BypassProxy
		$PS --bypass-proxy -> $PS /BypassProxy
		$PS /ProxySettingsFilePath proxy -> $PS /ProxySettingsFilePath proxy
		$PS /DataTransferSecurePort 9444 -> $PS /DataTransferSecurePort 9444
		$PS --data-transfer-secure-port=9443 -> $PS
		$PS /SkipSpaceCheck -> $PS /SkipSpaceCheck
		$PS --skip-space-check -> $PS /SkipSpaceCheck
		$PS /AcceptThirdpartyEULA -> $PS
		$PS --accept-thirdparty-eula -> $PS
		$PS /q -> $PS
		$PS /VaultCredsFilePath vaultcreds -> ${PS/ \/EnvType/ \/VaultCredsFilePath vaultcreds \/EnvType}
		$CS -> ${CS/ \/EnvType NonVMWare \/VaultCredsFilePath vaultcreds/ \/VaultCredsFilePath vaultcreds \/EnvType NonVMWare}
		--mysql-creds-file-path mysql $CS -> /ServerMode CS /InstallLocation /srv/cs /MySQLCredsFilePath mysql /VaultCredsFilePath vaultcreds /EnvType NonVMWare
		$CS /MYSQLCREDSFILEPATH mysql /CSIP cs.example -> /ServerMode CS /InstallLocation /srv/cs /MySQLCredsFilePath mysql /VaultCredsFilePath vaultcreds /EnvType NonVMWare /CSIP cs.example
		--root=/tmp/x $PS --cs-port 8443 -> $PS --cs-port 8443 --root /tmp/x
		/ServerMode=ps /installlocation=/srv/ps /EnvType=vmware /CSIP=192.0.2.1 /PassphraseFilePath=pass -> $PS
	END
}

@test "what is missing, doubled, unknown, of a wrong form, or contradicts" {
	refused <<-END
		missing-flag ServerMode --csip 192.0.2.1
		missing-flag InstallLocation ${PS/\/InstallLocation \/srv\/ps}
		missing-flag EnvType ${PS/\/EnvType VMWare}
		missing-flag CSIP ${PS/\/CSIP 192.0.2.1}
		missing-flag PassphraseFilePath ${PS/\/PassphraseFilePath pass}
		missing-flag VaultCredsFilePath ${CS/\/VaultCredsFilePath vaultcreds}
		doubled-flag CSIP $PS /csip 192.0.2.2
		doubled-flag CSIP $PS --csip=192.0.2.1
		doubled-flag SkipSpaceCheck $PS /SkipSpaceCheck /skipspacecheck
		doubled-flag ServerMode $PS --server CS
		unknown-flag - $PS /SkipTLSCheck
		unknown-flag - /x:/tmp/extracted $PS
		unknown-flag - $PS --no-such-option
		stray-word - $PS PS
		missing-value PSIP $PS /PSIP
		missing-value PSIP /PSIP $PS
		missing-value PSIP $PS /PSIP --bypass-proxy
		needless-value BypassProxy $PS --bypass-proxy=yes
		needless-value BypassProxy $PS /BypassProxy=yes
		empty-value PSIP $PS /PSIP=
		doubled-flag PSIP $PS /PSIP=192.0.2.7 /psip 192.0.2.7
		unknown-flag - $PS /PSIPS=192.0.2.7
		bad-value ServerMode /ServerMode MT
		bad-value EnvType ${PS/VMWare/HyperV}
		bad-value DataTransferSecurePort $PS /DataTransferSecurePort 0
		bad-value DataTransferSecurePort $PS /DataTransferSecurePort 70000
		bad-value DataTransferSecurePort $PS /DataTransferSecurePort=9443x
		bad-value drain-for --uninstall --drain-for soon
		empty-value PSIP $PS --psip=
		bad-value PSIP $PS /PSIP 192.0.2
		bad-value PSIP $PS /PSIP ps1.example
		bad-value CSIP ${PS/192.0.2.1/a:b}
		bad-value InstallLocation ${PS/\/srv\/ps/D:\\}
		bad-value InstallLocation ${PS/\/srv\/ps/d:}
		bad-value InstallLocation ${PS/\/srv\/ps/srv}
		bad-value InstallLocation ${PS/\/srv\/ps//}
		bad-value PassphraseFilePath ${PS/ pass/ C:\\Temp\\pass}
		bad-value name $PS --name a/b
		contradiction InstallDrive $PS /InstallDrive /srv/ps
		contradiction BypassProxy $PS /BypassProxy /ProxySettingsFilePath proxy
		contradiction DataTransferSecurePort $CS /DataTransferSecurePort 443
		contradiction PassphraseFilePath $CS /PassphraseFilePath pass
	END
	# What is done: one thing at a time.
	for words in '--check --uninstall' '--purge' '--yes --check'; do
		# shellcheck disable=SC2086
		fails_with 64 unifiedsetup --json $words
		[ "$(jq -r .error out)" = contradiction ]
	done
	# shellcheck disable=SC2086
	fails_with 64 unifiedsetup --check ${PS/\/srv\/ps/D:\\}
	says err 'a path as /var/lib/ps-toolkit is needed'
}

@test "what is odd but works is told" {
	# shellcheck disable=SC2086
	unifiedsetup --print-command $PS /DataTransferSecurePort 443 2>err
	says err 'the port of a configuration server'
	# shellcheck disable=SC2086
	unifiedsetup --print-command $PS /DataTransferSecurePort 9433 2>err
	says err 'this for 9443'
	# shellcheck disable=SC2086
	unifiedsetup --print-command $PS /MySQLCredsFilePath mysql 2>err
	says err 'is not used'
	# shellcheck disable=SC2086
	unifiedsetup --print-command $CS /CSIP 192.0.2.1 /PSIP 192.0.2.2 2>err
	says err '/CSIP 192.0.2.1 is not used'
}

@test "both samples of the documentation, with paths of Unix" {
	mkdir -p Temp
	cp -p vaultcreds Temp/MyVault.vaultcredentials
	cp -p pass Temp/connection.passphrase
	unifiedsetup --print-command /ServerMode PS /InstallDrive "$T/D" \
		/VaultCredsFilePath "$T/Temp/MyVault.vaultcredentials" \
		/EnvType VMWare /PSIP 10.101.23.145 /CSIP 10.101.24.126 \
		/PassphraseFilePath "$T/Temp/connection.passphrase" >out
	says out "/PSIP 10.101.23.145 /CSIP 10.101.24.126"
	# The later one: other names, quotes, without vault and PSIP.
	unifiedsetup --print-command /AcceptThirdpartyEULA /servermode "PS" \
		/InstallLocation "$T/D" /EnvType "VMWare" /CSIP "10.101.24.126" \
		/PassphraseFilePath "$T/Temp/connection.passphrase" \
		/DataTransferSecurePort 443 >out
	says out "/DataTransferSecurePort 443"
	# As it stands there it cannot work, and says why.
	fails_with 64 unifiedsetup --check /ServerMode PS /InstallDrive "D:\\" \
		/VaultCredsFilePath 'C:\Temp\MyVault.vaultcredentials' \
		/EnvType VMWare /PSIP 10.101.23.145 /CSIP 10.101.24.126 \
		/PassphraseFilePath 'C:\Temp\connection.passphrase'
	says err 'is a path of Windows'
}

@test "help, as on Windows" {
	local word
	for word in '/?' /HELP --help; do
		unifiedsetup "$word" >out
		says out 'usage: unifiedsetup'
	done
}

@test "/ShowThirdpartyEULA prints the licences, whatever else is given" {
	local words
	for words in /ShowThirdpartyEULA "/PSIP /showthirdpartyeula /nonsense" \
		"--show-thirdparty-eula /ServerMode XX stray /ServerMode"; do
		# shellcheck disable=SC2086
		unifiedsetup $words >out
		says out 'Apache License, Version 2.0'
		says out OpenSSL
	done
}
