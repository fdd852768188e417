#!/usr/bin/env bats
# unifiedsetup on what is installed: what is refused, and what it says then.
load ../lib/common
load setup

prepare() {
	command -v jq >/dev/null || skip "jq is not installed"
	files
	ps-vault init vault >/dev/null
	without_services # life.bats has them
	PATH=$PS_BUILD/tests/setup:$PATH
	other_end
	install-only "$T/root" 9443 pass "$CS_PORT" >out
	ETC=$T/$(dirname "$(find root -name ps.yaml)")
	ID=$(dirname "$(find root -name identity.json)")
	OURS=$(unifiedsetup --version | sed -n '1s/.* //p')
}

cleanup() {
	[ -z "${SITE:-}" ] || ps-service stop --root "$SITE" || true
} >/dev/null 2>&1

later() { unifiedsetup --root "$T/root" "$@"; }

# was VERSION [FORMER]: what the record says
was() {
	sed -i "s/^version: .*/version: \"$1\"/; /^former/d" "$ETC/installed.yaml"
	[ -z "${2:-}" ] || echo "former: \"$2\"" >>"$ETC/installed.yaml"
}

# All files and what is in them.
all() {
	find root -type f ! -name '*.log' ! -name .counters -print0 | sort -z |
		xargs -0 sha256sum
}

@test "versions: what is in reach; an edited ps.yaml stays, new services join" {
	local major minor
	IFS=. read -r major minor _ <<<"$OURS"
	later --upgrade >out
	says out "$OURS is installed, nothing has to be done"
	was "$major.$((minor + 1)).0"
	all >before
	fails_with 78 later --upgrade
	says err "that would be a downgrade"
	# The same command as for installing.
	fails_with 78 later /ServerMode PS /InstallLocation /srv/ps /EnvType \
		VMWare /CSIP 127.0.0.1 /PassphraseFilePath pass
	says err "flags are not looked at"
	says err "that would be a downgrade"
	fails_with 78 install-only root 9443 pass "$CS_PORT"
	was "$major.$((minor + 1)).0" "$OURS"
	fails_with 78 later --upgrade
	says err "--rollback"
	fails_with 66 later --rollback
	says err "there are no copies of $OURS"
	was "$major.$((minor + 1)).0" "$major.$((minor + 9)).0"
	fails_with 78 later --rollback
	says err "install the packages of $major.$((minor + 9)).0"
	was "$((major + 1)).0.0"
	fails_with 78 later --upgrade
	was "$major.x"
	fails_with 65 later --upgrade
	was "$OURS"
	fails_with 1 later --rollback
	says err "there is nothing to go back to"
	# Registering again that was killed is none of their business.
	keep=$(dirname "$(find root -type d -name ps-toolkit -path '*/lib/*')")/ps-toolkit-setup
	mkdir -p "$keep/0.0.1"
	echo 'what: reregister' >"$keep/doing.yaml"
	later --upgrade >out
	says out "nothing has to be done"
	fails_with 1 later --rollback
	[ -d "$keep/0.0.1" ]
	rm -r "$keep"
	all >now
	diff <(grep -v installed.yaml before) <(grep -v installed.yaml now)
	# One without a record is of the first version.
	rm "$ETC/installed.yaml"
	later --upgrade --json | jq -e '.from == "0.1.0"'
	fails_with 66 unifiedsetup --root "$T/nothing" --upgrade
	fails_with 66 unifiedsetup --root "$T/nothing" --reregister
	fails_with 64 later --upgrade --uninstall
	fails_with 64 later --reregister --yes
	fails_with 64 later --drain-for 5s
	# As a version before left it: without health, and the user took
	# verify out.
	install-only "$T/root" 9443 pass "$CS_PORT" >out
	was 0.0.9
	fails_with 78 later --reregister
	says err "unifiedsetup --upgrade first"
	sed -i 's/^services: .*/services: "receive,pipeline,verify,heartbeat"/' \
		"$ETC/installed.yaml"
	sed -i 's/^  names: .*/  names: "receive,pipeline,heartbeat" # mine/; $a# a remark' \
		"$ETC/ps.yaml"
	cp "$ETC/ps.yaml" before
	later --upgrade --dry-run >out
	says out "0.0.9 -> $OURS"
	diff before "$ETC/ps.yaml"
	later --upgrade >out || { cat out; false; }
	says out "done   registration"
	says "$ETC/installed.yaml" "former: \"0.0.9\""
	diff before "$ETC/ps.yaml" >changed || true
	grep -q '^>   names: "receive,pipeline,heartbeat,health' changed
	lacks changed verify
	[ "$(grep -c '^[<>]' changed)" -eq 2 ]
	diff before "$ETC/ps.yaml.old"
}

