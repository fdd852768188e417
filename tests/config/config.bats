#!/usr/bin/env bats
# ps-config: the registry by hand.
load ../lib/common
load config

prepare() {
	command -v jq >/dev/null || skip "jq is not installed"
	MOUNTED=()
}

cleanup() {
	local dir
	for dir in "${MOUNTED[@]}"; do umount -l "$dir"; done
}

passphrase_works() { # passphrase_works FILE: at a server with the first one
	cxpsclient -i 127.0.0.1 -l "$(sed 's/.*://' port)" -P "$1" -y 1 \
		>out 2>err
}

@test "without a registry: which command makes one" {
	use "$T/none"
	fails_with 66 ps-config policy list
	grep -q 'ps-config init' err
	[ ! -e none ]
	registry
	ps-config init # again
	[ "$(stat -c %a config config/config.key config/registry.db |
		tr '\n' ' ')" = '700 600 600 ' ]
}

@test "a database of something else is left alone; a lost key file is not replaced" {
	command -v sqlite3 >/dev/null || skip "sqlite3 is not installed"
	registry
	mkdir other
	cp -p config/config.key other
	use "$T/other"
	(umask 077 && : >other/registry.db)
	fails_with 66 ps-config status
	grep -q 'no registry in it' err
	sqlite3 other/registry.db 'CREATE TABLE servers (x)'
	fails_with 78 ps-config init
	grep -q 'tables of something else' err
	[ "$(sqlite3 other/registry.db .tables | xargs)" = servers ]
	registry
	mv config/config.key kept
	fails_with 66 ps-config status
	fails_with 78 ps-config init
	grep -q 'key file that is not here: .*/config.key' err
	[ ! -e config/config.key ]
	mv kept config/config.key
	ps-config init
	# What became of it is told, and what to do.
	ps-config status >out
	rm -f config/registry.db-*
	head -c 9000 /dev/zero | tr '\0' x >config/registry.db
	fails_with 65 ps-config status
	grep -q 'ps-config restore' err
}

@test "misuse is told, and what would be right" {
	registry
	fails_with 64 ps-config policy add
	grep -q 'usage: ps-config policy add NAME' err
	fails_with 64 ps-config policy frobnicate gold
	fails_with 64 ps-config machine add web_01
	grep -q 'letters, digits and hyphens' err
	fails_with 64 ps-config policy add gold --app-consistent 13h
	fails_with 64 ps-config server add ps1 --address 'a b'
	fails_with 1 ps-config policy show gold
	fails_with 1 ps-config machine add web01 --policy gold
	[ "$(answer '[.[].what]' audit)" = '["authority-new"]' ]
}

@test "a machine from nothing to protected and back" {
	registry
	ps-config machine add web01
	fails_with 78 ps-config machine enable web01
	grep -q 'no policy (78253)' err
	ps-config machine delete web01
	protected
	[ "$(answer '[.state, .server, .recovered.network, .disks[0].size]' \
		machine show web01)" = \
		'["enabled","ps1","grün",42949672960]' ]
	fails_with 64 ps-config machine disable web01
	fails_with 1 ps-config machine delete web01
	# What is protected keeps what that needs.
	fails_with 78 ps-config machine edit web01 --policy -
	grep -q 'is protected, and needs a policy (78253)' err
	fails_with 78 ps-config machine edit web01 --vault -
	fails_with 64 ps-config machine edit web01 --vault nosuch://x
	grep -q "no store of the kind 'nosuch'" err
	fails_with 78 ps-config machine disk-delete web01 root
	[ "$(answer '[.policy, .vault, (.disks | length)]' machine show web01)" = \
		'["gold","s3://bucket/site",1]' ]
	# Nor is it two machines.
	ps-config machine edit web01 --machine-id one
	fails_with 1 ps-config machine add web02 --machine-id one
	grep -q 'its machine id is that of another one' err
	ps-config machine disable web01 --keep-points
	ps-config machine edit web01 --recovered-network -
	[ "$(answer .recovered.network machine show web01)" = null ]
	ps-config machine enable web01
	[ "$(ps-config machine disable web01 --purge)" = 'job 1' ]
	fails_with 1 ps-config machine enable web01
	ps-config jobs progress 1 --step 1 --percent 100
	ps-config jobs progress 1 --step 2 --percent 50 --note '5 of 10'
	[ "$(answer '[.state, .steps[1].note]' jobs show 1)" = \
		'["running","5 of 10"]' ]
	ps-config jobs 'done' 1 --note '10 points deleted'
	fails_with 1 ps-config jobs failed 1
	[ "$(answer length jobs --open)" -eq 0 ]
	[ "$(answer '.[0].result' jobs)" = '10 points deleted' ]
	ps-config machine enable web01
	[ "$(answer '.[-1] | [.what, .object]' audit --object web01)" = \
		'["machine-enable","web01"]' ]
	# For people, too: a heading and a line.
	[ "$(ps-config machine | wc -l)" -eq 2 ]
	[ "$(ps-config machine show web01 | grep -c .)" -eq 9 ]
}

