# A source, the real ps-scan, and a model of the other side (apply-stream).
# The source is $T/src, its map $T/map, the replica $T/srv/image.
# shellcheck shell=bash disable=SC2119,SC2120

PATH=$PS_BUILD/tests/disk:$PATH

scan() { ps-scan --machine w --disk r --map map "$@" src; }
server() { apply-stream "$@" srv w r; }
commit() { ps-scan --commit --map map "$@" >acks 2>commit.err; }
head_line() { apply-stream --head srv w r; }
settle() { head_line | commit; }

# A whole pass that must succeed.
pass() {
	local rc
	scan "$@" 2>scan.err | server 2>server.err | commit
	rc="${PIPESTATUS[*]}"
	if [ "$rc" != "0 0 0" ]; then
		echo "pass: exit codes $rc" >&2
		cat scan.err server.err commit.err >&2
		return 1
	fi
}

# The replica is the source, and the point says so.
same() {
	local source replica point
	source=$(ps-scan --digest --block-size "${BLOCK:-64K}" src)
	replica=$(ps-scan --digest --block-size "${BLOCK:-64K}" srv/image)
	read -r point _ <srv/point
	if [ "$source" != "$replica" ]; then
		echo "the replica is not the source" >&2
		return 1
	fi
	if [ "$source" != "$point" ]; then
		echo "the point has the digest of something else" >&2
		return 1
	fi
	[ "$(stat -c %s src)" = "$(stat -c %s srv/image)" ]
}

# The same, byte by byte, without any program of ours.
same_bytes() { same && cmp src srv/image; }

# put BLOCK CONTENT [BLOCKS]: fills blocks of 64 KiB with one character.
put() {
	head -c $((${3:-1} * 65536)) /dev/zero | tr '\0' "$2" |
		dd of=src bs=65536 seek="$1" iflag=fullblock conv=notrunc \
			status=none
}

# field NAME: one value of ps-scan --status --json.
field() {
	ps-scan --status --json --map map |
		sed -n "s/^  \"$1\": \"\\{0,1\\}\\([^\",]*\\)\"\\{0,1\\},\\{0,1\\}\$/\\1/p"
}
