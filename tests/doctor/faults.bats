#!/usr/bin/env bats
# Faults that are made for real, and the step of ps-doctor that names each:
# the test prints the table.
load ../lib/common
load ../lib/chain
load ../store/store
load ../agent/agent
load doctor

prepare() {
	command -v jq >/dev/null || skip "jq is not installed"
	new_server
	random_file disk.img 400000
	truncate -s 8M disk.img
}

cleanup() {
	! mountpoint -q "$T/s1/cache" || umount -l "$T/s1/cache"
}

# root_only: some faults can be made by root alone
root_only() {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
}

# store_server KIND: the vault of s1 is in a strict server
store_server() {
	strict
	export AZURE_STORAGE_KEY AZURE_STORAGE_BLOB_ENDPOINT
	VAULT=azblob://$AZURE_STORAGE_ACCOUNT/vault
	ps-vault init "$VAULT"
	sed -i "s|^vault: .*|vault: $VAULT|" s1/ps.yaml
}

@test "a full cache" {
	root_only
	mv s1/cache s1/was
	mkdir s1/cache
	mount -t tmpfs -o size=16m tmpfs s1/cache || skip "no mounts here"
	cp -a s1/was/. s1/cache/
	serve
	head -c 14M /dev/zero >s1/cache/.junk
	names "full cache" cache
	[ "$(step cache '.evidence[0]' | grep -c 'free')" -eq 1 ]
}

@test "an upload that is limited to less than is needed" {
	sed -i '$a upload: {limit-rate: 2K}' s1/ps.yaml
	serve --stop-timeout 1
	random_file big.img 9000000
	pass m d big.img s1 --bookmark b1
	# The whole run waits to see whether anything moves.
	[ -n "${PS_LONG:-}" ] || set -- services disks store proxy bandwidth
	names "rate-limited upload" bandwidth "$@"
	[ "$(step store .result)" = passed ]
	step bandwidth .next | grep -q 'limit-rate'
}

@test "a store that answers 503" {
	store_server
	echo 'store: {retry-for: 1}' >>s1/ps.yaml
	serve
	plan '{"every": 1, "kind": "503"}'
	names "store answering 503" store
	jq -r .what out | grep -q 503
	[ "$(step clock .result)" = passed ]
	# With something to store its chain ends again and again: it runs.
	pass m d disk.img s1 --bookmark b1
	wait_for grep -q 'ps-upload: .*503' s1/pipeline.err ||
		{ cat s1/pipeline.err; false; }
	doctor services
}

@test "a proxy that nobody answers for" {
	store_server
	serve
	names "wrong proxy" proxy --retry-for 1 \
		--proxy http://user:geheim@127.0.0.1:1
	[ "$(step store .result)" = failed ]
	[ "$(step proxy '.evidence[0]')" = "--proxy: 127.0.0.1:1" ]
	run ! grep -q geheim out
	# It is said to differ from that of the environment.
	http_proxy=http://u:geheim@proxy.invalid:3128 \
		names "wrong proxy, two of them" proxy --retry-for 1 \
		--proxy http://127.0.0.1:1
	step proxy '.evidence[]' | grep -q \
		'environment, http_proxy: proxy.invalid:3128'
	run ! grep -q geheim out
}

@test "an expired certificate" {
	faketime '400 days ago' openssl req -x509 -newkey ec -pkeyopt \
		ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=ps1 \
		-keyout s1/key -out s1/cert 2>/dev/null
	serve
	names "expired certificate" https
	jq -r .what out | grep -q 'expired'
}

@test "a clock that is off, against the store and against the server" {
	store_server
	serve
	settings '{"clock": 5000}'
	names "clock offset, store" clock
	jq -r .what out | grep -q '1h 23m'
	settings '{"clock": 0}'
	new_agent root </dev/null
	agent once
	from_source() {
		FAKETIME_DONT_FAKE_MONOTONIC=1 faketime -f +30m \
			ps-doctor --role source -c agent.yaml --json "$@"
	}
	fails_with 1 from_source clock
	[ "$(jq -r .cause out)" = clock ]
	told "clock offset, source"
}

@test "one slow disk of a machine" {
	serve
	pass m d1 disk.img s1 --bookmark b1 --members m/d1
	pass m d2 disk.img s1 --bookmark b1 --members m/d2
	wait_for drained
	export PS_HEALTH_DIR=$T/health
	FAKETIME_DONT_FAKE_MONOTONIC=1 faketime -f -40m ps-health sample \
		--config s1/ps.yaml
	scribble disk.img 7
	pass m d2 disk.img s1 --bookmark b2 --members m/d2
	wait_for drained
	ps-health sample --config s1/ps.yaml
	names "one slow disk" disks
	jq -r .what out | grep -q 'm/d1'
}

@test "a disk on hold" {
	serve
	pass m d disk.img s1 --bookmark b1
	wait_for drained
	ps-cache hold -C s1/cache m d "another server stores this disk"
	names "held disk" disks
	step disks '.evidence[0]' | grep -q 'another server stores'
}

@test "from a source: all well, a closed port, a wrong key" {
	serve
	new_agent root </dev/null
	begin_agent
	wait_for points 1
	ps-doctor --role source -c agent.yaml --all --json >out ||
		{ cat out; false; }
	[ "$(jq -r .result out)" = well ]
	[ "$(jq -r .role out)" = source ]
	[ "$(step selftest .result)" = passed ]
	sed -i "s/^  port: .*/  port: 1/" agent.yaml
	fails_with 1 ps-doctor --role source -c agent.yaml --json
	[ "$(jq -r .cause out)" = port ]
	told "closed port"
	sed -i "s/^  port: .*/  port: $(server_port s1)/" agent.yaml
	ps-receive --new-passphrase -P other
	rm m.key
	cxpsclient --derive-key m -P other -o m.key
	fails_with 1 ps-doctor --role source -c agent.yaml --json
	[ "$(jq -r .cause out)" = selftest ]
	told "wrong key of a machine"
	stop_all
	fails_with 1 ps-doctor --role source -c agent.yaml --json
	[ "$(jq -r .cause out)" = services ]
	told "stopped agent"
}

@test "a peer that takes the connection and hangs costs one step" {
	receive
	new_agent root </dev/null
	cat >mute.py <<-'END'
		import socket, time
		s = socket.create_server(("127.0.0.1", 0))
		print(s.getsockname()[1], flush=True)
		time.sleep(100)
	END
	start python3 mute.py >mute.port
	wait_for test -s mute.port
	sed -i "s/^  port: .*/  port: $(cat mute.port)/" agent.yaml
	fails_with 1 ps-doctor --role source -c agent.yaml --json \
		--step-timeout 2 port https
	[ "$(jq -r .cause out)" = https ]
	[ "$(jq -r .what out)" = "no answer within 2 s" ]
	[ "$(jq '.seconds < 20' out)" = true ]
	told "a peer that hangs"
}

@test "misuse, and nothing to examine" {
	fails_with 64 ps-doctor --config s1/ps.yaml nonsense
	grep -q "no step 'nonsense'" err
	fails_with 64 ps-doctor --yes
	fails_with 64 ps-doctor --role butler
	fails_with 78 ps-doctor -c "$T/none.yaml"
	grep -q 'nothing is configured here' err
	fails_with 66 ps-doctor --role source -c "$T/none.yaml"
}