@test "the passphrase works at ps-receive; the registry does not have it" {
	local passphrase
	umask 077
	registry
	fails_with 1 ps-config passphrase show
	fails_with 1 ps-config passphrase rotate
	passphrase=$(ps-config passphrase new)
	[[ $passphrase =~ ^[a-km-np-z2-9]{24}$ ]]
	fails_with 1 ps-config passphrase new
	fails_with 1 ps-config passphrase show
	grep -q 'not kept' err
	! grep -raq "$passphrase" config || false
	echo "$passphrase" >first
	ps-cache init -C cache >/dev/null
	ps-receive --new-cert --cert cert --key key
	start ps-receive -l 127.0.0.1:0 -C cache --cert cert --key key \
		-P first >port 2>receive.err
	wait_for [ -s port ]
	passphrase_works first
	ps-config passphrase rotate --keep >second
	! passphrase_works second || false
	cmp second config/connection.passphrase
}

@test "a rotation: both are accepted until the overlap is over, who has not followed is told" {
	registry
	ps-config passphrase new --keep >first
	ps-config server add ps1 --address 192.0.2.1
	[ "$(ps-config passphrase show)" = "$(cat first)" ]
	[ "$(stat -c %a config/connection.passphrase)" = 600 ]
	cp -p config/connection.passphrase kept
	# The services read it, also when root has rotated.
	[ "$(id -u)" -ne 0 ] || chown nobody config
	ps-config passphrase rotate --overlap 1h >second
	[ "$(stat -c %U config)" = "$(stat -c %U config/connection.passphrase)" ]
	[ "$(ps-config passphrase show)" = "$(cat second)" ]
	! cmp -s first second || false
	[ "$(answer '[.passphrases[].state], [.behind[].name]' \
		passphrase status | tr '\n' ' ')" = \
		'["current","accepted"] ["ps1"] ' ]
	ps-config passphrase status | grep -q 'ps1, last heard -'
	# One that somebody put back is known for what it is.
	cp -p kept config/connection.passphrase
	ps-config passphrase show 2>err >out
	grep -q 'before the current' err
	ps-config passphrase rotate --overlap 0 >third
	cp second kept
	cp -p kept config/connection.passphrase
	fails_with 1 ps-config passphrase show
	[ "$(answer '[.passphrases[].state] | sort' passphrase status)" = \
		'["accepted","current","over"]' ]
}

@test "a full disk: temporary, nothing lost, and it goes on" {
	[ "$(id -u)" -eq 0 ] || skip "only root can mount"
	mkdir config
	mount -t tmpfs -o size=1m tmpfs "$T/config" 2>/dev/null ||
		skip "mounting is not permitted here"
	MOUNTED+=("$T/config")
	registry
	protected
	dd if=/dev/zero of=config/fill bs=4k 2>/dev/null || true
	local i
	for ((i = 0; i < 200; i++)); do
		if ! ps-config policy add "p$i" 2>err; then break; fi
	done
	fails_with 75 ps-config policy add another
	grep -qE 'disk is full|No space left' err
	grep -q 'make room' err
	rm config/fill
	[ "$(answer length policy)" -eq $((i + 1)) ]
	ps-config policy add another
	[ "$(answer .state machine show web01)" = enabled ]
	# As after a fault of the disk: it is not told to begin anew.
	mount -o remount,ro "$T/config"
	fails_with 77 ps-config policy list
	grep -q 'registry.db: Read-only file system' err
	run ! grep 'ps-config init' err
}
