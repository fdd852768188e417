#!/usr/bin/env bats
# unifiedsetup --root: a server that is installed, once, wholly or not at all.
load ../lib/common
load setup

prepare() {
	command -v jq >/dev/null || skip "jq is not installed"
	files
	ps-vault init vault >/dev/null
	without_services # site.bats has them
	ETC=$T/root$(sysconf)/ps-toolkit
	ID=$(dirname "$T/root$(sysconf)")/var/lib/ps-toolkit/identity
}

cleanup() {
	[ ! -e "$T/root" ] || ps-service stop --root "$T/root" || true
} >/dev/null 2>&1

# The folder of the configuration that the tools were built with.
sysconf() {
	unifiedsetup --help | sed -n 's,^The configuration: \(.*\)/ps-toolkit/.*,\1,p'
}

# known NAME: what the configuration server has of it
known() { PS_CONFIG_DIR=$T/cs ps-config server show "$1" --json; }

# setup [FLAG...]: a process server below $T/root
setup_ps() {
	unifiedsetup /ServerMode PS /InstallLocation /srv/ps /EnvType VMWare \
		/CSIP 127.0.0.1 --cs-port "$CS_PORT" /PassphraseFilePath pass \
		/VaultCredsFilePath vaultcreds /SkipSpaceCheck --name ps1 \
		/DataTransferSecurePort "$PORT" --root "$T/root" "$@"
}

# cs [FLAG...]: a configuration server there
cs() {
	unifiedsetup /ServerMode CS /InstallLocation /srv/cs /PSIP \
		127.0.0.1 /EnvType NonVMWare --cs-port "$CS_PORT" \
		/VaultCredsFilePath vaultcreds /SkipSpaceCheck \
		/DataTransferSecurePort "$PORT" --name cs1 --root "$T/root" "$@"
}

# All that is there but logs: names, kinds, modes.
tree() {
	(cd "${1:-root}" && find . -path '*/log/ps-toolkit' -prune -o ! -name .counters \
		! -name '.tmp.*' -printf '%p %y %m\n' | sort)
}

# The same with contents.
image() {
	tree "$1"
	(cd "$1" && find . -path '*/log/ps-toolkit' -prune -o -type f \
		! -name .counters ! -name '.tmp.*' -print0 | sort -z |
		xargs -0 -r sha256sum)
}

@test "a process server: what it consists of, that it runs, and again" {
	other_end
	PORT=$(free_port)
	setup_ps --dry-run >dry
	[ ! -e root ]
	setup_ps >out || { cat out; false; }
	# What was said before is what was done.
	sed -n 's/^would *//p' dry >want
	sed -n 's/^done *//p' out | diff want - >&2
	[ "$(stat -c %a "$ETC"/{connection.passphrase,vault.key} \
		"$ID"/{server,login}.key "$ETC/ps.yaml" "$ID" \
		root/srv/ps/cache | xargs)" = "600 600 600 600 644 700 700" ]
	cmp pass "$ETC/connection.passphrase"
	known ps1 | jq -e --argjson port "$PORT" '.port == $port'
	openssl verify -CAfile "$ID"/authority.crt "$ID"/server.crt
	# It is one: started by its configuration, a client logs in.
	start ps-receive --config "$ETC/ps.yaml" >up 2>receive.err
	wait_for [ -s up ]
	cxpsclient -i 127.0.0.1 -l "$PORT" -P pass -y 20 >selftest ||
		{ cat selftest receive.err; false; }
	timeout 20 ps-pipeline --config "$ETC/ps.yaml" --once
	ps-health sample --config "$ETC/ps.yaml"
	kill "${STARTED[-1]}" && wait "${STARTED[-1]}" || true
	image root >before
	setup_ps >out || { cat out; false; }
	[ "$(grep -c '^done' out)" -eq 0 ] || { cat out; false; }
	says out "same   registration"
	image root | diff before - >&2
	# The log names each step, no secret.
	log=$(find root -name setup.log)
	says "$log" "ps.yaml"
	lacks "$log out" "$(cat pass)"
}

@test "another choice: what changes, changes, keys stay" {
	other_end
	PORT=$(free_port)
	setup_ps >out
	sha256sum "$ETC/vault.key" "$ID/server.key" "$ID/server.crt" >keys
	PORT=$(free_port)
	sed -i 's/Yes/No/' proxy
	sed -i 's/192.0.2.7/127.0.0.1/' proxy
	setup_ps /ProxySettingsFilePath proxy --json >out || { cat out; false; }
	[ "$(jq -r '.result, (.steps | map(select(.result == "done")) | length)' out |
		xargs)" = "installed 3" ] || { cat out; false; }
	says "$ETC/ps.yaml" "127.0.0.1:$PORT"
	says "$ETC/ps.yaml" 'proxy: "http://127.0.0.1:3128"'
	[ -s "$ETC/ps.yaml.old" ]
	known ps1 | jq -e --argjson port "$PORT" '.port == $port'
	sha256sum -c --quiet keys
}

