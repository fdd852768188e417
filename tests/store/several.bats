#!/usr/bin/env bats
# ps-pipeline into a folder, Azurite and s3rver; one of them is away.
# PS_LONG=1: two emulators take ten seconds. (With folders: tests/pipeline.)
load ../lib/common
load store
load ../vault/azurite

prepare() {
	[ -n "${PS_LONG:-}" ] || skip "PS_LONG=1: ten seconds"
	umask 077
	need_azurite
	s3rver_peer
	azurite
	azurite=${STARTED[-1]}
	ps-cache init --keep-free 0 --keep-free-initial 0 -C cache
	ps-encrypt --new-key key
	declare -gA url=([near]="$T/near" [s3]=s3://bucket/site
		[blob]="azblob://$ACCOUNT/vault")
	local name
	for name in near s3 blob; do ps-vault init "${url[$name]}"; done
	random_file d.img $((4 << 20))
}

# Each vault has its own credentials and its own place; the environment none.
pipeline() {
	echo "AZURE_STORAGE_KEY=$KEY" >blob.cred
	printf 'AWS_ACCESS_KEY_ID=S3RVER\nAWS_SECRET_ACCESS_KEY=S3RVER\n' >s3.cred
	cat >ps.yaml <<-END
		cache: $T/cache
		key: $T/key
		vaults:
		- {name: near, url: "${url[near]}"}
		- {name: s3, url: "${url[s3]}", endpoint: "$AWS_ENDPOINT_URL", credentials: $T/s3.cred}
		- {name: blob, url: "${url[blob]}", endpoint: "$ENDPOINT", credentials: $T/blob.cred, retry-for: 1}
		pipeline: {stored-after: 2}
	END
	start env -u AWS_ENDPOINT_URL -u AWS_ACCESS_KEY_ID \
		-u AWS_SECRET_ACCESS_KEY -u AZURE_STORAGE_KEY \
		-u AZURE_STORAGE_BLOB_ENDPOINT \
		ps-pipeline --config ps.yaml --max-wait 1 >out 2>err
	pipeline=${STARTED[-1]}
}

# pass N: other bytes somewhere in the disk, into the cache
pass() {
	random_file part 300000 "$1"
	dd if=part of=d.img bs=64K seek="$1" conv=notrunc status=none
	ps-scan --machine m --disk d --map map d.img 2>scan.err |
		ps-cache put -C cache 2>put.err |
		ps-scan --commit --map map >acks 2>commit.err
}

ends() { # VAULT SEQ
	[ "$(ps-vault head "${url[$1]}" --machine m --disk d | cut -f 4)" = "$2" ]
}

# cached JQ: what the cache says of the disk
cached() {
	ps-cache stat --json -C cache | jq -e ".disks[0] | $1" >/dev/null
}

whole() { # VAULT: sound, and its latest point is the disk
	ps-vault verify "${url[$1]}" -k key --data
	ps-restore "${url[$1]}" --machine m --disk d -k key -q -o "out.$1"
	cmp d.img "out.$1"
}

@test "a folder, Azurite and s3rver get all; Azurite is away for a while" {
	local name n
	pipeline
	pass 1
	for name in near s3 blob; do wait_for ends "$name" 1; done
	wait_for cached '.segments == 0'
	kill "$azurite"
	wait "$azurite" || true
	for n in 2 3 4; do pass "$n"; done
	# The others go on, and the source is told by two of three.
	wait_for ends near 4
	wait_for ends s3 4
	wait_for cached '.stored.seq == 4'
	wait_for grep -q "blob.*\(refused\|connect\|reach\)" err
	cached '.segments == 3 and .followers.blob.seq == 1'
	azurite "$PORT"
	wait_for ends blob 4
	wait_for cached '.segments == 0'
	kill "$pipeline"
	wait "$pipeline"
	for name in near s3 blob; do whole "$name"; done
	! grep -q -F "$KEY" out err || false
}
