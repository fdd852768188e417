#!/usr/bin/env bats
# The agent's tarball, its installer and configurator, below a folder.
load ../lib/common
load ../lib/style

# One tarball for all tests of the file: of the build, as it is.
setup_file() {
	need_all || return 0
	local tree=$BATS_FILE_TMPDIR/tree all=$BATS_FILE_TMPDIR/all
	make -s --no-print-directory -C "$PS_BUILD" install DESTDIR="$all" \
		>"$BATS_FILE_TMPDIR/log" 2>&1
	# As with --prefix=/usr; what is built must not be made anew for that.
	mkdir -p "$tree"
	mv "$all$(make_var prefix)" "$tree/usr"
	mv "$tree/usr/lib" "$tree/lib"
	mkdir "$tree/usr/lib"
	mv "$tree"/lib/*.d "$tree/usr/lib/"
	"$PS_SOURCE/packaging/split" "$tree" "$BATS_FILE_TMPDIR/agent"
	ssh-keygen -q -t ed25519 -N '' -f "$BATS_FILE_TMPDIR/key"
	"$PS_SOURCE/packaging/agent/make-tarball" "$BATS_FILE_TMPDIR/agent" \
		"$tree" 0.1.0 "$BATS_FILE_TMPDIR" "$BATS_FILE_TMPDIR/key"
	tar -C "$BATS_FILE_TMPDIR" -xzf "$BATS_FILE_TMPDIR"/ps-toolkit-agent-*.tar.gz
	mv "$BATS_FILE_TMPDIR"/ps-toolkit-agent-*/ "$BATS_FILE_TMPDIR/unpacked"
}

need_all() { command -v patchelf ssh-keygen >/dev/null; }

prepare() {
	need patchelf
	need ssh-keygen
	UNPACKED=$BATS_FILE_TMPDIR/unpacked
	R=$T/root
	mkdir "$R"
}

cleanup() {
	[ ! -x "$R/opt/asr/bin/ps-service" ] ||
		"$R/opt/asr/bin/ps-service" stop -q --root "$R" agent heartbeat || true
}

install_agent() { "$UNPACKED/install" --root "$R" "$@"; }

usual() { install_agent -r MS -v VmWare -d /opt/asr "$@"; }

@test "files belong to the agent or to the server, and none is left" {
	local tree=$BATS_FILE_TMPDIR/tree agent=$BATS_FILE_TMPDIR/agent tool
	[ -x "$agent/usr/bin/ps-agent" ] && [ ! -e "$tree/usr/bin/ps-agent" ]
	[ -x "$tree/usr/bin/ps-receive" ] && [ -x "$tree/usr/bin/ps-restore" ]
	[ -e "$tree/lib/systemd/system/ps-receive.service" ]
	[ -e "$agent/usr/libexec/ps-toolkit/providers/lvm" ]
	# What a program of the agent runs is of the agent, too.
	for tool in ps-scan ps-compress ps-encrypt cxpsclient ps-trace ps-service; do
		[ -x "$agent/usr/bin/$tool" ] || echo "$tool"
	done | none "not with the agent"
	(cd "$agent" && find . -type f) | (cd "$tree" && while read -r file; do
		[ ! -e "$file" ] || echo "$file"
	done) | none "in both packages"
}

@test "flags: roles, platforms, the older form, and what is wrong with others" {
	local line
	while read -r line; do
		# shellcheck disable=SC2086
		fails_with 64 install_agent $line
		[ -s err ] || { echo "silent: $line" >&2; false; }
	done <<-END
		-v VmWare
		-r MS
		-r PS -v VmWare
		-r MS -v Azure
		-r MS -v VmWare -x y
		-r MS -v VmWare -d relative
		-r MS -v VmWare -d /a;b
		-r MS -v VmWare -a Remove
		-r MS -v VmWare -i 192.0.2.1
		-r MS -v VmWare -P file
		-t agent -a host -R Agent
		-q
		-t both -a host -R Agent -c http
		-r
		-r MS -v VmWare -R MasterTarget
		-r MS -v VmWare -v VmWare
		-r MS -v VmWare -d /
		-r MS -v VmWare -d /opt/../etc
		-r MS -v VmWare -i 192.0.2.1 -p 0 -P $UNPACKED/VERSION
		-r MS -v VmWare -i 192.0.2.1;x -P $UNPACKED/VERSION
	END
	fails_with 64 usual -d ''
	fails_with 64 install_agent -r MS -v VmWare -d '/opt/a b'
	[ ! -e "$R/opt" ]
	install_agent -t both -a host -R MasterTarget -d /opt/asr -s y -c https -q
	grep -qx role=MT "$R/etc/ps-toolkit/agent-install"
	install_agent -r agent -v PHYSICAL -d /opt/asr -q >out
	[ ! -s out ]
	grep -qx role=MS "$R/etc/ps-toolkit/agent-install"
	grep -qx platform=Physical "$R/etc/ps-toolkit/agent-install"
}

