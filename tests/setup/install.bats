#!/usr/bin/env bats
# unifiedsetup --root: a server that is installed, once, wholly or not at all.
load ../lib/common
load setup

prepare() {
	command -v jq >/dev/null || skip "jq is not installed"
	files
	ps-vault init vault >/dev/null
	ETC=$T/root$(sysconf)/ps-toolkit
}

# The folder of the configuration that the tools were built with.
sysconf() {
	unifiedsetup --help | sed -n 's,^The configuration: \(.*\)/ps-toolkit/.*,\1,p'
}

# setup [FLAG...]: a process server below $T/root
setup_ps() {
	unifiedsetup /ServerMode PS /InstallLocation /srv/ps /EnvType VMWare \
		/CSIP 127.0.0.1 --cs-port "$CS_PORT" /PassphraseFilePath pass \
		/VaultCredsFilePath vaultcreds /SkipSpaceCheck --name ps1 \
		/DataTransferSecurePort "$PORT" --root "$T/root" "$@"
}

# All that is there but logs: names, kinds, modes.
tree() {
	(cd "${1:-root}" && find . -path '*/log*' -prune -o ! -name .counters \
		! -name '.tmp.*' -printf '%p %y %m\n' | sort)
}

# The same with contents.
image() {
	tree "$1"
	(cd "$1" && find . -path '*/log*' -prune -o -type f \
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
	[ "$(stat -c %a "$ETC"/{connection.passphrase,server.key,vault.key} \
		"$ETC/ps.yaml" root/srv/ps/cache | xargs)" = \
		"600 600 600 644 700" ]
	[ "$(cat "$ETC/connection.passphrase")" = abcdefgh12345678 ]
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
	image root | diff before - >&2
	# The log names each step, no secret.
	log=$(find root -name setup.log)
	says "$log" "ps.yaml"
	lacks "$log out" abcdefgh12345678
}

@test "another choice: what changes, changes, keys stay" {
	other_end
	PORT=$(free_port)
	setup_ps >out
	sha256sum "$ETC"/{vault.key,server.key} >keys
	PORT=$(free_port)
	sed -i 's/Yes/No/' proxy
	sed -i 's/192.0.2.7/127.0.0.1/' proxy
	setup_ps /ProxySettingsFilePath proxy --json >out || { cat out; false; }
	[ "$(jq -r '.result, (.steps | map(select(.result == "done")) | length)' out |
		xargs)" = "installed 2" ] || { cat out; false; }
	says "$ETC/ps.yaml" "127.0.0.1:$PORT"
	says "$ETC/ps.yaml" 'proxy: "http://127.0.0.1:3128"'
	[ -s "$ETC/ps.yaml.old" ]
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
	cs() {
		unifiedsetup /ServerMode CS /InstallLocation /srv/cs /PSIP \
			127.0.0.1 /EnvType NonVMWare --cs-port "$CS_PORT" \
			/VaultCredsFilePath vaultcreds /SkipSpaceCheck \
			/DataTransferSecurePort "$PORT" --name cs1 \
			--root "$T/root" "$@"
	}
	cs >out || { cat out; false; }
	kept=$(find root -name connection.passphrase)
	[ "$(stat -c %a "$kept")" = 600 ]
	lacks "out $(find root -name setup.log)" "$(cat "$kept")"
	ps-config policy list --config "$ETC/ps.yaml"
	sum=$(sha256sum "$kept")
	cs >out || { cat out; false; }
	[ "$sum" = "$(sha256sum "$kept")" ]
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
	lacks "out $(find root -name setup.log)" s3cret-pw
	unifiedsetup --set-proxy none --root "$T/root" >out
	diff former "$ETC/ps.yaml" >&2
	# One that does not lead there changes nothing.
	printf 'AZURE_STORAGE_KEY=c3RvcmFnZS1rZXk=\n' >"$ETC/store.credentials"
	sed -i 's,^vault: .*,vault: azblob://account/container,' "$ETC/ps.yaml"
	sed -i '/^vault/a store: {endpoint: "http://127.0.0.1:1", credentials: "'"$ETC"'/store.credentials"}' "$ETC/ps.yaml"
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
		stat -c '%u:%g %a %n' /usr/local/etc/ps-toolkit/* data data/*
	END
	unshare -m sh -e inside "${flags[@]}" >out || { cat nobody out; false; }
	says nobody "there is no user 'ps-toolkit'"
	says out "4711:4712 600 /usr/local/etc/ps-toolkit/connection.passphrase"
	says out "4711:4712 600 /usr/local/etc/ps-toolkit/vault.key"
	says out "4711:4712 644 /usr/local/etc/ps-toolkit/ps.yaml"
	says out "4711:4712 700 data/cache"
	[ "$(stat -c %u data/cache/*  | sort -u)" = 4711 ]
}

# with HOW N COMMAND...: its N-th call that matters fails
with() {
	local how=$1 n=$2
	shift 2
	env LD_PRELOAD="$PS_BUILD/tests/lib/fail-call.so" FAIL_CALL=any \
		FAIL_AT="$n" FAIL_HOW="$how" "$@" >out 2>&1
}

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
	PATH=$PS_BUILD/tests/setup:$PATH
	[ -e "$PS_BUILD/tests/lib/fail-call.so" ] || skip "no fail-call"
	local n=0 code calm=0 failed=0 step=${PS_LONG:+1}
	echo 'other-passphrase' >pass2
	chmod 600 pass2
	install-only "$T/root" 9443 pass >out
	tree root >first.tree
	cp -a root first
	image first >first.image
	rm -rf root
	# A fresh one.
	while ((calm < 50 && (n += ${step:-13}))); do
		code=0
		rm -rf root
		with EIO "$n" install-only "$T/root" 9443 pass || code=$?
		calm=$((calm + ${step:-13}))
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
	rm -rf root && cp -a first root
	install-only "$T/root" 9444 pass2 >out
	image root >second.image
	n=0 calm=0
	while ((calm < 50 && (n += ${step:-13}))); do
		rm -rf root && cp -a first root
		code=0
		with EIO "$n" install-only "$T/root" 9444 pass2 || code=$?
		image root >now
		calm=$((calm + ${step:-13}))
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
	PATH=$PS_BUILD/tests/setup:$PATH
	[ -e "$PS_BUILD/tests/lib/fail-call.so" ] || skip "no fail-call"
	local n=0 code step=${PS_LONG:+1}
	echo 'other-passphrase' >pass2
	chmod 600 pass2
	install-only "$T/root" 9443 pass >out
	cp -a root first
	install-only "$T/root" 9444 pass2 >out
	image root >second.image
	while ((n += ${step:-17})); do
		rm -rf root && cp -a first root
		code=0
		with kill "$n" install-only "$T/root" 9444 pass2 || code=$?
		[ "$code" -ne 0 ] || break
		[ "$code" -eq 137 ] && [ "$n" -lt 1000 ]
		install-only "$T/root" 9444 pass2 >out 2>&1 || { cat out; false; }
		image root >now
		cmp -s now second.image || { echo "at $n"
			diff second.image now; false; }
	done
}
