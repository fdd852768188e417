# Stores outside of this machine, for tests: our strict server, and what
# others have made. After `load ../lib/common`.
# shellcheck shell=bash

# strict [OPTION...]: starts it; its endpoint and keys go into the environment
strict() {
	command -v python3 >/dev/null || skip "python3 is not installed"
	mkdir -p "$T/strict"
	start "$PS_SOURCE/tests/store/strict-server" --dir "$T/strict" "$@" \
		2>"$T/strict/err"
	wait_for [ -e "$T/strict/env" ]
	# shellcheck disable=SC1091
	source "$T/strict/env"
	export PS_CONFIG='' http_proxy='' https_proxy=''
}

# store_of file|azblob|s3: where vaults of this kind go; one table for all
store_of() {
	case $1 in
	file) echo "$T/folder" ;;
	azblob) echo "azblob://$AZURE_STORAGE_ACCOUNT/container" ;;
	s3) echo s3://bucket ;;
	esac
}

# objects STORE VAULT: "NAME SIZE" of what a vault below store_of has
objects() {
	case $1 in
	file) (cd "$T/folder/$2" && find . -type f -printf '%P %s\n') ;;
	azblob) inventory azure | sed -n "s,^container/$2/,,p" ;;
	s3) inventory s3 | sed -n "s,^bucket/$2/,,p" ;;
	esac
}

# control PUT|GET WHAT [JSON]: what the strict server is told
control() {
	curl -sS --fail -X "$1" ${3:+--data-binary "$3"} \
		"http://127.0.0.1:$STRICT_PORT/-/$2"
}
plan() { control PUT plan "$1"; }
settings() { control PUT settings "$1"; }

# requests [JQ]: the log, or how many of its entries fulfil a condition
requests() { jq -c "select($1)" "$T/strict/log" | wc -l; }

# inventory azure|s3: "NAME SIZE" of all objects
inventory() {
	control GET blobs |
		jq -r ".$1.objects | to_entries[] | \"\\(.key) \\(.value)\""
}
unfinished() { control GET blobs | jq -r ".$1.uploads[]"; }

# s3rver: starts it on a free port; a laxer peer than the strict server
s3rver_peer() {
	local peers
	peers=$("$PS_SOURCE/scripts/install-peers" 2>/dev/null) ||
		skip "s3rver is not installed (scripts/install-peers)"
	mkdir -p "$T/s3rver"
	# Its digests are of an older OpenSSL.
	NODE_OPTIONS=--openssl-legacy-provider start node \
		"$peers/node_modules/s3rver/bin/s3rver.js" -d "$T/s3rver" -a 127.0.0.1 \
		-p 0 >"$T/s3rver.log" 2>&1
	wait_for grep -q 'listening on' "$T/s3rver.log"
	unset AWS_SESSION_TOKEN AWS_REGION
	export AWS_ACCESS_KEY_ID=S3RVER AWS_SECRET_ACCESS_KEY=S3RVER
	AWS_ENDPOINT_URL=http://127.0.0.1:$(sed -n \
		's/.*on 127.0.0.1:\([0-9]*\).*/\1/p' "$T/s3rver.log" | head -n 1)
	export AWS_ENDPOINT_URL
}

# three_passes: the stream s of disk m/d, of a long segment and two short ones,
# and the disk after each: disk.1, disk.2, disk.3
three_passes() {
	local i
	random_file disk.img $((11 << 20)) 3
	ps-vault init acks.vault
	for i in 1 2 3; do
		[ "$i" -eq 1 ] || random_file new 300000 "$i"
		[ "$i" -eq 1 ] || dd if=new of=disk.img conv=notrunc \
			bs=4096 seek=$((100 * i)) status=none
		ps-scan --machine m --disk d --map map --bookmark "b$i" \
			disk.img >pass 2>/dev/null
		cat pass >>s
		ps-upload acks.vault pass 2>/dev/null |
			ps-scan --commit --map map >/dev/null
		cp disk.img "disk.$i"
	done
}

# rclone_s3 ARGS...: another's code, on the remote "r:"
rclone_s3() {
	command -v rclone >/dev/null || skip "rclone is not installed"
	env -u AWS_CA_BUNDLE RCLONE_CONFIG=/dev/null RCLONE_CONFIG_R_TYPE=s3 \
		RCLONE_CONFIG_R_PROVIDER=Other RCLONE_CONFIG_R_ENV_AUTH=true \
		RCLONE_CONFIG_R_ENDPOINT="$AWS_ENDPOINT_URL" \
		RCLONE_CONFIG_R_REGION="${AWS_REGION:-}" \
		RCLONE_CONFIG_R_LOCATION_CONSTRAINT="${AWS_REGION:-}" \
		RCLONE_CONFIG_R_LIST_VERSION=2 \
		timeout 60 rclone --retries 1 --low-level-retries 2 "$@"
}

# compliant URL: the suite of all stores
compliant() {
	PS_TEST_STORE=$1 CMOCKA_MESSAGE_OUTPUT=TAP timeout 120 \
		"$PS_BUILD/tests/vault/test-store" >suite 2>&1 || {
		cat suite
		return 1
	}
	grep -q '^1\.\.' suite
}

# Skips when this build knows no such kind of store.
knows() {
	ps-vault init "$1://x" 2>&1 | grep -q 'no store of the kind' &&
		skip "no $1 in this build"
	return 0
}