@test "what is installed runs with the libraries that came with it" {
	usual
	[ "$(readlink "$R/usr/local/bin/ps-agent")" = /opt/asr/bin/ps-agent ]
	[ "$(readlink "$R/usr/libexec/ps-toolkit")" = /opt/asr/libexec/ps-toolkit ]
	"$R/opt/asr/bin/ps-agent" --version >out
	grep -q ps-toolkit out
	ldd "$R/opt/asr/bin/cxpsclient" | grep libcrypto >out
	grep -q "$R/opt/asr/" out
	grep -q '^ExecStart=/opt/asr/bin/ps-agent run$' \
		"$R/etc/systemd/system/ps-agent.service"
	grep -q Installed "$R/var/log/ua_install.log"
}

@test "a master target can restore, and what it needs goes when it is none" {
	local pass=(-r MT -v Physical -d /opt/asr -q) found
	install_agent "${pass[@]}"
	[ "$(readlink "$R/usr/local/bin/ps-restore")" = /opt/asr/bin/ps-restore ]
	# By the libraries that came with it, beside the C library.
	ldd "$R/opt/asr/bin/ps-restore" "$R/opt/asr/bin/ps-vault" |
		grep '=>' | grep -vE "$R/opt/asr|/(libc|libm|libdl|librt|libpthread|libresolv)\\.so" |
		none "from the system"
	(
		PATH=$R/opt/asr/bin:$PATH
		umask 077
		head -c 3000000 /dev/urandom >disk
		"$PS_BUILD/tools/ps-vault" init vault >/dev/null
		"$PS_BUILD/tools/ps-scan" --machine m --disk d --map map disk |
			"$PS_BUILD/tools/ps-compress" |
			"$PS_BUILD/tools/ps-upload" vault >/dev/null
		"$R/opt/asr/bin/ps-vault" list vault >out
		"$R/opt/asr/bin/ps-restore" vault --machine m --disk d -o back -q
	)
	grep -q m out
	cmp disk back
	found=$(stat -c %i "$R/opt/asr")
	install_agent "${pass[@]}"
	[ "$(stat -c %i "$R/opt/asr")" -eq "$found" ]
	rm "$R/opt/asr/bin/ps-restore"
	install_agent "${pass[@]}"
	[ -x "$R/opt/asr/bin/ps-restore" ]
	install_agent -r MS -v Physical -d /opt/asr -q
	[ ! -e "$R/opt/asr/bin/ps-restore" ] && [ ! -L "$R/usr/local/bin/ps-restore" ]
}

@test "a C library that is too old is told before anything changes" {
	mkdir aged
	printf '#!/bin/sh\necho glibc 2.9\n' >aged/getconf
	chmod +x aged/getconf
	fails_with 78 env PATH="$PWD/aged:$PATH" "$UNPACKED/install" --root "$R" \
		-r MS -v VmWare -d /opt/asr
	grep -q "C library here is 2.9, and these programs need $(sed -n 1p "$UNPACKED/LIBC")" err
	fails_with 78 env PATH="$PWD/aged:$PATH" "$UNPACKED/install" --root "$R" \
		-r MT -v VmWare -d /opt/asr
	grep -q "and these programs need $(sed -n 2p "$UNPACKED/LIBC")" err
	[ -z "$(ls -A "$R")" ]
	printf '#!/bin/sh\necho glibc 2.134\n' >aged/getconf
	PATH=$PWD/aged:$PATH usual -q
}

