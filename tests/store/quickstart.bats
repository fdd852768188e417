#!/usr/bin/env bats
# The quickstart with its vault in a store: three points, restored identical.
# (With a folder: tests/chain.)
load ../lib/common
load store
load ../vault/azurite

needs() {
	local program
	for program in mke2fs debugfs e2fsck jq; do
		PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null ||
			skip "$program is not installed"
	done
	[ -x /usr/bin/time ] || skip "time is not installed"
}

chain() { # chain VAULT
	QUICKSTART_MIB=32 \
		"$PS_SOURCE/scripts/quickstart" --vault "$1" "$T/q" >out 2>err ||
		{ cat out err; return 1; }
	[ "$(grep -c '^cmp  *equal to the copy' out)" -eq 3 ]
	[ "$(grep -c '^e2fsck -fn  *[0-9]*/[0-9]* files' out)" -eq 3 ]
	[ ! -e q/vault ]
	ps-vault verify "$1" -k q/vault.key
}

@test "three points by way of s3rver" {
	needs
	s3rver_peer
	chain s3://bucket/site
	rclone_s3 lsf -R r:bucket/site | grep -q 'web01/root/0*3$'
}

@test "three points by way of Azurite" {
	needs
	need_azurite
	azurite
	chain "azblob://$ACCOUNT/vault"
}