@test "a check that fails: nothing is installed" {
	CS_PORT=1 PORT=$(free_port)
	fails_with 1 setup_ps
	says out "Not ready"
	[ ! -e root ]
}

@test "a configuration server: its registry and the passphrase" {
	command -v python3 >/dev/null || skip "no python3"
	PORT=$(free_port)
	CS_PORT=$(free_port)
	cs >out || { cat out; false; }
	kept=$(find root -name connection.passphrase)
	[ "$(stat -c %a "$kept")" = 600 ]
	lacks "out $(find root -name setup.log)" "$(cat "$kept")"
	ps-config policy list --config "$ETC/ps.yaml"
	sum=$(sha256sum "$kept")
	# The process server on it is one that machines can be given to.
	own() {
		ps-config server show cs1 --config "$ETC/ps.yaml" --json |
			jq -e --argjson p "$PORT" '.port == $p'
	}
	own
	cs >out || { cat out; false; }
	[ "$(grep -c '^done' out)" -eq 0 ] || { cat out; false; }
	[ "$sum" = "$(sha256sum "$kept")" ]
	# One that was cut off behind the registry goes on there.
	ps-config server delete cs1 --config "$ETC/ps.yaml"
	PORT=$(free_port)
	cs >out || { cat out; false; }
	own
	# Where services are, it registers: with the key that it had.
	[ ! -e "$ID" ]
	rm bin/ps-service
	hash -r
	cs >out || { cat out; false; }
	for words in "done   configuration server" \
		"done   key of the process server" "done   registration" \
		"passed heartbeat"; do
		says out "$words"
	done
	cmp "$ETC/server.key" "$ID/server.key"
	openssl verify -CAfile "$ID"/authority.crt "$ID"/server.crt
	ps-config status --config "$ETC/ps.yaml" --json |
		jq -e '.servers | all(.[]; .silent_s < 60)'
	cs >out || { cat out; false; }
	[ "$(grep -c '^done' out)" -eq 0 ] || { cat out; false; }
	says out "$PORT and $CS_PORT of 127.0.0.1 are those of what runs here"
	# Another program in the place of the receiver is none of ours.
	ps-service stop -q --root "$T/root" receive
	cat >other.py <<-'END'
		import socket, sys
		s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
		print("up", flush=True)
		s.accept()
	END
	start python3 other.py "$PORT" >other
	wait_for [ -s other ]
	fails_with 1 cs
	says out "port $PORT of 127.0.0.1 is in use"
	# Nor does it go while a machine needs it.
	ps-config policy add daily --config "$ETC/ps.yaml" >out
	ps-config machine add web01 --policy daily --server cs1 \
		--vault "$T/vault" --config "$ETC/ps.yaml" >out
	fails_with 1 unifiedsetup --uninstall --purge --root "$T/root"
	says err "1 machines use this server"
	ps-config machine edit web01 --server - --config "$ETC/ps.yaml" >out
	unifiedsetup --uninstall --purge --root "$T/root" >out
	[ ! -e "$ETC/ps.yaml" ]
}

@test "--upgrade by the same version: a process server that did not register does" {
	PORT=$(free_port)
	CS_PORT=$(free_port)
	cs >out || { cat out; false; }
	rm bin/ps-service
	hash -r
	ps-service start -q --root "$T/root"
	again() {
		unifiedsetup --upgrade --root "$T/root" "$@" >out || { cat out; false; }
	}
	# One that is cut off behind the registration of its keys goes on there.
	printf '#!/bin/sh\n[ "$1" != register ] || exit 69\nexec %s "$@"\n' \
		"$(type -P ps-config)" >bin/ps-config
	chmod +x bin/ps-config
	hash -r
	fails_with 69 unifiedsetup --upgrade --root "$T/root"
	says err "the same command goes on here"
	rm bin/ps-config
	hash -r
	again
	says out "done   registration"
	says out "done   heartbeat: the configuration server answers"
	cmp "$ETC/server.key" "$ID/server.key"
	ps-config status --config "$ETC/ps.yaml" --json |
		jq -e '.servers | all(.[]; .silent_s < 60)'
	again
	says out "nothing has to be done"
}