@test "again changes nothing, mends what is damaged, and upgrades" {
	usual
	inode=$(stat -c %i "$R/opt/asr")
	usual >out
	grep -q 'nothing to do' out
	[ "$(stat -c %i "$R/opt/asr")" -eq "$inode" ]
	: >"$R/opt/asr/bin/ps-scan"
	usual
	"$R/opt/asr/bin/ps-scan" --version >/dev/null
	fails_with 78 install_agent -r MS -v VmWare -d /elsewhere
	grep -q '/opt/asr' err
	sed -i s/version=.*/version=0.0.9/ "$R/etc/ps-toolkit/agent-install"
	usual -a Upgrade
	grep -qx version=0.1.0 "$R/etc/ps-toolkit/agent-install"
	sed -i 's/version=.*/version=0.0.9/; s/VmWare/Physical/' \
		"$R/etc/ps-toolkit/agent-install"
	install_agent -q
	sort "$R/etc/ps-toolkit/agent-install" | tr '\n' ' ' >now
	[ "$(cat now)" = "dir=/opt/asr platform=Physical role=MS version=0.1.0 " ]
	sed -i s/version=.*/version=0.10.0/ "$R/etc/ps-toolkit/agent-install"
	fails_with 78 usual
	grep -q newer err
}

@test "nothing is put where somebody else's files are, or from a damaged tarball" {
	mkdir -p "$R/opt/asr"
	echo mine >"$R/opt/asr/file"
	fails_with 73 usual
	[ "$(cat "$R/opt/asr/file")" = mine ]
	rm "$R/opt/asr/file"
	cp -a "$UNPACKED" bad
	flip_bit bad/tree/bin/ps-agent 5000
	fails_with 65 bad/install --root "$R" -r MS -v VmWare -d /opt/asr
	[ -z "$(ls "$R/opt/asr")" ]
	if [ "$(id -u)" -ne 0 ]; then
		fails_with 77 "$UNPACKED/install" -r MS -v VmWare
	fi
}

@test "who unpacked it owns nothing of it, and all may read it" {
	cp -a "$UNPACKED" mine
	chmod -R g+w mine
	chmod 700 mine/tree/bin mine/tree/bin/ps-scan
	[ "$(id -u)" -ne 0 ] || chown -R 65534:65534 mine
	umask 077
	mine/install --root "$R" -r MS -v VmWare -d //opt/asr/ -q
	[ -z "$(find "$R/opt/asr" ! -user "$(id -u)" -o ! -type l -perm /022)" ]
	[ "$(stat -c %a "$R/opt/asr/bin" "$R/opt/asr/bin/ps-scan" | uniq)" = 755 ]
	grep -qx dir=/opt/asr "$R/etc/ps-toolkit/agent-install"
	usual >out
	grep -q 'nothing to do' out
}

@test "what fails half-way is taken back, what was killed goes on" {
	local before step
	# A link, a mount point, and a program of another installation.
	mkdir -p "$R/opt/real" "$R/usr/local/bin"
	ln -s real "$R/opt/asr"
	fails_with 73 usual
	rm "$R/opt/asr"
	echo mine >"$R/usr/local/bin/ps-scan"
	fails_with 73 usual
	rm -r "${R:?}/usr" "${R:?}/opt"
	# Each command that changes something fails once; then also over an old one.
	mkdir fail
	for step in cp chmod mv ln; do
		printf '#!/bin/sh\necho "%s: no" >&2\nexit 1\n' $step >fail/$step
	done
	chmod +x fail/*
	for step in cp chmod ln mv; do
		mkdir -p only
		cp fail/$step only/
		rc=0
		PATH=$PWD/only:$PATH "$UNPACKED/install" --root "$R" -r MS -v VmWare -d /opt/asr 2>err || rc=$?
		[ $rc -ge 73 ] && grep -qF "$step: no" err
		[ -z "$(find "$R" -path "$R/var/log" -prune -o ! -type d -print)" ]
		rm -r only
	done
	usual -q
	sed -i s/version=.*/version=0.0.9/ "$R/etc/ps-toolkit/agent-install"
	echo old >"$R/opt/asr/old"
	before=$(find "$R/opt" "$R/usr" "$R/etc" | sort | sha256sum)
	mkdir only
	cp fail/ln only/
	fails_with 73 env PATH="$PWD/only:$PATH" "$UNPACKED/install" --root "$R" -q
	[ "$(find "$R/opt" "$R/usr" "$R/etc" | sort | sha256sum)" = "$before" ]
	# Killed between two renames; one at a time.
	mv "$R/opt/asr" "$R/opt/.asr.ps-old"
	exec 9<"$R/etc/ps-toolkit"
	flock 9
	fails_with 75 "$UNPACKED/install" --root "$R" -q
	exec 9>&-
	"$UNPACKED/install" --root "$R" -q
	[ "$(ls -A "$R/opt")" = asr ] && [ ! -e "$R/opt/asr/old" ]
	[ -x "$R/usr/local/bin/../../../opt/asr/bin/ps-agent" ]
}