@test "registering again: another configuration server, and what is not one" {
	sum=$(sha256sum "$ID/server.key")
	all >before
	fails_with 69 later --reregister --cs-port 1
	echo abcdefgh12345678 >wrong
	fails_with 77 later --reregister /PassphraseFilePath wrong
	says err "is not that of the configuration server"
	all | diff before -
	# A second one, of another authority: only a passphrase proves it.
	cp -p pass first.pass
	mv cs cs.first
	other_end
	fails_with 77 later --reregister --cs-port "$CS_PORT"
	all | diff before -
	later --reregister /PassphraseFilePath pass --cs-port "$CS_PORT" >out
	says out "done   registration"
	PS_CONFIG_DIR=$T/cs ps-config server show ps1 --json | jq -e .version
	cmp pass "$ETC/connection.passphrase"
	says "$ETC/ps.yaml" "port: \"$CS_PORT\""
	[ "$sum" = "$(sha256sum "$ID/server.key")" ]
	later --reregister --json >out
	jq -e '.result == "registered"' out
	jq -e 'all(.steps[]; .result != "failed")' out
	lacks "out $(find root -name setup.log)" "$(cat pass)"
}

@test "uninstalling: who is not told, who still needs it, what would be lost" {
	# What is in the cache and in no vault.
	random_file disk 300000
	for disk in root data; do
		ps-scan --machine web01 --disk "$disk" --map "$disk.map" disk |
			ps-cache put -C root/srv/ps/cache >/dev/null
	done
	later --uninstall --purge --discard-cache --dry-run >out
	says out "web01: 1 points, 2 segments of 2 disks"
	# Machines that use it.
	export PS_CONFIG_DIR=$T/cs
	ps-config policy add gold --rpo 15m --retention 1d
	ps-config machine add web01 --policy gold --server ps1
	fails_with 1 later --uninstall
	says err "1 machines use this server"
	says err "--force --yes"
	ps-config machine edit web01 --server -
	# Nobody there.
	all >before
	kill "${STARTED[-1]}" && wait "${STARTED[-1]}" || true
	fails_with 69 later --uninstall
	says err "ps-config unregister ps1 --force --yes"
	all | diff before -
	later --uninstall --yes >out
	says out "ps-config unregister ps1 --force --yes"
	[ "$(ls "$ETC")" = vault.key ]
	[ -d root/srv/ps/cache ]
}

@test "uninstalling: the cache drains, or all goes on" {
	rm bin/ps-service
	hash -r
	SITE=$T/root
	sed -i "s/^  listen: .*/  listen: \"127.0.0.1:$(free_port)\"/" "$ETC/ps.yaml"
	ps-service start --root root receive
	random_file disk 300000
	ps-scan --machine web01 --disk root --map map disk >stream
	ps-cache put -C root/srv/ps/cache <stream >/dev/null
	# A vault that takes nothing.
	mv vault away
	fails_with 75 later --uninstall --purge --drain-for 1s
	says err "are in no vault after 1 s"
	says out "taken back: receive: ends"
	ps-service status --root root receive
	[ -d root/srv/ps/cache ]
	mv away vault
	later --uninstall --purge --drain-for 1m >out || { cat out; false; }
	[ ! -e root/srv/ps ]
	ps-restore vault --machine web01 --disk root -q -k "$ETC/vault.key" -o back
	cmp disk back
}
