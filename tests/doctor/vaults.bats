#!/usr/bin/env bats
# ps-doctor on a server with several vaults: each is looked at, and the cause
# says which one it is.
load ../lib/common
load ../lib/chain
load ../store/store
load doctor

# A near vault, a folder, and a far one in a store of its own, whose
# credentials the near one has not.
prepare() {
	command -v jq >/dev/null || skip "jq is not installed"
	export PS_HEALTH_DIR=$T/health
	new_server
	random_file disk.img 400000
	truncate -s 8M disk.img
	strict
	FAR=azblob://$AZURE_STORAGE_ACCOUNT/vault
	export AZURE_STORAGE_KEY AZURE_STORAGE_BLOB_ENDPOINT
	ps-vault init "$FAR"
	printf 'AZURE_STORAGE_KEY=%s\n' "$AZURE_STORAGE_KEY" >far.cred
	chmod 600 far.cred
	sed -i '/^vault:/d' s1/ps.yaml
	cat >>s1/ps.yaml <<-END
		vaults:
		  - {name: near, url: $T/vault}
		  - {name: far, url: "$FAR", credentials: $T/far.cred, retry-for: 1,
		     endpoint: "$AZURE_STORAGE_BLOB_ENDPOINT"}
	END
	unset AZURE_STORAGE_KEY AZURE_STORAGE_BLOB_ENDPOINT
}

teardown_file() { table; }

# far WORD: the entry of the far vault has one more key
far() { sed -i "s|retry-for: 1|retry-for: 1, $1|" s1/ps.yaml; }

# whose STEP: of which vaults its evidence speaks
whose() {
	step "$1" '.evidence[]' | sed -n 's/^\(near\|far\): .*/\1/p' | sort -u |
		tr '\n' ' '
}

@test "each vault is looked at, with its own credentials" {
	serve
	pass m d disk.img s1 --bookmark b1
	wait_for drained
	doctor --all --json >out || { cat out; false; }
	[ "$(step store .what)" = "2 vaults, each is well" ]
	[ "$(whose store)" = "far near " ]
	[ "$(step bandwidth .result)" = passed ]
	[ "$(whose bandwidth)" = "far near " ]
	step clock '.evidence[]' | grep -q '^the store far (http'
	# Named on the command line it is the only one.
	doctor --json --vault "$T/vault" store >out
	[ "$(whose store)" = '' ]
	step store .what | grep -q "^$T/vault: written"
}

@test "the cause says which of the vaults it is" {
	far 'limit-rate: 2K'
	serve --stop-timeout 1
	random_file big.img 9000000
	pass m d big.img s1 --bookmark b1
	both "two vaults, one limited" rate-limit bandwidth services disks \
		store proxy bandwidth
	jq -r .what out | grep -q '^far: the upload is limited to 2.00 KiB/s'
	plan '{"every": 1, "kind": "503"}'
	is_cause store services disks store proxy bandwidth
	jq -r .what out | grep -q '^far: .*503'
	[ "$(step store '.evidence[]' | grep -c '^near: .*written')" -eq 1 ]
	row "two vaults, one answers 503" - store "$(jq -r .what out)"
	plan '{}'
	far 'proxy: "http://user:geheim@127.0.0.1:1"'
	is_cause proxy services disks store proxy bandwidth
	jq -r .what out | grep -q '^far: the proxy 127.0.0.1:1'
	run ! grep -q geheim out
	row "two vaults, one proxy wrong" - proxy "$(jq -r .what out)"
}

@test "a vault that takes nothing while the other does is told" {
	plan '{"every": 1, "kind": "503"}'
	serve --stop-timeout 1
	pass m d disk.img s1 --bookmark b1
	refused() {
		jq -e '.error | contains("503")' s1/cache/.upload.far &&
			[ "$(vault_seq m d)" = 1 ]
	}
	wait_for refused
	doctor --json pushing >out || true
	[ "$(step pushing .result)" = failed ] || { cat out s1/cache/.upload*; false; }
	step pushing '.evidence[]' | grep -q '^far: ps-upload is .*503'
}

@test "a vault that hangs is named" {
	cat >mute.py <<-'END'
		import socket, time
		s = socket.create_server(("127.0.0.1", 0))
		print(s.getsockname()[1], flush=True)
		time.sleep(100)
	END
	start python3 mute.py >mute.port
	wait_for test -s mute.port
	echo 1 >s1/port
	sed -i "s|endpoint: .*}|endpoint: \"http://127.0.0.1:$(cat mute.port)\"}|" \
		s1/ps.yaml
	fails_with 1 doctor --json --step-timeout 4 store
	[ "$(jq -r .what out)" = "far: no answer within 4 s" ]
}

@test "a wrong list is told with its line" {
	far 'colour: blue'
	fails_with 78 doctor services
	grep -q 'colour: no such key' err
}