@test "told who may sign, it installs what they signed and nothing else" {
	echo "ps-toolkit-packages $(cat "$BATS_FILE_TMPDIR/key.pub")" >signers
	echo "somebody $(cat "$BATS_FILE_TMPDIR/key.pub")" >others
	ssh-keygen -Y verify -f signers -I ps-toolkit-packages -n ps-toolkit-package \
		-s "$BATS_FILE_TMPDIR"/*.gz.sig <"$(echo "$BATS_FILE_TMPDIR"/*.gz)" >/dev/null
	fails_with 66 usual --signers none
	fails_with 65 usual --signers others
	cp -a "$UNPACKED" bad
	echo more >bad/tree/more
	fails_with 65 bad/install --root "$R" -r MS -v VmWare --signers signers
	grep -q 'nobody has signed' err
	rm bad/tree/more
	flip_bit bad/tree/bin/ps-agent 5000
	(cd bad && find . -type f ! -name 'SHA256SUMS*' -print0 | xargs -0 sha256sum >SHA256SUMS)
	fails_with 65 bad/install --root "$R" -r MS -v VmWare --signers signers
	rm bad/SHA256SUMS.sig
	fails_with 65 bad/install --root "$R" -r MS -v VmWare --signers signers
	grep -q 'not signed' err
	[ -z "$(ls "$R")" ]
	# What its user puts beside it does no harm.
	cp -a "$UNPACKED" good
	echo word >good/passphrase.txt
	good/install --root "$R" -r MS -v VmWare -d /opt/asr --signers signers -q
}

@test "uninstall keeps keys and maps unless it is told to purge" {
	fails_with 66 "$UNPACKED/uninstall" --root "$R"
	usual -q
	echo key >"$R/etc/ps-toolkit/machine.key"
	ln -s /bin/true "$R/usr/local/bin/other"
	"$R/opt/asr/uninstall" --root "$R" >out
	grep -q kept out
	[ ! -e "$R/opt/asr" ] && [ ! -L "$R/usr/local/bin/ps-agent" ]
	[ ! -L "$R/usr/libexec/ps-toolkit" ] && [ -L "$R/usr/local/bin/other" ]
	[ ! -e "$R/etc/systemd/system/ps-agent.service" ]
	[ -e "$R/etc/ps-toolkit/machine.key" ] && [ -d "$R/var/lib/ps-agent" ]
	usual -q
	"$R/opt/asr/uninstall" --root "$R" -q --purge
	[ ! -e "$R/etc/ps-toolkit/machine.key" ] && [ ! -e "$R/var/lib/ps-agent" ]
}

@test "the configurator says what is wrong with what it was given" {
	local configure
	usual -q
	configure=$R/opt/asr/Vx/bin/UnifiedAgentConfigurator.sh
	fails_with 64 "$configure" --root "$R" -P file
	fails_with 64 "$configure" --root "$R" -i 192.0.2.1
	fails_with 66 "$configure" --root "$R" -i 192.0.2.1 -P file
	: >file
	fails_with 65 "$configure" --root "$R" -i 192.0.2.1 -P file
	echo aaaabbbbccccddddeeeeffff >file
	fails_with 64 "$configure" --root "$R" -i '192.0.2.1;x' -P file
	fails_with 64 "$configure" --root "$R" -i 192.0.2.1 -p 70000 -P file
	fails_with 64 "$configure" --root "$R" -i 192.0.2.1 -n a/b -P file
	fails_with 64 "$configure" --root "$R" -i 192.0.2.1 -i 192.0.2.2 -P file
	# The word itself is not repeated; a file of several lines, or of another
	# encoding, is none.
	fails_with 66 "$configure" --root "$R" -i 192.0.2.1 -P sesame
	fails_with 1 grep -rq sesame err "$R/var/log"
	fails_with 66 usual -i 192.0.2.1 -P sesame
	fails_with 1 grep -rq sesame err "$R/var/log"
	echo second >>file
	fails_with 65 "$configure" --root "$R" -i 192.0.2.1 -P file
	iconv -f ascii -t utf-16 <<<sesame >file
	fails_with 65 "$configure" --root "$R" -i 192.0.2.1 -P file
	fails_with 65 "$configure" --root "$R" -i 192.0.2.1 -P /dev/zero
	fails_with 65 "$configure" --root "$R" -i 192.0.2.1 -P "$R"
	[ "$(ls -A "$R/etc/ps-toolkit")" = agent-install ]
}

# A configuration server with its passphrase in `pass`, and a machine web01.
config_server() {
	export PS_CONFIG_DIR=$T/cs
	ps-config init >/dev/null
	ps-config passphrase new >pass
	ps-config server add ps1 --address 192.0.2.1 >/dev/null
	ps-config policy add p >/dev/null
	ps-config machine add web01 --policy p --server ps1 --vault /v >/dev/null
	start ps-config serve -l 127.0.0.1:0 --user "$(id -un)" >port
	wait_for test -s port
	PORT=$(cat port)
}

@test "the configurator makes a machine known, again and again" {
	local conf=$R/etc/ps-toolkit/agent.yaml
	ps-config --help | grep -q '^ *serve  ' || skip "there is no configuration server yet"
	config_server
	usual -q
	configure() {
		"$R/opt/asr/Vx/bin/UnifiedAgentConfigurator.sh" --root "$R" \
			-i 127.0.0.1 -p "$PORT" "$@"
	}
	configure -P pass -n web01 >out
	grep -q 'knows this machine' out
	grep -q 'name the disks' out
	[ "$(stat -c %a "$R/etc/ps-toolkit/machine.key")" = 600 ]
	fails_with 1 grep -rqF "$(cat pass)" "$R/etc" "$R/var"
	printf '%s\n' '# mine' 'interval: 7m' >>"$conf"
	configure -P pass -n web02 -q >out
	[ ! -s out ]
	grep -qx 'machine: web02' "$conf"
	grep -qx 'interval: 7m' "$conf"
	grep -qx '# mine' "$conf" && grep -q '^# disks:' "$conf"
	[ "$(grep -c '^server:' "$conf")" -eq 1 ]
	tr 2-9 3-92 <pass >bad
	cp "$conf" before
	fails_with 77 configure -P bad -n web01
	grep -q 'refuses the passphrase' err
	fails_with 69 "$R/opt/asr/Vx/bin/UnifiedAgentConfigurator.sh" --root "$R" \
		-i 127.0.0.1 -p 1 -P pass -n web01
	cmp "$conf" before
	[ -z "$(find "$R/etc/ps-toolkit" -name '.configure*')" ]
	# From standard input; the last line may have no newline.
	rm "$R/etc/ps-toolkit/machine.key"
	tr -d '\n' <pass | configure -P - -n web01 -q
	[ -s "$R/etc/ps-toolkit/machine.key" ]
	fails_with 65 configure -P - -n web01 </dev/null
	own_etc "$R"
	# A master target is registered; the older form does both at once.
	install_agent -t both -a host -R MasterTarget -d /opt/asr \
		-i 127.0.0.1 -p "$PORT" -s y -c https -P pass >out
	grep -q 'Registered as master target' out
	[ -s "$R/var/lib/ps-toolkit/identity/server.key" ]
	ps-config server list --json | jq -e '.[] | select(.role == "mt")'
	# It tells how it is, and registers again without being asked anything.
	"$R/opt/asr/bin/ps-service" status --root "$R" heartbeat >out
	"$R/opt/asr/bin/ps-config" heartbeat --once --config "$R/etc/ps-toolkit/ps.yaml"
	[ "$(id -u)" -ne 0 ] || chown 65534 "$R/var/lib/ps-toolkit/identity"
	"$R/opt/asr/bin/cdpcli" --registermt --config "$R/etc/ps-toolkit/ps.yaml"
	[ "$(id -u)" -ne 0 ] ||
		[ -z "$(find "$R/var/lib/ps-toolkit/identity" ! -user 65534)" ]
	"$R/opt/asr/uninstall" --root "$R" -q --purge
	[ ! -e "$R/etc/systemd/system/ps-heartbeat.service" ]
	[ ! -e "$R/var/lib/ps-toolkit/identity" ]
}