@test "--set-proxy: tried, then exchanged; all else in ps.yaml stays" {
	other_end
	PORT=$(free_port)
	setup_ps >out
	echo '# a remark of mine' >>"$ETC/ps.yaml"
	cp "$ETC/ps.yaml" former
	sed -i 's/192.0.2.7/127.0.0.1/' proxy
	unifiedsetup --set-proxy proxy --root "$T/root" >out || { cat out; false; }
	[ "$(cat "$ETC/proxy.auth")" = jo:s3cret-pw ]
	grep -vE '^proxy' "$ETC/ps.yaml" | diff former - >&2
	[ "$(grep -c '^proxy' "$ETC/ps.yaml")" -eq 2 ]
	lacks "out $(find root -name '*.log' -type f)" s3cret-pw
	# The vault is a folder: nothing of it can be tried, and that is said.
	says out "more was not tried" || says out "nobody takes a connection there"
	grep -q '^warn *proxy' out
	unifiedsetup --set-proxy none --root "$T/root" >out
	diff former "$ETC/ps.yaml" >&2
	[ ! -e "$ETC/proxy.auth" ]
	# One that does not lead there changes nothing.
	printf 'AZURE_STORAGE_KEY=c3RvcmFnZS1rZXk=\n' >"$ETC/store.credentials"
	sed -i 's,^vault: .*,vault: azblob://account/container,' "$ETC/ps.yaml"
	sed -i '/^vault/a store: {endpoint: "http://127.0.0.1:1", retry-for: 1s, credentials: "'"$ETC"'/store.credentials"}' "$ETC/ps.yaml"
	cp "$ETC/ps.yaml" former
	fails_with 1 unifiedsetup --set-proxy proxy --root "$T/root" --json
	diff former "$ETC/ps.yaml" >&2
}

@test "uninstalled: data stay, then all but the key of the vault goes" {
	other_end
	PORT=$(free_port)
	setup_ps >out
	cp -p "$ETC/vault.key" key
	away() { unifiedsetup --uninstall --root "$T/root" "$@"; }
	image root >before
	away --purge --dry-run >out
	image root | diff before - >&2
	away >out
	says out "vault.key stays"
	[ "$(ls "$ETC")" = vault.key ]
	[ -d root/srv/ps/cache ]
	fails_with 66 away
	says err "nothing is installed"
	# Again, over the data and the key that are there.
	setup_ps >out
	cmp key "$ETC/vault.key"
	# What is in the cache and in no vault is not lost by accident.
	random_file disk 300000
	ps-scan --machine web01 --disk root --map map disk |
		ps-cache put -C root/srv/ps/cache >/dev/null
	fails_with 1 away --purge
	says err "are in no vault yet, and would be lost"
	[ -e "$ETC/ps.yaml" ]
	timeout 30 ps-pipeline --config "$ETC/ps.yaml" --once >/dev/null
	away --purge >out || { cat out; false; }
	[ ! -e root/srv/ps ]
	[ "$(ls "$ETC")" = vault.key ]
}

@test "the system itself: what services use belongs to their user" {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	[ "$(sysconf)" = /usr/local/etc ] || skip "the tools are for $(sysconf)"
	unshare -m true 2>/dev/null || skip "no mount namespaces here"
	other_end
	PORT=$(free_port)
	grep -v '^ps-toolkit:' /etc/passwd >passwd
	flags=(/ServerMode PS /InstallLocation "$T/data" /EnvType VMWare /CSIP
		127.0.0.1 --cs-port "$CS_PORT" /PassphraseFilePath pass
		/VaultCredsFilePath vaultcreds /SkipSpaceCheck --name ps1
		/DataTransferSecurePort "$PORT")
	cat >inside <<-'END'
		mount -t tmpfs none /usr/local
		chmod 644 passwd
		mount --bind passwd /etc/passwd
		unifiedsetup "$@" >nobody && exit 1
		echo ps-toolkit:x:4711:4712::/:/bin/false >>passwd
		unifiedsetup "$@"
		stat -c '%u:%g %a %n' /usr/local/etc/ps-toolkit/* data data/* \
			/usr/local/var/lib/ps-toolkit/identity/*
	END
	unshare -m sh -e inside "${flags[@]}" >out || { cat nobody out; false; }
	says nobody "there is no user 'ps-toolkit'"
	says out "4711:4712 600 /usr/local/etc/ps-toolkit/connection.passphrase"
	says out "4711:4712 600 /usr/local/etc/ps-toolkit/vault.key"
	says out "4711:4712 644 /usr/local/etc/ps-toolkit/ps.yaml"
	says out "4711:4712 700 data/cache"
	says out "done   registration"
	says out "4711:4712 600 /usr/local/var/lib/ps-toolkit/identity/login.key"
	says out "4711:4712 600 /usr/local/var/lib/ps-toolkit/identity/server.key"
	[ "$(stat -c %u data/cache/*  | sort -u)" = 4711 ]
}

# What tests below need that make calls fail: two installations that only
# differ by port and passphrase.
two_images() {
	PATH=$PS_BUILD/tests/setup:$PATH
	FAIL=$PS_BUILD/tests/lib/fail-call.so
	[ -e "$FAIL" ] || skip "no fail-call"
	other_end two
	# Calls fail in the installer, or with `registering` in ps-config.
	cat >bin/ps-config <<-END
		#!/bin/sh
		LD_PRELOAD=\$REGISTER exec $(type -P ps-config) "\$@"
	END
	chmod +x bin/ps-config
	first
	tree root >first.tree
	image root >first.image
	cp -a root first
	second
	image root >second.image
	tree root >second.tree
	! cmp -s first.image second.image
}

# only PORT PASSPHRASE-FILE: what is behind the checks
only() {
	LD_PRELOAD=${PRELOAD:-} install-only "$T/root" "$1" "$2" "$CS_PORT" \
		>out 2>&1
}
first() { only 9443 pass; }
second() { only 9444 pass2; }

# failing HOW N COMMAND...: its N-th call that matters fails
failing() { PRELOAD=$FAIL FAIL_CALL=any FAIL_AT=$2 FAIL_HOW=$1 "$3"; }

# registering HOW N COMMAND...: the N-th call that matters in ps-config fails
registering() { REGISTER=$FAIL FAIL_CALL=any FAIL_AT=$2 FAIL_HOW=$1 "$3"; }

# from FOLDER: what is installed is a copy of it
from() { rm -rf root && cp -a "$1" root; }

# What is below root, but the log and the folders above it.
litter() {
	local log
	log=$(find root -path '*/log/ps-toolkit' -printf '%P' 2>/dev/null) || true
	[ ! -d root ] || find root -mindepth 1 -printf '%P\n' |
		awk -v at="$log/" 'index(at, $0 "/") != 1 &&
			index($0 "/", at) != 1'
}

# went CODE N: it ran, and failed as one does
went() { [ "$1" -ge 64 ] && [ "$1" -le 78 ] && [ "$2" -lt 1000 ]; }

# At each call that matters, until there are no more: those that did not come,
# or did not matter, leave what is complete.
@test "a failure at any step: as before, or complete" {
	local n=0 code calm=0 failed=0 step=${PS_LONG:+1} end=24
	[ -z "${PS_LONG:-}" ] || end=50
	two_images
	# A fresh one.
	while ((calm < end && (n += ${step:-23}))); do
		code=0
		rm -rf root
		failing EIO "$n" first || code=$?
		calm=$((calm + ${step:-23}))
		if [ "$code" -eq 0 ]; then
			tree root | diff first.tree -
			continue
		fi
		went "$code" "$n"
		calm=0 failed=$((failed + 1))
		litter >left
		[ ! -s left ] || { echo "at $n"; cat out left; false; }
	done
	# Over one that is there.
	from first
	second
	image root >second.image # with a certificate for this key again
	n=0 calm=0
	while ((calm < end && (n += ${step:-11}))); do
		from first
		code=0
		failing EIO "$n" second || code=$?
		image root >now
		calm=$((calm + ${step:-11}))
		if [ "$code" -eq 0 ]; then
			diff second.image now
			continue
		fi
		went "$code" "$n"
		calm=0 failed=$((failed + 1))
		cmp -s now first.image || { echo "at $n"; cat out;
			diff first.image now; false; }
	done
	echo "# $failed failures" >&3
	[ "$failed" -ge 5 ]
}

@test "killed at any step: the next run completes it" {
	local n=0 code step=${PS_LONG:+1}
	two_images
	while ((n += ${step:-23})); do
		from first
		code=0
		failing kill "$n" second || code=$?
		[ "$code" -ne 0 ] || break
		[ "$code" -eq 137 ] && [ "$n" -lt 1000 ]
		second || { cat out; false; }
		image root >now
		cmp -s now second.image || { echo "at $n"
			diff second.image now; false; }
	done
	[ "$n" -gt 17 ]
}

# The registration comes last: all else is there already, and stays.
@test "a registration that fails at any step, or is killed, goes on later" {
	local n how code failed=0 step=${PS_LONG:+1}
	two_images
	but_identity() { grep -vF "${ID#"$T/root"}/" "$1"; }
	but_identity second.image >second.rest
	for how in EIO kill; do
		n=0
		while ((n += ${step:-9})); do
			from first
			[ "$how" = EIO ] || rm "$ID"/* # the first one
			code=0
			registering "$how" "$n" second || code=$?
			image root >now
			but_identity now | diff second.rest -
			[ "$code" -ne 0 ] || break
			went "$code" "$n"
			failed=$((failed + 1))
			says out "the same command goes on here"
			second || { cat out; false; }
			tree root | diff second.tree -
			openssl verify -CAfile "$ID"/authority.crt "$ID"/server.crt
			openssl x509 -in "$ID"/server.crt -noout -pubkey >its
			openssl pkey -in "$ID"/server.key -pubout | cmp its -
			image root >now
			[ "$how" = kill ] || diff second.image now
		done
	done
	echo "# $failed failures" >&3
	[ "$failed" -ge 4 ]
}
